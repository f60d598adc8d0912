// Files by which servers prove their identity: read at the start and at every reload, all of them before any takes effect, and
// checked for expiry.

import { X509Certificate } from "node:crypto";
import type { EventHub } from "../events/event-hub.ts";
import type { Configuration } from "../schemas/configuration-schema.ts";

const DAY_MS = 86_400_000;
const WARNING_DAYS = 30;

/** One or several certificates of the daemon. */
export interface NamedCertificates {
  /** The key that names the file. */
  readonly parameter: string;
  readonly file: string;
  readonly pem: Uint8Array;
}

/** A server that uses such files. */
export interface TlsSource {
  /**
   * Reads its files again and checks them.
   * @returns a function that puts them in force
   * @throws ControlError
   */
  read(configuration: Configuration): () => void;
  readonly certificates: readonly NamedCertificates[];
}

const BLOCK = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END (?:X509 |TRUSTED )?CERTIFICATE-----/g;

/** When the first of them expires. */
export function expiryOf(pem: Uint8Array): Date | null {
  const blocks = Buffer.from(pem).toString("latin1").match(BLOCK) ?? [];
  const ends = blocks.map((block) => new X509Certificate(block).validToDate.getTime());
  return ends.length === 0 ? null : new Date(Math.min(...ends));
}

export class TlsSources {
  readonly #sources: TlsSource[] = [];
  readonly #hub: EventHub;
  readonly #timer: NodeJS.Timeout;

  constructor(hub: EventHub) {
    this.#hub = hub;
    this.#timer = setInterval(() => this.#check(this.#sources), DAY_MS).unref();
  }

  /** Adds a server whose files have been read already. */
  add(source: TlsSource): void {
    this.#sources.push(source);
    this.#check([source]);
  }

  /** Reads every file; returns a function that puts them in force. Throws ControlError, and nothing has changed. */
  read(configuration: Configuration): () => void {
    const apply = this.#sources.map((source) => source.read(configuration));
    return () => {
      for (const one of apply) one();
      this.#check(this.#sources);
    };
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #check(sources: readonly TlsSource[]): void {
    for (const { parameter, file, pem } of sources.flatMap(({ certificates }) => certificates)) {
      const expiry = expiryOf(pem);
      if (expiry === null) continue;
      const days = Math.floor((expiry.getTime() - Date.now()) / DAY_MS);
      const detail = { key: parameter, file, "valid until": expiry.toISOString(), days };
      if (days < 0) this.#hub.say("certificate-expired", { detail });
      else if (days < WARNING_DAYS) this.#hub.say("certificate-expiring", { detail });
    }
  }
}
