// The emulated array as discovery sees it: its ports are candidates, and it answers commands through the reactor.

import type { ReactorClient } from "../reactor/client.ts";
import type { Candidate } from "./discover.ts";
import type { ScsiTransport } from "./transport.ts";

/** Names of emulated ports: `emulated:3`. */
export const EMULATED = "emulated:";

/** The port of a name, or null when it is not one of ours. */
export function emulatedPort(device: string): number | null {
  return device.startsWith(EMULATED) ? Number(device.slice(EMULATED.length)) : null;
}

export function emulatedTransport(reactor: ReactorClient): ScsiTransport {
  return {
    command: (device, cdb, bytes) => {
      const port = emulatedPort(device);
      if (port === null) return Promise.reject(new Error(`${device} is not a port of the emulated array`));
      return reactor.arrayCommand(port, cdb, bytes === 0 ? null : bytes);
    },
  };
}

/** Every port of the emulated array. */
export async function emulatedCandidates(reactor: ReactorClient): Promise<Candidate[]> {
  const ports = await reactor.arrayPorts();
  return ports.map((port) => ({
    device: `${EMULATED}${port.port}`,
    number: port.path,
    blockDevice: null,
    initiatorPort: `host${port.path.split(":")[0]} emulated`,
    transferBytesMax: null,
    queueDepth: null,
  }));
}
