// Who else is told of events: makes the receivers that the configuration names, hands them what is for them, and replaces those
// that a reload changes.

import { hostname } from "node:os";
import { sendDatagram } from "../../native/index.ts";
import { clean } from "../../liaison/clean.ts";
import { kindOf, receivers as marksOf, type MessageName } from "../../liaison/messages.ts";
import { JournalReceiver } from "../../liaison/receivers/journal-receiver.ts";
import { MailReceiver } from "../../liaison/receivers/mail-receiver.ts";
import { isForAlerts } from "../../liaison/receivers/alerts.ts";
import { isFor, type Notice } from "../../liaison/receivers/notice.ts";
import { Receiver, type Listener, type ReceiverStatus, type Transport } from "../../liaison/receivers/receiver.ts";
import { SnmpReceiver } from "../../liaison/receivers/snmp-receiver.ts";
import { syslogAddress, SyslogReceiver } from "../../liaison/receivers/syslog-receiver.ts";
import { Webhook } from "../../liaison/receivers/webhook.ts";
import type { EventHub } from "../events/event-hub.ts";
import { ControlError } from "../ground/control-errors.ts";
import type { Configuration } from "../schemas/configuration-schema.ts";
import type { ReceiverEntry } from "../schemas/receiver-schema.ts";
import { readNamed, readSecret } from "../tls/secrets.ts";
import type { TlsSource } from "../tls/sources.ts";
import { counted } from "../../wording.ts";

const SECRET_BYTES_MIN = 16;
/** How long the last notices may take when the daemon stops. */
const STOP_MS_MAX = 1000;
const SENDMAIL = "/usr/sbin/sendmail";

interface Running {
  readonly entry: ReceiverEntry;
  /** The entry and the files it names, as text: what differs is made anew. */
  readonly made: string;
  readonly receiver: Receiver;
}

function secretOf(key: string, { secret_file: file }: ReceiverEntry): Buffer | undefined {
  if (file === undefined) return undefined;
  const secret = Buffer.from(readSecret(key, file).toString("utf8").trim());
  if (secret.length >= SECRET_BYTES_MIN) return secret;
  throw new ControlError("CONFIGURATION", `the secret in ${file} is shorter than ${SECRET_BYTES_MIN} bytes`, {
    parameter: key,
    remedy: "put a long random one there, like `openssl rand -hex 32` makes",
  });
}

interface Files {
  readonly secret: Buffer | undefined;
  readonly authority: Buffer | undefined;
  /** Of SNMP. */
  readonly community: string | undefined;
  readonly auth: string | undefined;
  readonly privacy: string | undefined;
}

/** RFC 3414, 11.2: no shorter passphrase. */
const PASSPHRASE_BYTES_MIN = 8;

/** The text of a file that holds a secret of SNMP. */
function snmpSecret(entry: ReceiverEntry, name: "community_file" | "auth_file" | "privacy_file"): string | undefined {
  const file = entry[name];
  if (file === undefined) return undefined;
  const key = `receivers.${entry.name}.${name}`;
  const text = readSecret(key, file).toString("utf8").trim();
  const min = name === "community_file" ? 1 : PASSPHRASE_BYTES_MIN;
  if (Buffer.byteLength(text) >= min) return text;
  throw new ControlError("CONFIGURATION", `${key}: what is in ${file} is shorter than ${counted(min, "byte")}`, {
    parameter: key,
  });
}

function filesOf(entry: ReceiverEntry): Files {
  const key = `receivers.${entry.name}`;
  return {
    secret: secretOf(`${key}.secret_file`, entry),
    authority: entry.authority === undefined ? undefined : readNamed(`${key}.authority`, entry.authority),
    community: snmpSecret(entry, "community_file"),
    auth: snmpSecret(entry, "auth_file"),
    privacy: snmpSecret(entry, "privacy_file"),
  };
}

function snmpOf(entry: ReceiverEntry, { community, auth, privacy }: Files, host: string): SnmpReceiver {
  const address = snmpAddress(entry.address ?? "");
  const access =
    entry.version === "3"
      ? ({ version: "3", user: entry.user ?? "", auth, privacy } as const)
      : ({ version: "2c", community: community ?? "" } as const);
  return new SnmpReceiver({ ...address, host, isConfirmed: entry.confirmed === true, access });
}

/** The schema has checked its form. */
function snmpAddress(text: string): { readonly server: string; readonly port: number } {
  const address = syslogAddress(/:\d+$/.test(text) ? text : `${text}:162`);
  return address === null || address.kind === "unix"
    ? { server: "", port: 0 }
    : { server: address.host, port: address.port };
}

