// Notices as SNMP notifications: traps, or informs, which the receiver confirms; version 2c, or 3 with authentication (SHA-256) and
// privacy (AES). npm's net-snmp is loaded only where a receiver needs it.

import type { Session, Varbind, User } from "net-snmp";
import type { Level } from "../messages.ts";
import { ENTERPRISE, notificationOid, objectOid, type ObjectName } from "./mib.ts";
import type { Notice } from "./notice.ts";
import type { Transport } from "./receiver.ts";

export interface SnmpOptions {
  readonly server: string;
  readonly port: number;
  readonly host: string;
  readonly isConfirmed: boolean;
  readonly access:
    | { readonly version: "2c"; readonly community: string }
    | {
        readonly version: "3";
        readonly user: string;
        readonly auth?: string | undefined;
        readonly privacy?: string | undefined;
      };
}

const TIMEOUT_MS = 2000;
const RETRIES = 1;
/** A text of the MIB: DisplayString with at most so many bytes. */
const TEXT_BYTES_MAX = 1000;
const LEVEL: Readonly<Record<Level, number>> = { info: 1, warning: 2, error: 3 };
/** No unit: one that no unit's number can be. */
const NO_UNIT = -1;

/** The engine id of this host's traps (RFC 3411, SnmpEngineID, format 4: text), in hexadecimal. */
export function engineId(host: string): string {
  const name = Buffer.from(host).subarray(0, 27).toString("hex");
  return `${(0x80000000 + ENTERPRISE).toString(16)}04${name}`;
}

/** A DisplayString is ASCII. */
const ascii = (text: string): string => text.replaceAll(/[^\u0020-\u007e]/gu, "?").slice(0, TEXT_BYTES_MAX);

type Snmp = (typeof import("net-snmp"))["default"];

function varbinds({ ObjectType }: Snmp, notice: Notice, host: string): Varbind[] {
  const text = (name: ObjectName, value: string): Varbind => ({
    oid: objectOid(name),
    type: ObjectType.OctetString,
    value: ascii(value),
  });
  const whole = (name: ObjectName, value: number, type = ObjectType.Integer): Varbind => ({
    oid: objectOid(name),
    type,
    value,
  });
  return [
    // Ids beyond 32 bits begin again at 0.
    whole("id", notice.id % 2 ** 32, ObjectType.Unsigned32),
    whole("number", notice.message),
    text("kind", notice.kind),
    whole("level", LEVEL[notice.level]),
    text("text", notice.text),
    text("host", host),
    whole("unit", notice.unit ?? NO_UNIT),
    text("path", notice.path ?? ""),
    text("time", new Date(notice.time).toISOString()),
    text("identity", notice.identity ?? ""),
    text("array", notice.array ?? ""),
  ];
}

function userOf(snmp: Snmp, { user, auth, privacy }: Extract<SnmpOptions["access"], { version: "3" }>): User {
  const { SecurityLevel, AuthProtocols, PrivProtocols } = snmp;
  if (auth === undefined) return { name: user, level: SecurityLevel.noAuthNoPriv };
  const signed = { name: user, authProtocol: AuthProtocols.sha256, authKey: auth };
  if (privacy === undefined) return { ...signed, level: SecurityLevel.authNoPriv };
  return { ...signed, level: SecurityLevel.authPriv, privProtocol: PrivProtocols.aes, privKey: privacy };
}

export class SnmpReceiver implements Transport {
  readonly batchMax = 1;
  readonly #options: SnmpOptions;

  constructor(options: SnmpOptions) {
    this.#options = options;
  }

  #session(snmp: Snmp): Session {
    const { server, port, host, access } = this.#options;
    const transport = server.includes(":") ? "udp6" : "udp4";
    const common = { transport, trapPort: port, retries: RETRIES, timeout: TIMEOUT_MS, idBitsSize: 32 } as const;
    if (access.version === "2c") {
      return snmp.createSession(server, access.community, { ...common, version: snmp.Version2c });
    }
    return snmp.createV3Session(server, userOf(snmp, access), { ...common, engineID: engineId(host) });
  }

  async send(batch: readonly Notice[], signal: AbortSignal): Promise<void> {
    const { default: snmp } = await import("net-snmp");
    const { host, isConfirmed } = this.#options;
    for (const notice of batch) {
      const session = this.#session(snmp);
      const close = (): void => session.close();
      signal.addEventListener("abort", close, { once: true });
      try {
        await new Promise<void>((resolve, reject) => {
          session.on("error", reject);
          const answered = (error: Error | null): void => {
            if (error) reject(error);
            else resolve();
          };
          const send = isConfirmed ? session.inform.bind(session) : session.trap.bind(session);
          send(notificationOid(notice.message), varbinds(snmp, notice, host), {}, answered);
        });
      } finally {
        signal.removeEventListener("abort", close);
        session.close();
      }
    }
  }

  close(): void {
    // Every notification has a session of its own.
  }
}
