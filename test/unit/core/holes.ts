// A unit whose latencies are learned, and paths that swallow I/O: what they were given is kept for the test to answer.
import * as abi from "../../../host/abi.ts";
import { Disk } from "./disk.ts";
import type { Client, Limits } from "./harness.ts";
import { Host } from "./harness.ts";
import { READ, replies, request } from "./nbd-client.ts";
import type { Scsi } from "./scsi.ts";

export interface Scene {
  host: Host;
  disk: Disk;
  unit: number;
  paths: number[];
  client: Client;
  /** Ports whose I/O is swallowed. */
  holes: Set<number>;
  held: Scsi[];
  free: number[];
}

/** A unit whose latency (1 ms) is learned; I/O on the ports in `holes` is kept in `held`. */
export function scene(pathCount = 2, capabilities = 0, limits: Limits = {}): Scene {
  const host = new Host(limits);
  const disk = new Disk(4 << 20);
  const { unit, paths } = host.unit({ blocks: 8192n, paths: pathCount, capabilities });
  const holes = new Set<number>();
  const held: Scsi[] = [];
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  host.device = (command) => {
    if (!holes.has(command.port)) return disk.execute(host, command);
    if (!command.check) held.push(command);
    return undefined;
  };
  const client = host.connect(unit);
  for (let i = 0; i < 200; i++) client.send(request(READ, 1n, 0n, 512));
  host.settle();
  client.received.length = 0;
  const free = [0, 1, 2].map((what) => host.core.inspect(what));
  return { host, disk, unit, paths, client, holes, held, free };
}

/** Cookie and error of each reply since the last call. */
export function errors(client: Client, bytes = 512): [bigint, number][] {
  const lengths = new Map(Array.from({ length: 50 }, (_, i) => [BigInt(i), i % 2 === 0 ? bytes : 0]));
  return replies(client.received, lengths).map((reply) => [reply.cookie, reply.error]);
}

/** Free request slots, command slots, bytes of the pool. */
export const idle = (s: Scene): number[] => [0, 1, 2].map((what) => s.host.core.inspect(what));
