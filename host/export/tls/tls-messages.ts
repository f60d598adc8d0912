// Messages to and from the TLS thread.

import type { TlsPeer } from "./peer.ts";

/** How this server proves its identity, and how it recognizes its clients. PEM, keys without a passphrase. */
export interface TlsSettings {
  /** Omitted: clients authenticate with keys from `psk` only. */
  readonly x509?: {
    readonly certificate: Uint8Array;
    readonly key: Uint8Array;
    /** Who signs the certificates of clients. */
    readonly authorities: Uint8Array;
  };
  /** Pre-shared keys by identity. */
  readonly psk: ReadonlyMap<string, Uint8Array>;
}

export type ToWorker =
  /** For new connections; existing ones are not affected. */
  | { readonly kind: "settings"; readonly settings: TlsSettings }
  /** The worker owns both descriptors from now on: the client's, and its end of the pair that carries plain bytes. */
  | { readonly kind: "connection"; readonly id: number; readonly client: number; readonly plain: number }
  /** Nobody waits for it any more. */
  | { readonly kind: "cancel"; readonly id: number };

export type FromWorker =
  | { readonly kind: "secured"; readonly id: number; readonly peer: TlsPeer }
  | { readonly kind: "failed"; readonly id: number; readonly reason: string };