function transportOf(entry: ReceiverEntry, files: Files): Transport {
  const { secret, authority } = files;
  const host = hostname();
  switch (entry.kind) {
    case "webhook":
      return new Webhook({ url: entry.url ?? "", shape: entry.shape ?? "plain", host, secret, authority });
    case "syslog": {
      const address = syslogAddress(entry.address ?? "");
      if (address === null) {
        throw new ControlError("CONFIGURATION", `receivers: ${entry.address} is no address of a syslog server`, {
          parameter: "receivers.address",
        });
      }
      return new SyslogReceiver({ address, host, sendDatagram, authority });
    }
    case "snmp":
      return snmpOf(entry, files, host);
    case "journald":
      return new JournalReceiver(sendDatagram);
    case "mail":
      return new MailReceiver({ program: entry.program ?? SENDMAIL, to: entry.to ?? "", host });
  }
}

/** What a unit is known by on all hosts. */
type UnitNames = Pick<Notice, "identity" | "array">;
const NO_UNIT: UnitNames = { identity: null, array: null };

export class Receiving implements TlsSource {
  readonly #hub: Pick<EventHub, "say" | "last">;
  readonly #listener: Listener;
  #running: readonly Running[] = [];
  readonly #unfollow: () => void;

  /** @param ofUnit what is known of a unit with this number */
  constructor(hub: Pick<EventHub, "say" | "follow" | "last">, ofUnit: (number: number) => UnitNames | null) {
    this.#hub = hub;
    this.#listener = {
      failed: (receiver, reason) => hub.say("receiver-failed", { detail: { receiver, reason } }),
      restored: (receiver, _, dropped, failedMs) =>
        hub.say("receiver-restored", { detail: { receiver, dropped, "failed for s": Math.round(failedMs / 1000) } }),
    };
    // The hub's kinds are those of the catalogue.
    this.#unfollow = hub.follow((event) => {
      const { identity, array } = (event.unit === null ? null : ofUnit(event.unit)) ?? NO_UNIT;
      // What a device calls its array is harmless only now.
      this.#offer({ ...event, identity, array: array === null ? null : clean(array), kind: event.kind as MessageName });
    });
  }

  /** Certificates that this daemon shows; these only verify others'. */
  readonly certificates = [];

  /** Reads the files of all receivers; the function that is returned puts the changed ones in force. */
  read({ receivers }: Configuration): () => void {
    const kept: Running[] = [];
    const made: Running[] = [];
    for (const entry of receivers) {
      const files = filesOf(entry);
      const text = JSON.stringify([entry, files]);
      const before = this.#running.find((running) => running.made === text);
      if (before === undefined) made.push({ entry, made: text, receiver: this.#make(entry, files) });
      else kept.push(before);
    }
    return () => {
      for (const running of this.#running) if (!kept.includes(running)) void running.receiver.stop(STOP_MS_MAX);
      this.#running = [...kept, ...made];
    };
  }

  #make(entry: ReceiverEntry, files: Files): Receiver {
    const { name, kind, queue_max: queueMax } = entry;
    return new Receiver({ name, kind, transport: transportOf(entry, files), queueMax, listener: this.#listener });
  }

  #offer(notice: Notice): void {
    for (const { entry, receiver } of this.#running) {
      // What is said about a receiver would only be in its own way.
      const isAboutIt = notice.kind.startsWith("receiver-") && notice.detail["receiver"] === entry.name;
      const isItsOwn = entry.shape === "alertmanager" ? isForAlerts : isFor;
      if (!isAboutIt && isItsOwn(notice, entry)) receiver.offer(notice);
    }
  }

  get statuses(): ReceiverStatus[] {
    return this.#running.map(({ receiver }) => receiver.status);
  }

  /** Sends a test message at once; says for each what came back. @throws ControlError when there is no such receiver */
  async test(name: string | undefined) {
    const chosen = this.#running.filter(({ entry }) => name === undefined || entry.name === name);
    if (chosen.length === 0) {
      throw new ControlError(
        "INVALID_REQUEST",
        name === undefined ? "no receiver is configured" : `there is no receiver ${name}`,
        {
          parameter: "receiver",
          remedy: "name receivers with [[receivers]] in the configuration",
        },
      );
    }
    const { number, level, text } = kindOf("receiver-test");
    const notice: Notice = {
      id: this.#hub.last,
      time: Date.now(),
      message: number,
      kind: "receiver-test",
      level,
      ...marksOf("receiver-test"),
      text,
      unit: null,
      ...NO_UNIT,
      path: null,
      detail: {},
    };
    const results = chosen.map(async ({ entry, receiver }) => ({
      receiver: entry.name,
      kind: entry.kind,
      failed: await receiver.test(notice),
    }));
    return { results: await Promise.all(results) };
  }

  async stop(): Promise<void> {
    this.#unfollow();
    await Promise.all(this.#running.map(({ receiver }) => receiver.stop(STOP_MS_MAX)));
  }
}
