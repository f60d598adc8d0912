// The servers that the benches of NBD compare: ours on the emulated array, nbdkit's memory plugin, qemu-nbd on a raw file
// in memory. Each holds the same bytes and listens on a Unix socket.

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, ftruncateSync, openSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { NbdServer } from "../host/export/server.ts";
import type { TlsTerminator } from "../host/export/tls/terminator.ts";
import { duplicate } from "../host/native/index.ts";
import {
  POLICY_ADAPTIVE,
  UNIT_CAN_UNMAP,
  UNIT_CAN_WRITE_SAME,
  UNIT_SET_BLOCK_BYTES,
  UNIT_SET_BLOCKS,
  UNIT_SET_CAPABILITIES,
  UNIT_SET_POLICY,
} from "../host/abi.ts";
import { BenchDaemon } from "./daemon.ts";
import { ReactorClient } from "../host/reactor/reactor-client.ts";

export interface NbdPeer {
  readonly name: string;
  readonly uri: string;
  /** Its first process. */
  readonly pid: number;
  stop(): Promise<void>;
}

const BLOCK_BYTES = 512;
const START_MS_MAX = 10_000;

/** Ours: reactor and export of this process, one unit of an emulated array with four paths; the caller makes it listen. */
async function ours(bytes: number): Promise<{ server: NbdServer; stop: () => Promise<void> }> {
  const reactor = await ReactorClient.start({
    arrays: [{ units: 1, unitBytes: bytes, blockBytes: BLOCK_BYTES, paths: 4 }],
  });
  const unit = await reactor.unitAdd();
  const capabilities = UNIT_CAN_UNMAP | UNIT_CAN_WRITE_SAME;
  await reactor.unitSet(unit, UNIT_SET_BLOCK_BYTES, BLOCK_BYTES);
  await reactor.unitSet(unit, UNIT_SET_BLOCKS, bytes / BLOCK_BYTES);
  await reactor.unitSet(unit, UNIT_SET_CAPABILITIES, capabilities);
  await reactor.unitSet(unit, UNIT_SET_POLICY, POLICY_ADAPTIVE);
  for (const [index, { port }] of (await reactor.arrayPorts()).entries()) {
    await reactor.pathAdd({ unit, queue: "array", port, priority: index + 1, enabled: true, depth: 64 });
  }
  const server = new NbdServer({
    duplicate,
    hand: ({ descriptor, unit: wanted, flags, preloaded }) =>
      reactor.addConnection(descriptor, wanted, flags, preloaded),
  });
  server.setExports([{ unit, number: 0, bytes: BigInt(bytes), blockBytes: BLOCK_BYTES, capabilities }]);
  return {
    server,
    stop: async () => {
      await server.close();
      await reactor.stop();
    },
  };
}

/**
 * Ours on a Unix socket: the daemon as it ships, on one unit of an emulated array with four paths.
 *
 * @param mib size of the unit
 * @param settings lines of TOML before the array's, for a daemon that is not as it ships
 */
export async function pathmanager(mib: number, settings = ""): Promise<NbdPeer> {
  const { daemon: started } = await BenchDaemon.start(`${settings}\n[array]\nunits = 1\nunit_mib = ${mib}\n`);
  const uri = `nbd+unix:///0?socket=${started.nbdSocket}`;
  return { name: "pathmanager", uri, pid: started.pid, stop: () => started.stop() };
}

/** A server on a port of 127.0.0.1 that speaks TLS with clients that ask for it. */
export interface TcpPeer {
  readonly name: string;
  readonly port: number;
  readonly export: string;
  stop(): Promise<void>;
}

/** Ours on TCP. */
export async function pathmanagerTcp(bytes: number, terminator: TlsTerminator): Promise<TcpPeer> {
  const { server, stop } = await ours(bytes);
  const access = { tls: { terminator, isRequired: false }, rules: () => [] };
  const bound = await server.listen({ kind: "tcp", host: "127.0.0.1", port: 0, access });
  return { name: "pathmanager", port: bound.kind === "tcp" ? bound.port : 0, export: "0", stop };
}

/** `nbdkit memory` on TCP, with keys from a file. */
export async function nbdkitTcp(folder: string, bytes: number, keys: string): Promise<TcpPeer> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  probe.close();
  await once(probe, "close");
  // Written once it listens.
  const pidFile = join(folder, "nbdkit.pid");
  const at = ["--foreground", "--ipaddr", "127.0.0.1", "--port", `${port}`, "--pidfile", pidFile];
  const { stop } = await daemon("nbdkit memory", pidFile, "nbdkit", [
    ...at,
    "--tls=on",
    `--tls-psk=${keys}`,
    "memory",
    `${bytes}`,
  ]);
  return { name: "nbdkit memory", port, export: "", stop };
}

/** `nbdkit memory`: allocates only what is written. @param nice its niceness */
export function nbdkit(folder: string, bytes: number, nice = 0): Promise<NbdPeer> {
  const path = join(folder, `nbdkit${nice}.sock`);
  const args = ["--foreground", "--unix", path, "memory", `${bytes}`];
  return nice === 0
    ? daemon("nbdkit memory", path, "nbdkit", args)
    : daemon(`nbdkit memory, niceness ${nice}`, path, "nice", ["-n", `${nice}`, "nbdkit", ...args]);
}

/** `qemu-nbd` on a raw file in a file system in memory. */
export function qemuNbd(folder: string, bytes: number): Promise<NbdPeer> {
  const path = join(folder, "qemu-nbd.sock");
  const image = join(folder, "qemu-nbd.raw");
  const file = openSync(image, "w");
  ftruncateSync(file, bytes);
  closeSync(file);
  return daemon("qemu-nbd", path, "qemu-nbd", [
    "--socket",
    path,
    "--format",
    "raw",
    "--shared",
    "8",
    "--persistent",
    image,
  ]);
}

async function daemon(name: string, path: string, program: string, args: readonly string[]): Promise<NbdPeer> {
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] });
  await listening(name, path, child);
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    name,
    uri: `nbd+unix:///?socket=${path}`,
    pid: child.pid ?? 0,
    stop: async () => {
      child.kill("SIGTERM");
      await gone;
    },
  };
}

async function listening(name: string, path: string, child: ChildProcess): Promise<void> {
  const end = Date.now() + START_MS_MAX;
  while (!existsSync(path)) {
    if (child.exitCode !== null) throw new Error(`${name} ended with status ${child.exitCode}`);
    if (Date.now() > end) throw new Error(`${name} does not listen within ${START_MS_MAX} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
