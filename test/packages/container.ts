// The image for containers: Debian's package packed again gives the same bytes. And before tools of others: skopeo reads it, umoci unpacks it, crun runs it with its own entry point and no rights
// beyond a container's, and the daemon serves the emulated array. Part of test:packages.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { until } from "../until.ts";
import { makeImage } from "../../host/cli/packaging/image.ts";
import { imageFile, packageFile, project } from "./build.ts";
import { ENVIRONMENT, run } from "./overlay.ts";

const CONTAINER = "pathmanager-test";
// crun makes no control groups here, but looks for the hierarchy of version 2, which a host may have elsewhere.
const SCRIPT = 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"';
const INSIDE = "PATHMANAGER_CONTAINER_INSIDE";

interface Bundle {
  readonly process: { terminal: boolean; readonly args: readonly string[] };
  readonly root: { readonly: boolean };
  readonly mounts: { destination: string; type?: string; source: string; options: string[] }[];
}

/** What a container's user does: gives it a configuration of his own. Nothing of the image changes while it runs. */
function prepare(bundle: string, configuration: string): void {
  const file = join(bundle, "config.json");
  const config = JSON.parse(readFileSync(file, "utf8")) as Bundle;
  config.process.terminal = false;
  config.root.readonly = true;
  config.mounts.push({ destination: "/etc/pathmanager", source: configuration, options: ["bind"] });
  assert.match(config.process.args.join(" "), /^\/usr\/lib\/pathmanager\/bin\/node .*pathmanagerd\.js --config /);
  writeFileSync(file, JSON.stringify(config));
}

/** Who else packs the files of Debian's package gets the same bytes. */
function isMadeAgain(folder: string, image: Image, created: string): void {
  const [tree, again] = [join(folder, "tree"), join(folder, "again")];
  mkdirSync(again);
  run("dpkg-deb", "--extract", packageFile("deb", "own"), tree);
  const seconds = Date.parse(created) / 1000;
  run("cmp", image.file, makeImage({ ...image, tree, isForeign: false, seconds, isSmall: false }, again));
}

interface Image {
  readonly file: string;
  readonly version: string;
  readonly architecture: "amd64" | "arm64";
}

function named(file: string): Image {
  const [, version = "", architecture = ""] = /^pathmanager_([\d.]+)_(amd64|arm64)\./.exec(basename(file)) ?? [];
  return { file, version, architecture: architecture === "arm64" ? "arm64" : "amd64" };
}

async function serves(folder: string): Promise<void> {
  const image = named(imageFile());
  const seen = JSON.parse(run("skopeo", "inspect", `oci-archive:${image.file}`)) as {
    readonly Created: string;
    readonly Architecture: string;
    readonly Labels: Readonly<Record<string, string>>;
  };
  assert.equal(seen.Architecture, image.architecture);
  assert.equal(seen.Labels["org.opencontainers.image.version"], image.version);
  isMadeAgain(folder, image, seen.Created);
  const [layout, bundle, configuration] = ["layout", "bundle", "etc"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  for (const one of [layout, configuration]) mkdirSync(one);
  run("tar", "-xf", image.file, "-C", layout);
  const index = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")) as {
    readonly manifests: readonly { readonly annotations: Readonly<Record<string, string>> }[];
  };
  const names = index.manifests.map(({ annotations }) => annotations["io.containerd.image.name"]);
  assert.deepEqual(names, [`localhost/pathmanager:${image.version}`], "podman's name of it, as the guide has it");
  run("umoci", "unpack", "--image", `${layout}:${image.version}`, bundle);
  writeFileSync(join(configuration, "pathmanager.toml"), "emulated = true\n");
  prepare(bundle, configuration);
  const crun = ["--cgroup-manager=disabled", "--root", join(folder, "state")];
  const daemon = spawn("crun", [...crun, "run", "--bundle", bundle, CONTAINER], {
    stdio: ["ignore", "inherit", "inherit"],
    env: ENVIRONMENT,
  });
  const inside = (...args: readonly string[]): string => run("crun", ...crun, "exec", CONTAINER, ...args);
  const ended = new Promise((resolve) => daemon.once("exit", resolve));
  const isServing = (): boolean => {
    try {
      return /units?, /.test(inside("/usr/bin/pathctl", "status"));
    } catch {
      return false;
    }
  };
  try {
    await until("the container's daemon serves", () => daemon.exitCode !== null || isServing(), 120_000);
    assert.equal(daemon.exitCode, null, "the container runs");
    assert.match(inside("/usr/bin/spscmd", "-getver"), /^PathManager /);
    run("crun", ...crun, "kill", CONTAINER, "TERM");
    assert.equal(await ended, 0);
  } finally {
    spawnSync("crun", [...crun, "delete", "--force", CONTAINER], { env: ENVIRONMENT, stdio: "ignore" });
  }
}

if (process.env[INSIDE] === undefined) {
  const args = ["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh", ...process.argv];
  const env = { ...process.env, [INSIDE]: "1" };
  process.exit(spawnSync("unshare", args, { stdio: "inherit", cwd: project, env }).status ?? 1);
}
const began = performance.now();
const folder = mkdtempSync(join(tmpdir(), "pathmanager-container-"));
try {
  await serves(folder);
} finally {
  rmSync(folder, { recursive: true });
}
const seconds = ((performance.now() - began) / 1000).toFixed(1);
console.log(
  `ok - the image: the same when made again, read by skopeo, unpacked by umoci, serves in a container of crun's (${seconds} s)`,
);
process.exit(0);
