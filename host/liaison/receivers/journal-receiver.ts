// Notices to systemd's journal by its native protocol, with fields of their own: `journalctl PATHMANAGER_PATH=4:0:0:0`, and with the
// message id `journalctl -x` explains them (host/cli/packaging/pathmanager.catalog).

import { messageId } from "../message-id.ts";
import type { SendDatagram } from "../system-log.ts";
import type { Notice } from "./notice.ts";
import type { Transport } from "./receiver.ts";
import { SEVERITY } from "./syslog-message.ts";

const JOURNAL_SOCKET = "/run/systemd/journal/socket";

/** `PATHMANAGER_DETAIL_FOR_MS`; names of fields are capitals, digits and underscores. */
const fieldName = (name: string): string => `PATHMANAGER_DETAIL_${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_")}`;

/** One entry. A value with line ends has its length before it instead of an equals sign (systemd.journal-fields, "native"). */
export function journalEntry(notice: Notice): Buffer {
  const { text, level, message, kind, unit, identity, array, path, id, detail } = notice;
  const details = Object.entries(detail).map(([name, value]) => [fieldName(name), value] as const);
  const fields: readonly (readonly [string, string | number | boolean | null])[] = [
    ["MESSAGE", `${message} ${text}`],
    ["MESSAGE_ID", messageId(message)],
    ["PRIORITY", SEVERITY[level]],
    ["SYSLOG_IDENTIFIER", "pathmanager"],
    ["SYSLOG_FACILITY", 3],
    ["PATHMANAGER_MESSAGE", message],
    ["PATHMANAGER_KIND", kind],
    ["PATHMANAGER_UNIT", unit],
    ["PATHMANAGER_IDENTITY", identity],
    ["PATHMANAGER_ARRAY", array],
    ["PATHMANAGER_PATH", path],
    ["PATHMANAGER_ID", id],
    ...details,
  ];
  const parts = fields
    .filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => {
      const bytes = Buffer.from(String(value));
      if (!bytes.includes(0x0a)) return Buffer.concat([Buffer.from(`${name}=`), bytes, Buffer.from("\n")]);
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(bytes.length));
      return Buffer.concat([Buffer.from(`${name}\n`), length, bytes, Buffer.from("\n")]);
    });
  return Buffer.concat(parts);
}

export class JournalReceiver implements Transport {
  readonly batchMax = 50;
  readonly #send: SendDatagram;
  readonly #socket: string;

  constructor(send: SendDatagram, socket = JOURNAL_SOCKET) {
    this.#send = send;
    this.#socket = socket;
  }

  async send(batch: readonly Notice[]): Promise<void> {
    for (const notice of batch) this.#send(this.#socket, journalEntry(notice));
  }

  close(): void {
    // Nothing stays open.
  }
}
