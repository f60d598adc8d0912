// An OCI image of a package's files (image-spec 1.0), as an archive of its layout: neither docker nor root is needed to build it.
// It adds what Node is linked to, as this machine has it, and no shell. Three layers, what changes least first. The same files give
// the same bytes: sorted names, one time, no owners.

import { createHash } from "node:crypto";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { COMMANDS, HOME, output } from "./system-tree.ts";

const NODE = `${HOME}/bin/node`;
/** What of a package's files an image has; the rest is for the host's service manager, its shells and its readers. */
const PARTS = [
  HOME,
  "etc/pathmanager",
  "usr/share/doc/pathmanager/copyright",
  // For the host, which copies them: they have to run there.
  "usr/lib/udev",
  "usr/lib/modules-load.d",
] as const;
const ONLY_PACKAGES = `${HOME}/boot`;
/** What the daemon keeps, and where its sockets are. Not its configuration: a volume would hide the image's. */
const VOLUMES = ["run", "var/cache", "var/lib", "var/log"].map((folder) => `${folder}/pathmanager`);

/** What depends on the architecture, by its name in OCI. */
const MACHINES = {
  amd64: { libraries: "lib/x86_64-linux-gnu", loader: "lib64/ld-linux-x86-64.so.2", cross: "/usr/x86_64-linux-gnu" },
  arm64: { libraries: "lib/aarch64-linux-gnu", loader: "lib/ld-linux-aarch64.so.1", cross: "/usr/aarch64-linux-gnu" },
} as const;
/** The packages of the libraries, whose terms go with them; the second half where they are for another machine. */
const LIBRARY_PACKAGES = /^(libc6|libstdc\+\+6|libgcc-s1)(-arm64-cross)?$/;
const DOCUMENTS = "usr/share/doc";

export interface ImageSource {
  /** The files of a package. */
  readonly tree: string;
  readonly architecture: keyof typeof MACHINES;
  /** Whether they are for another machine than this one. */
  readonly isForeign: boolean;
  /** The time of everything in it. */
  readonly seconds: number;
  readonly version: string;
  /** Whether its layers are compressed. */
  readonly isSmall: boolean;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

interface Layer {
  readonly descriptor: Descriptor;
  /** Digest of the archive before compression. */
  readonly diffId: string;
}

const sha256 = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** A tar archive whose bytes depend on the folder's names and contents, and on who may execute a file. */
function archive(folder: string, file: string, seconds: number): void {
  const same = ["--sort=name", "--format=ustar", "--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX"];
  // By name, because the folder itself has no place in a layer.
  output("tar", ["-cf", file, ...same, `--mtime=@${seconds}`, "-C", folder, ...readdirSync(folder).toSorted()]);
}

/** The folder of a layout in which files are named by their digests. */
class Layout {
  readonly folder: string;
  readonly #blobs: string;

