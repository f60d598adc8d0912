// nbdkit's nbd plugin with each of its filters as a client. Each filter sends different requests (other block sizes, other
// extents, zeroes written as data, read-ahead, new connections); nbdcopy reads and writes through it, and the content of the
// unit is then compared, byte by byte, with the expected content.

import { randomFillSync } from "node:crypto";
import { closeSync, ftruncateSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type Case, check, type Context, same } from "../case.ts";
import { run } from "../run.ts";

const MIB = 1 << 20;
/** Size of the suite's units; the parameters below depend on it. */
const UNIT_BYTES = 64 * MIB;
const HOLE_BYTES = 65_536;

/** How a filter shows the unit: `seen` from the unit's content, `held` from what was written through the filter. */
interface View {
  readonly seen: (unit: Buffer) => Buffer;
  readonly held: (written: Buffer, before: Buffer) => Buffer;
}

const AS_IT_IS: View = { seen: (unit) => unit, held: (written) => written };

/** Part of the unit, starting at an offset; the rest is unchanged. */
const window = (offset: number, length: number): View => ({
  seen: (unit) => unit.subarray(offset, offset + length),
  held: (written, before) =>
    Buffer.concat([before.subarray(0, offset), written, before.subarray(offset + written.length)]),
});

const SWAPPED: View = {
  seen: (unit) => Buffer.from(unit).swap32(),
  held: (written) => Buffer.from(written).swap32(),
};

/** Longer than the unit: zeroes follow, and only zeroes can be written there. */
const lengthened = (bytes: number): View => ({
  seen: (unit) => Buffer.concat([unit, Buffer.alloc(bytes - unit.length)]),
  held: (written, before) => written.subarray(0, before.length),
});

/** The effect of writes: they reach the unit, stay in the filter's memory, or fail without changing these bytes. */
type Writes =
  | { readonly kind: "through" }
  | { readonly kind: "kept" }
  | { readonly kind: "refused"; readonly untouched: readonly [from: number, to: number] };

const REFUSED: Writes = { kind: "refused", untouched: [0, UNIT_BYTES] };

interface Trial {
  /** The first filter is next to the client, the last one next to the nbd plugin. */
  readonly filters: readonly string[];
  readonly parameters?: readonly string[];
  /** A file that the parameters refer to as FILE, and its content. */
  readonly file?: string;
  readonly view?: View;
  readonly writes?: Writes;
  /** The data to write, from a random image and the unit's content; by default the image itself. */
  readonly source?: (image: Buffer, unit: Buffer) => Buffer;
  /** Options of nbdcopy. */
  readonly copying?: readonly string[];
}

const one = (filter: string, ...parameters: string[]): Trial => ({ filters: [filter], parameters });

/** Frequent enough to occur in nearly every run, rare enough that waiting for the retries takes only seconds. */
const SOME_ERRORS = ["error=EIO", "error-pread-rate=5%", "error-pwrite-rate=2%"];

