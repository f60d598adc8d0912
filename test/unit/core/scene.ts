// A unit behind several paths whose faults a test chooses by port.
import { Disk } from "./disk.ts";
import { Host } from "./harness.ts";
import { READ, replies, request } from "./nbd-client.ts";
import type { Answer, Scsi } from "./scsi.ts";

export const NAA = [3, 1, 0x60, 1, 2, 3, 4, 5, 6, 7];
export const OTHER = [3, 1, 0x60, 9, 9, 9, 9, 9, 9, 9];
export const TUR = 0x00;
export const INQUIRY = 0x12;
export const REPORT = 0xa3;
export const SET = 0xa4;

export interface Scene {
  host: Host;
  unit: number;
  paths: number[];
  disk: Disk;
  /** Faults by port; what it answers undefined for is carried out. */
  faults: Map<number, (command: Scsi) => Answer | undefined | "hang">;
  /** Operation codes by port, in order. */
  seen: { port: number; operation: number }[];
}

export function scene(identity: readonly number[] = NAA, pathCount = 2, capabilities = 0): Scene {
  const host = new Host();
  const disk = new Disk(1 << 20, 512, NAA);
  const faults: Scene["faults"] = new Map();
  const seen: Scene["seen"] = [];
  host.device = (command) => {
    seen.push({ port: command.port, operation: command.cdb[0] ?? 0 });
    const answer = faults.get(command.port)?.(command);
    if (answer === "hang") return undefined;
    return answer ?? disk.execute(host, command);
  };
  const { unit, paths } = host.unit({ blocks: 2048n, paths: pathCount, capabilities, identity });
  return { host, unit, paths, disk, faults, seen };
}

export function read(host: Host, unit: number): number | undefined {
  const client = host.connect(unit);
  client.send(request(READ, 1n, 0n, 512));
  host.advance(1);
  const reply = replies(client.received, new Map([[1n, 512]]))[0]?.error;
  client.ended = true;
  host.settle();
  return reply;
}