  constructor(folder: string) {
    this.folder = folder;
    this.#blobs = join(folder, "blobs/sha256");
    mkdirSync(this.#blobs, { recursive: true });
  }

  put(mediaType: string, bytes: Uint8Array): Descriptor {
    const digest = sha256(bytes);
    writeFileSync(join(this.#blobs, digest.slice("sha256:".length)), bytes);
    return { mediaType, digest, size: bytes.length };
  }

  putJson(kind: string, content: object): Descriptor {
    return this.put(`application/vnd.oci.image.${kind}.v1+json`, Buffer.from(JSON.stringify(content)));
  }

  /** @param fill puts the layer's files into a folder */
  layer({ seconds, isSmall }: ImageSource, fill: (folder: string) => void): Layer {
    const work = mkdtempSync(join(tmpdir(), "pathmanager-layer-"));
    try {
      const [files, file] = [join(work, "files"), join(work, "tar")];
      mkdirSync(files);
      fill(files);
      archive(files, file, seconds);
      const bytes = readFileSync(file);
      const type = "application/vnd.oci.image.layer.v1.tar";
      const descriptor = isSmall ? this.put(`${type}+gzip`, gzipSync(bytes, { level: 9 })) : this.put(type, bytes);
      return { descriptor, diffId: sha256(bytes) };
    } finally {
      rmSync(work, { recursive: true });
    }
  }
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}

/** The libraries that a program asks for, and those that these ask for. */
function librariesOf(executable: string, folders: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  const look = (file: string): void => {
    for (const [, name = ""] of output("readelf", ["-d", file]).matchAll(/\(NEEDED\).*\[(.+)\]/g)) {
      if (found.has(name)) continue;
      const path = folders.map((folder) => join(folder, name)).find((candidate) => existsSync(candidate));
      if (path === undefined) throw new Error(`${name}, which ${file} needs, is in none of ${folders.join(", ")}`);
      found.set(name, path);
      look(path);
    }
  };
  look(executable);
  return found;
}

/** What every program needs: libraries, the names of users, folders. */
function system(folder: string, { tree, architecture, isForeign }: ImageSource): void {
  const { libraries, loader, cross } = MACHINES[architecture];
  const places = isForeign ? [join(cross, "lib")] : [libraries, "lib64", "usr/lib64", "usr/lib"].map((at) => `/${at}`);
  for (const [name, path] of librariesOf(join(tree, NODE), places)) {
    copy(path, join(folder, name === basename(loader) ? loader : join(libraries, name)));
  }
  const packages = readdirSync(`/${DOCUMENTS}`).filter((name) => LIBRARY_PACKAGES.test(name));
  for (const name of packages.filter((one) => one.endsWith("-cross") === isForeign)) {
    copy(`/${DOCUMENTS}/${name}/copyright`, join(folder, DOCUMENTS, name, "copyright"));
  }
  for (const place of [...VOLUMES, "tmp", "etc"]) mkdirSync(join(folder, place), { recursive: true });
  writeFileSync(join(folder, "etc/passwd"), "root:x:0:0:root:/root:/usr/sbin/nologin\n");
  writeFileSync(join(folder, "etc/group"), "root:x:0:\n");
}

/** The program, and its commands without a shell. */
function program(folder: string, { tree }: ImageSource): void {
  const left = new Set([NODE, ONLY_PACKAGES].map((name) => join(tree, name)));
  for (const part of PARTS) {
    cpSync(join(tree, part), join(folder, part), { recursive: true, filter: (from) => !left.has(from) });
  }
  for (const { name, folder: place } of COMMANDS) {
    const file = join(folder, place, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `#!/${NODE}\nimport("/${HOME}/host/cli/bin/${name}.js");\n`, { mode: 0o755 });
  }
}

/** How it is started, and what it is. */
function configuration(source: ImageSource, layers: readonly Layer[]): object {
  const { architecture, seconds, version } = source;
  const daemon = COMMANDS.find(({ name }) => name === "pathmanagerd");
  const options = daemon === undefined ? [] : daemon.options.trim().split(" ");
  return {
    created: new Date(seconds * 1000).toISOString(),
    architecture,
    os: "linux",
    config: {
      User: "0:0",
      Env: ["PATH=/usr/sbin:/usr/bin"],
      Entrypoint: [`/${NODE}`, ...options, `/${HOME}/host/cli/bin/pathmanagerd.js`],
      Cmd: ["--config", "/etc/pathmanager/pathmanager.toml"],
      Volumes: Object.fromEntries(VOLUMES.map((folder) => [`/${folder}`, {}])),
      WorkingDir: "/",
      StopSignal: "SIGTERM",
      Labels: {
        "org.opencontainers.image.title": "pathmanager",
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.licenses": "Apache-2.0",
      },
    },
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    history: ["libraries", "node", "pathmanager"].map((what) => ({ created_by: what })),
  };
}

/** Makes pathmanager_V_ARCH.oci.tar in a folder; returns its name. */
export function makeImage(source: ImageSource, folder: string): string {
  const work = mkdtempSync(join(tmpdir(), "pathmanager-image-"));
  try {
    const layout = new Layout(work);
    const layers = [
      layout.layer(source, (files) => system(files, source)),
      layout.layer(source, (files) => copy(join(source.tree, NODE), join(files, NODE))),
      layout.layer(source, (files) => program(files, source)),
    ];
    const manifest = layout.putJson("manifest", {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: layout.putJson("config", configuration(source, layers)),
      layers: layers.map(({ descriptor }) => descriptor),
    });
    const platform = { architecture: source.architecture, os: "linux" };
    const annotations = {
      "org.opencontainers.image.ref.name": source.version,
      // The name under which podman and containerd load it.
      "io.containerd.image.name": `localhost/pathmanager:${source.version}`,
    };
    const named = { ...manifest, platform, annotations };
    writeFileSync(join(work, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [named] }));
    writeFileSync(join(work, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
    const file = join(folder, `pathmanager_${source.version}_${source.architecture}.oci.tar`);
    archive(work, file, source.seconds);
    return file;
  } finally {
    rmSync(work, { recursive: true });
  }
}