const TRIALS: readonly Trial[] = [
  one("blocksize", "minblock=4096", "maxdata=65536", "maxlen=1M"),
  one("blocksize-policy", "blocksize-minimum=4096", "blocksize-preferred=64K", "blocksize-maximum=1M"),
  one("cache", "cache=writeback", "cache-on-read=true"),
  one("cache", "cache=writethrough"),
  one("cacheextents"),
  { ...one("checkwrite"), source: (_, unit) => unit },
  { ...one("checkwrite"), writes: REFUSED },
  { ...one("cow", "cow-on-read=true"), writes: { kind: "kept" } },
  { ...one("ddrescue", "ddrescue-mapfile=FILE"), file: "0x0 + 1\n0x0 0x4000000 +\n", writes: REFUSED },
  one("delay", "delay-read=2ms", "delay-write=2ms"),
  one("exportname", "dynamic-export=true", "default-export=lu0", "exportname=lu0", "exportname-list=explicit"),
  { ...one("extentlist", "extentlist=FILE"), file: "0 64M\n" },
  one("fua", "fuamode=native"),
  one("fua", "fuamode=emulate"),
  one("fua", "fuamode=force"),
  { ...one("limit", "limit=1"), copying: ["--connections=1"] },
  one("log", "logfile=FILE"),
  one("multi-conn", "multi-conn-mode=disable"),
  one("multi-conn", "multi-conn-mode=emulate"),
  one("nocache", "cachemode=emulate"),
  one("noextents"),
  one("nofilter"),
  one("noparallel", "serialize=all-requests"),
  one("nozero", "zeromode=none"),
  one("nozero", "zeromode=emulate"),
  one("nozero", "zeromode=notrim"),
  { ...one("offset", "offset=5M", "range=7M"), view: window(5 * MIB, 7 * MIB) },
  // Not aligned to the client's blocks; the blocksize filter makes whole blocks of it again.
  {
    filters: ["offset", "blocksize"],
    parameters: ["offset=5000007", "range=700001", "minblock=512"],
    view: window(5_000_007, 700_001),
  },
  one("pause", "pause-control=FILE"),
  {
    ...one("protect", "protect=1048576-2097151"),
    source: (image, unit) =>
      Buffer.concat([image.subarray(0, MIB), unit.subarray(MIB, 2 * MIB), image.subarray(2 * MIB)]),
  },
  { ...one("protect", "protect=1048576-2097151"), writes: { kind: "refused", untouched: [MIB, 2 * MIB] } },
  one("rate", "rate=8G"),
  one("readahead"),
  // A connection is closed and reopened for each error.
  {
    filters: ["retry", "error"],
    parameters: ["retries=20", "retry-delay=1", "retry-exponential=no", ...SOME_ERRORS],
    copying: ["--connections=1", "--request-size=4194304"],
  },
  {
    filters: ["retry-request", "error"],
    parameters: ["retry-request-retries=20", "retry-request-delay=1", ...SOME_ERRORS],
    copying: ["--connections=1", "--request-size=4194304"],
  },
  one("scan", "scan-size=1M"),
  one("stats", "statsfile=FILE"),
  { ...one("swab", "swab-bits=32"), view: SWAPPED },
  { ...one("truncate", "truncate=9M"), view: window(0, 9 * MIB) },
  {
    ...one("truncate", "truncate=70M"),
    view: lengthened(70 * MIB),
    source: (image) => Buffer.concat([image, Buffer.alloc(6 * MIB)]),
  },
];

/** Filters that are not tried, and why. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  exitlast: "decides when nbdkit ends; it passes requests on as they are",
  exitwhen: "decides when nbdkit ends; it passes requests on as they are",
  ext2: "shows a file of a file system that the unit would have to hold",
  gzip: "shows the inside of a compressed file that the unit would have to hold",
  ip: "decides who may connect to nbdkit",
  luks: "shows the inside of an encrypted volume that the unit would have to hold",
  partition: "shows a partition that the unit would have to hold; offset asks in the same way",
  tar: "shows a file of an archive that the unit would have to hold",
  "tls-fallback": "shows a replacement to clients without TLS, which never reach the unit",
  xz: "shows the inside of a compressed file that the unit would have to hold",
};

/** Pieces of random bytes all over the unit, unaligned, with holes of zeroes between them. */
function randomImage(): Buffer {
  const bytes = Buffer.alloc(UNIT_BYTES);
  for (let at = 0; at < UNIT_BYTES; at += MIB) {
    const from = at + ((at / MIB) % 7) * 1111;
    randomFillSync(bytes, from, 40_000 + ((at / MIB) % 5) * 37_777);
  }
  return bytes;
}

/** Writes a file that has holes where the bytes are zero. */
function store(path: string, bytes: Buffer): string {
  const zeroes = Buffer.alloc(HOLE_BYTES);
  const file = openSync(path, "w");
  ftruncateSync(file, bytes.length);
  for (let at = 0; at < bytes.length; at += HOLE_BYTES) {
    const piece = bytes.subarray(at, at + HOLE_BYTES);
    if (!piece.equals(zeroes.subarray(0, piece.length))) writeSync(file, piece, 0, piece.length, at);
  }
  closeSync(file);
  return path;
}

