// Where NBD clients connect, and what a client brings when its negotiation is finished.

import type { Rule } from "./permission.ts";
import type { TlsTerminator } from "./tls/terminator.ts";

/** Where clients connect. */
export type NbdAddress =
  /** A Unix socket; `mode` (default 0660) and `group` (a gid) decide who may connect. */
  | { readonly kind: "unix"; readonly path: string; readonly mode?: number; readonly group?: number }
  /** TCP; without `access` unencrypted and open to everyone: only for a trusted network. Port 0 picks a free one. */
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly access?: TcpAccess };

/** Who may connect over TCP, and how. */
export interface TcpAccess {
  /** Null without TLS. If `isRequired` is false, clients without TLS may use exports that are open to anyone. */
  readonly tls: { readonly terminator: Pick<TlsTerminator, "secure">; readonly isRequired: boolean } | null;
  /** The rules in force now. */
  readonly rules: () => readonly Rule[];
}

/** A client that has finished its negotiation. */
export interface NegotiatedConnection {
  /** A descriptor of its own; the receiver must close it, even when taking over fails. */
  readonly descriptor: number;
  /** Handle of the unit in the reactor. */
  readonly unit: number;
  /** Number of the unit: while the client negotiated, the unit may have gone to another reactor. */
  readonly number: number;
  /** CONNECTION_* flags. */
  readonly flags: number;
  /** Bytes of the transmission phase that have been read already, at most CONNECTION_RECEIVE_BYTES. */
  readonly preloaded: Uint8Array;
}
