// The emulated array as seen by discovery: its ports are candidates, and it answers commands through the reactor.

import type { ReactorClient } from "../reactor/reactor-client.ts";
import type { ArrayCommand } from "../reactor/reactor-messages.ts";
import type { Candidate } from "./discover.ts";
import type { ScsiResult, ScsiTransport } from "./transport.ts";

/** Names of emulated ports: `emulated:3`. */
const EMULATED = "emulated:";

/** The port of a name, or null when the name is not an emulated port's. */
export function emulatedPort(device: string): number | null {
  return device.startsWith(EMULATED) ? Number(device.slice(EMULATED.length)) : null;
}

interface Waiting {
  readonly command: ArrayCommand;
  readonly resolve: (result: ScsiResult) => void;
  readonly reject: (reason: unknown) => void;
}

/** Most commands in one message: the reactor carries them out between two turns, and I/O pauses meanwhile. */
const COMMANDS_MAX = 256;

/** Sends all commands of one turn of the event loop together: a message costs more than a command. */
export function emulatedTransport(reactor: ReactorClient): ScsiTransport {
  const waiting: Waiting[] = [];
  const send = (): void => {
    const batch = waiting.splice(0, COMMANDS_MAX);
    if (waiting.length > 0) setImmediate(send);
    reactor.arrayCommands(batch.map(({ command }) => command)).then(
      (results) => {
        for (const [index, { resolve, reject }] of batch.entries()) {
          const result = results[index];
          if (result === undefined) reject(new Error("the emulated array did not answer"));
          else resolve(result);
        }
      },
      (reason: unknown) => {
        for (const { reject } of batch) reject(reason);
      },
    );
  };
  return {
    command: (device, cdb, bytes) => {
      const port = emulatedPort(device);
      if (port === null) return Promise.reject(new Error(`${device} is not a port of the emulated array`));
      if (waiting.length === 0) setImmediate(send);
      const { promise, resolve, reject } = Promise.withResolvers<ScsiResult>();
      waiting.push({ command: { port, cdb, data: bytes === 0 ? null : bytes }, resolve, reject });
      return promise;
    },
  };
}

/** Every port of the emulated array. */
export async function emulatedCandidates(reactor: ReactorClient): Promise<Candidate[]> {
  const ports = await reactor.arrayPorts();
  // One string per initiator port, not one per path.
  const initiators = new Map<string, string>();
  const initiatorOf = (path: string): string => {
    const host = path.slice(0, path.indexOf(":"));
    const name = initiators.get(host) ?? `host${host} emulated`;
    initiators.set(host, name);
    return name;
  };
  return ports.map((port) => ({
    device: `${EMULATED}${port.port}`,
    number: port.path,
    instance: null,
    ports: { initiator: `emulated.${port.initiatorPort}`, target: null, via: null },
    blockDevice: null,
    deviceNumber: null,
    protocol: null,
    initiatorPort: initiatorOf(port.path),
    transferBytesMax: null,
    queueDepth: null,
    commandsMax: null,
  }));
}
