// pathctl setup: what it proposes, what it writes, and what it leaves alone.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import test, { type ExecutionContext } from "ava";
import { checkConfiguration } from "../../../host/control/settings/configuration.ts";
import { pathctl } from "../../../host/cli/pathctl/main.ts";
import { edited, linesOf, propose, type Disk } from "../../../host/cli/setup/proposal.ts";
import { run } from "./server.ts";

const SHIPPED = await readFile(new URL("../../../host/cli/packaging/system/pathmanager.toml", import.meta.url), "utf8");

let next = 0;
function disk(identity: string | null, use: string | null = null, product = "DISK ARRAY"): Disk {
  next += 1;
  return { device: `/dev/sd${next}`, number: `${next}:0:0:0`, vendor: "NEC", product, identity, use };
}

const devicesOf = (t: ExecutionContext, text: string): unknown => {
  const checked = checkConfiguration(text, "file");
  if (!checked.ok) return t.fail(JSON.stringify(checked.mistakes));
  t.is(checked.configuration.attach, true);
  return checked.configuration.devices;
};

test("units with several free paths are proposed, by what the array is called, so that its next units come, too", (t) => {
  const proposal = propose([disk("naa.a"), disk("naa.b"), disk("naa.a"), disk("naa.b")]);
  t.deepEqual(
    proposal.units.map(({ identity, paths }) => [identity, paths.length]),
    [
      ["naa.a", 2],
      ["naa.b", 2],
    ],
  );
  t.deepEqual(proposal.left, []);
  t.deepEqual(proposal.selectors, [{ vendor: "NEC", product: "DISK ARRAY" }]);
});

test("a unit in use on one path, with one path, or without an identity is left alone, and no line selects it", (t) => {
  const used = [disk("naa.used", "it is mounted on /"), disk("naa.used")];
  const proposal = propose([...used, disk("naa.single"), disk(null), disk(null), disk("naa.b"), disk("naa.b")]);
  t.deepEqual(
    proposal.units.map(({ identity }) => identity),
    ["naa.b"],
  );
  t.deepEqual(
    proposal.left.map(({ reason }) => reason),
    [
      "it is mounted on /",
      "it is mounted on /",
      "no other path leads to its unit",
      "the kernel knows no identity of it",
      "the kernel knows no identity of it",
    ],
  );
  t.deepEqual(proposal.selectors, [{ identity: "naa.b" }]);
  const other = propose([...used, disk("naa.b", null, "OTHER"), disk("naa.b", null, "OTHER")]);
  t.deepEqual(other.selectors, [{ vendor: "NEC", product: "OTHER" }]);
});

test("a name that would match others selects by identity", (t) => {
  for (const product of ["DISK*", ""]) {
    t.deepEqual(propose([disk("naa.a", null, product), disk("naa.a", null, product)]).selectors, [
      { identity: "naa.a" },
    ]);
  }
});

test("the shipped file is edited in place; a file without the key, or with attach, keeps what it says", (t) => {
  const many = ["a", "b", "c", "d"].map((letter) => ({ identity: `t10.quoted "${letter}" \\` }));
  for (const selectors of [[{ vendor: "NEC", product: "DISK ARRAY" }], many]) {
    const lines = linesOf(selectors);
    const shipped = edited(SHIPPED, lines);
    t.deepEqual(devicesOf(t, shipped), selectors);
    t.true(shipped.startsWith(SHIPPED.split("\n")[0] ?? "nothing"), "the comments stay");
    t.deepEqual(devicesOf(t, edited('policy = "static"\n[timeouts]\nno_path_ms = 1000\n', lines)), selectors);
    t.deepEqual(devicesOf(t, edited("", lines)), selectors);
    const own = edited('attach = "nbd"\ndevices = []\n', lines);
    t.regex(own, /^attach = "nbd"$/m);
    t.false(own.includes("attach = true"));
  }
});

test("a file that says already what is served, or has a mistake, is not touched", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "pathmanager-setup-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, "pathmanager.toml");
  const cases = [
    ['devices = "all"\n', /selects devices already: setup changes nothing/],
    ['devices = [{ vendor = "NEC" }]\n', /selects devices already/],
    ["emulated = true\n", /serves the emulated array/],
    ["devises = []\n", /devises: unknown key/],
  ] as const;
  for (const [text, problem] of cases) {
    await writeFile(file, text);
    const { status, err } = await run(pathctl, ["setup", "--yes", "--config", file]);
    t.is(status, 1);
    t.regex(err, problem);
    t.is(await readFile(file, "utf8"), text);
  }
});