function mustEqual(found: Buffer, expected: Buffer, what: string): void {
  same(found.length, expected.length, `${what}: bytes`);
  if (found.equals(expected)) return;
  const at = found.findIndex((byte, index) => byte !== expected[index]);
  throw new Error(`${what}: other bytes than expected, the first at ${at}`);
}

/**
 * A client on nbdkit's other side: reads everything, writes everything, reads everything; it can also read after a refusal.
 */
function script({ copying = [], writes = { kind: "through" } }: Trial, folder: string): string {
  const copy = ["nbdcopy", "--flush", ...copying].join(" ");
  const [seen, source, again] = ["seen", "source", "again"].map((name) => `'${join(folder, `filter-${name}.raw`)}'`);
  const reading = `${copy} "$uri" ${seen}`;
  const writing = `${writes.kind === "refused" ? "! " : ""}${copy} ${source} "$uri"`;
  return `${reading} && ${writing} && ${copy} "$uri" ${again}`;
}

async function attempt(trial: Trial, { daemon, folder }: Context): Promise<void> {
  const { filters, parameters = [], view = AS_IT_IS, writes = { kind: "through" }, source = (other) => other } = trial;
  const path = (name: string): string => join(folder, `filter-${name}.raw`);
  const before = randomImage();
  await run("nbdcopy", ["--flush", store(path("before"), before), daemon.uri("lu0")]);
  const written = source(randomImage(), before).subarray(0, view.seen(before).length);
  store(path("source"), written);
  if (trial.file !== undefined) writeFileSync(path("file"), trial.file);
  const given = parameters.map((parameter) => parameter.replace("FILE", path("file")));
  const plugin = ["nbd", `socket=${daemon.nbdSocket}`, ...(filters[0] === "exportname" ? [] : ["export=lu0"])];
  const chain = filters.map((filter) => `--filter=${filter}`);
  await run("nbdkit", ["-U", "-", ...chain, ...plugin, ...given, "--run", script(trial, folder)]);
  mustEqual(readFileSync(path("seen")), view.seen(before), "read through the filter");
  await run("nbdcopy", [daemon.uri("lu0"), path("after")]);
  const after = readFileSync(path("after"));
  if (writes.kind === "refused") {
    const [from, to] = writes.untouched;
    mustEqual(readFileSync(path("again")), view.seen(after), "read after the refusal");
    return mustEqual(after.subarray(from, to), before.subarray(from, to), "the unit, where no write was allowed");
  }
  mustEqual(readFileSync(path("again")), written, "read back through the filter");
  mustEqual(after, writes.kind === "kept" ? before : view.held(written, before), "the unit afterwards");
}

const FATE = { through: "reads and writes", kept: "reads, keeps writes to itself", refused: "reads, refuses writes" };

function nameOf({ filters, parameters = [], writes = { kind: "through" } }: Trial): string {
  const shown = [...filters.map((filter) => `--filter=${filter}`), ...parameters].join(" ");
  return `nbdkit ${shown}: ${FATE[writes.kind]}`;
}

export const cases: readonly Case[] = [
  {
    name: "nbdkit: each of its filters is tried, or left out for a reason",
    run: async () => {
      const { stdout } = await run("nbdkit", ["--dump-config"]);
      const folder = /^filterdir=(.*)$/m.exec(stdout)?.[1];
      check(folder !== undefined, "nbdkit does not tell where its filters are");
      const installed = readdirSync(folder).flatMap((name) => /^nbdkit-(.*)-filter\.so$/.exec(name)?.[1] ?? []);
      const known = new Set([...TRIALS.flatMap(({ filters }) => filters), ...Object.keys(LEFT_OUT)]);
      same(installed.toSorted(), [...known].toSorted(), "filters");
    },
  },
  ...TRIALS.map((trial) => ({ name: nameOf(trial), run: (context: Context) => attempt(trial, context) })),
];
