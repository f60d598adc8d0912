// Who may open which export, and how. A client does not see exports that it may not open.

import type { ExportDirectory, NbdExport } from "./directory.ts";
import type { TlsPeer } from "./tls/peer.ts";

/** What a client sees of the directory, at the moment it asks. */
export interface Offer {
  readonly entries: readonly NbdExport[];
  /** The export a client names; the empty name means the default one. */
  find(name: string): NbdExport | undefined;
}

/** Whom a rule is about. */
export type RuleSubject =
  | { readonly kind: "psk"; readonly identity: string }
  /** Distinguished name of the client's certificate, whole, as in RFC 4514. */
  | { readonly kind: "subject"; readonly subject: string }
  /** One of the certificate's alternative names, with its type. */
  | { readonly kind: "name"; readonly name: string }
  /** Everybody who may connect, without TLS as well. */
  | { readonly kind: "anyone" };

export interface Rule {
  readonly who: RuleSubject;
  /** By any name of the export. */
  readonly exports: "all" | readonly string[];
  readonly isReadOnly: boolean;
}

function isAbout({ who }: Rule, peer: TlsPeer | null): boolean {
  switch (who.kind) {
    case "anyone":
      return true;
    case "psk":
      return peer?.kind === "psk" && peer.identity === who.identity;
    case "subject":
      return peer?.kind === "certificate" && peer.subject === who.subject;
    case "name":
      return peer?.kind === "certificate" && peer.names.includes(who.name);
  }
}

/**
 * The part of a directory that the rules allow one client (null: a client without TLS). Rules add up. Without any rule everybody
 * who may connect may open everything.
 */
export class PermittedOffer implements Offer {
  readonly #directory: ExportDirectory;
  readonly #rules: () => readonly Rule[];
  readonly #peer: TlsPeer | null;

  /** @param rules those in force when they are asked for */
  constructor(directory: ExportDirectory, rules: () => readonly Rule[], peer: TlsPeer | null) {
    this.#directory = directory;
    this.#rules = rules;
    this.#peer = peer;
  }

  get entries(): readonly NbdExport[] {
    return this.#directory.entries.map((entry) => this.#permitted(entry)).filter((entry) => entry !== undefined);
  }

  find(name: string): NbdExport | undefined {
    const entry = this.#directory.find(name);
    return entry === undefined ? undefined : this.#permitted(entry);
  }

  #permitted(entry: NbdExport): NbdExport | undefined {
    const all = this.#rules();
    if (all.length === 0) return entry;
    const rules = all.filter(
      (rule) =>
        isAbout(rule, this.#peer) &&
        (rule.exports === "all" || rule.exports.some((name) => name !== "" && this.#directory.find(name) === entry)),
    );
    if (rules.length === 0) return undefined;
    return rules.some(({ isReadOnly }) => !isReadOnly) ? entry : { ...entry, readOnly: true };
  }
}
