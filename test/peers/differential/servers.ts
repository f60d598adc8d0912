// The three servers to compare, each with one export of the same size, name and description.

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../until.ts";
import { same } from "../case.ts";
import { Daemon } from "../daemon.ts";
import * as N from "../raw.ts";
import type { Script } from "./script.ts";

export const MEDIUM_BYTES = 4 << 20;
export const EXPORT = "lu0";
const BLOCK_BYTES = 512;

export interface Server {
  readonly name: "ours" | "nbdkit" | "qemu-nbd";
  /** The socket for playing a script. */
  readonly socket: (script: Script) => string;
  readonly stop: () => Promise<void>;
}

function started(program: string, args: readonly string[][]): ChildProcess {
  const child = spawn(program, args.flat(), { stdio: "ignore" });
  child.on("error", (error) => console.error(`cannot run ${program}: ${error.message}`));
  return child;
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}

const listens = (socket: string): Promise<true> => until(`${socket} is there`, () => existsSync(socket));

/** Our server, and the description of its export. */
export async function ours(folder: string): Promise<{ server: Server; description: string }> {
  const configuration = "[array]\nunits = 1\nunit_mib = 4\npaths = 2\ncontrollers = 2";
  const daemon = new Daemon(join(folder, "ours"), { configuration });
  await daemon.start();
  const { vendor, product, identity } = await daemon.unit(0);
  const server = { name: "ours", socket: () => daemon.nbdSocket, stop: () => daemon.stop().then(() => {}) } as const;
  return { server, description: `${vendor} ${product} ${identity.text}` };
}

/** Two servers: one that enforces blocks of 512 bytes for clients that have agreed to them, and one for the others. */
export async function nbdkit(folder: string, description: string): Promise<Server> {
  const at = join(folder, "nbdkit");
  mkdirSync(at);
  const exports = [
    "exportname-list=explicit",
    "exportname-strict=true",
    `exportname=${EXPORT}`,
    `default-export=${EXPORT}`,
    `exportdesc=fixed:${description}`,
  ];
  const children = ["error", "allow"].map((policy) =>
    started("nbdkit", [
      ["-f", "-U", join(at, policy), "--filter=exportname", "--filter=blocksize-policy", "memory"],
      [String(MEDIUM_BYTES), ...exports, `blocksize-minimum=${BLOCK_BYTES}`, "blocksize-preferred=4096"],
      ["blocksize-maximum=32M", `blocksize-error-policy=${policy}`],
    ]),
  );
  await listens(join(at, "error"));
  await listens(join(at, "allow"));
  return {
    name: "nbdkit",
    socket: (script) => join(at, script.agrees ? "error" : "allow"),
    stop: async () => void (await Promise.all(children.map(stopped))),
  };
}

/** Again two: blkdebug gives a file blocks of 512 bytes, whatever it is stored on; without it every byte can be addressed. */
export async function qemu(folder: string, description: string): Promise<Server> {
  const at = join(folder, "qemu");
  mkdirSync(at);
  const children = ["agreed", "other"].map((which) => {
    const file = join(at, `${which}.medium`);
    const medium = openSync(file, "w");
    ftruncateSync(medium, MEDIUM_BYTES);
    closeSync(medium);
    const image = which === "agreed" ? `driver=blkdebug,align=${BLOCK_BYTES}` : "driver=raw";
    const inner = which === "agreed" ? "image" : "file";
    return started("qemu-nbd", [
      ["-k", join(at, which), "--persistent", "--shared=8", "-x", EXPORT, "-D", description, "--image-opts"],
      [`${image},discard=unmap,${inner}.driver=file,${inner}.discard=unmap,${inner}.filename=${file}`],
    ]);
  });
  await listens(join(at, "agreed"));
  await listens(join(at, "other"));
  return {
    name: "qemu-nbd",
    socket: (script) => join(at, script.agrees ? "agreed" : "other"),
    stop: async () => void (await Promise.all(children.map(stopped))),
  };
}

/** Content of the medium before a script. */
function before(): Buffer {
  const bytes = Buffer.alloc(MEDIUM_BYTES);
  for (let at = 0; at < MEDIUM_BYTES / 2; at += 4) bytes.writeUInt32LE((at * 2_654_435_761) % 4_294_967_291, at);
  return bytes;
}

const INITIAL = before();

/** Resets the medium to the state in which each script begins: half data, half holes. */
export async function reset(socket: string): Promise<void> {
  const client = await N.RawClient.open(socket, EXPORT);
  try {
    const half = MEDIUM_BYTES / 2;
    same((await client.ask({ type: N.WRITE, length: half }, INITIAL.subarray(0, half))).error, 0, "the first half");
    const zeroes = await client.ask({ type: N.WRITE_ZEROES, offset: BigInt(half), length: half });
    same(zeroes.error, 0, "the second half");
    client.send(N.command({ type: N.DISCONNECT }));
    await client.end();
  } finally {
    client.close();
  }
}
