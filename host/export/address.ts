// Where NBD clients come in, and what one brings that has finished its negotiation.

import type { Rule } from "./permission.ts";
import type { TlsTerminator } from "./tls/terminator.ts";

/** Where clients come in. */
export type NbdAddress =
  /** A Unix socket; `mode` (default 0660) and `group` (a gid) decide who may connect. */
  | { readonly kind: "unix"; readonly path: string; readonly mode?: number; readonly group?: number }
  /** TCP; without `access` unencrypted and for everybody: for a trusted network only. Port 0 takes a free one. */
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly access?: TcpAccess };

/** Who may come in over TCP, and how. */
export interface TcpAccess {
  /** Null: without TLS. `isRequired` false: clients without TLS are let in as well, to what is for anyone. */
  readonly tls: { readonly terminator: Pick<TlsTerminator, "secure">; readonly isRequired: boolean } | null;
  /** Those in force now. */
  readonly rules: () => readonly Rule[];
}

/** A client that finished its negotiation. */
export interface NegotiatedConnection {
  /** A descriptor of its own; the taker has to close it, also when it fails. */
  readonly descriptor: number;
  /** Handle of the unit in the reactor. */
  readonly unit: number;
  /** CONNECTION_* flags. */
  readonly flags: number;
  /** Bytes of the transmission phase that were read already, at most CONNECTION_RECEIVE_BYTES. */
  readonly preloaded: Uint8Array;
}
