// The system's log: one datagram per message to /dev/log (RFC 3164, as glibc's syslog(3) writes it).

import { MESSAGE_SOURCE } from "./event-log.ts";
import { MESSAGES, sentence, type Level, type Message } from "./messages.ts";

/** Sends a datagram to a Unix socket; throws when nobody listens. */
export type SendDatagram = (path: string, bytes: Uint8Array) => void;

const FACILITY_DAEMON = 3;
const SEVERITY: Record<Level, number> = { error: 3, warning: 4, info: 6 };
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const two = (value: number): string => String(value).padStart(2, "0");

/** One message in the socket's format. */
export function syslogDatagram(message: Message, pid: number): Uint8Array {
  const { number, level } = MESSAGES[message.kind];
  const time = new Date(message.timeMs);
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  const stamp = `${MONTHS[time.getMonth()]} ${String(time.getDate()).padStart(2, " ")} ${clock}`;
  const priority = FACILITY_DAEMON * 8 + SEVERITY[level];
  const text = sentence(message);
  return Buffer.from(`<${priority}>${stamp} ${MESSAGE_SOURCE}[${pid}]: ${number} ${text}`);
}

/** Copies important messages to the system log. A machine without one is no error. */
export class SystemLog {
  readonly #send: SendDatagram;
  readonly #socket: string;

  constructor(send: SendDatagram, socket = "/dev/log") {
    this.#send = send;
    this.#socket = socket;
  }

  write(messages: readonly Message[]): void {
    for (const message of messages) {
      if (!MESSAGES[message.kind].system) continue;
      try {
        this.#send(this.#socket, syslogDatagram(message, process.pid));
      } catch {
        return;
      }
    }
  }
}
