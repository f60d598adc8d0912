// The NBD handshake phase, fixed newstyle, without a socket: bytes go in, steps come out. So every misuse can be tested with
// plain bytes, and the server (server.ts) only has to deal with time, sockets and descriptors.

import { CONNECTION_ALLOCATION, CONNECTION_EXTENDED, CONNECTION_STRUCTURED, CONNECTION_UNALIGNED } from "../abi.ts";
import { connectionFlags, type NbdExport } from "./directory.ts";
import type { Offer } from "./permission.ts";
import { Malformed, OptionReader } from "./reader.ts";
import { contextReply, exportReply, infoReplies, listReplies, optionError, optionReply } from "./replies.ts";
import * as P from "./handshake-numbers.ts";
import type { TlsPeer } from "./tls/peer.ts";
import { counted } from "../wording.ts";

/** What the server has to do next. */
export type NegotiationStep =
  /** Nothing to do until more bytes arrive. */
  | { readonly kind: "need" }
  /** Send these bytes, then ask again. `full`: the client is told that there is no room for it, and why. */
  | { readonly kind: "reply"; readonly bytes: Uint8Array; readonly full?: string }
  /** Send these bytes (maybe none), then close the connection. `reason` is for the log; `isFull`: for lack of room. */
  | { readonly kind: "close"; readonly bytes: Uint8Array; readonly reason: string; readonly isFull?: boolean }
  /** Send these bytes, the last in the clear; what arrives from then on is TLS. Then call `secured`. */
  | { readonly kind: "start-tls"; readonly bytes: Uint8Array }
  /** Send these bytes; what arrives from then on, beginning with `leftover`, belongs to the transmission phase. */
  | {
      readonly kind: "transmit";
      readonly bytes: Uint8Array;
      readonly entry: NbdExport;
      /** CONNECTION_* flags for the core. */
      readonly flags: number;
      readonly leftover: Uint8Array;
    };

export interface NegotiationLimits {
  /** Longest option that is read, in bytes; a longer one is skipped and answered with ERR_TOO_BIG. */
  readonly optionBytesMax: number;
  /** Bytes one client may send before the transmission phase; more closes the connection. */
  readonly totalBytesMax: number;
  /** Options one client may send; more closes the connection. */
  readonly optionsMax: number;
}

export const NEGOTIATION_LIMITS: NegotiationLimits = {
  optionBytesMax: 65536,
  totalBytesMax: 1 << 20,
  optionsMax: 1024,
};

/** Which way of using TLS is offered, and what a client may open then. */
export interface TlsOffer {
  /** True: nothing is answered without TLS (NBD protocol, "FORCEDTLS"); otherwise a client may open what is open to everybody ("SELECTIVETLS"). */
  readonly isRequired: boolean;
  /** The exports offered to the client that TLS has authenticated. */
  readonly offerTo: (peer: TlsPeer) => Offer;
}

const NOTHING = new Uint8Array(0);
const NEED: NegotiationStep = { kind: "need" };

/** One client's handshake. Call `greeting` once, then `receive` for every chunk and `next` until it needs more. */
export class Negotiation {
  #offer: Offer;
  readonly #limits: NegotiationLimits;
  readonly #noRoom: () => string | null;
  readonly #tls: TlsOffer | null;
  #isSecure = false;
  #phase: "flags" | "options" | "securing" | "over" = "flags";
  #noZeroes = false;
  #fixed = false;
  #structured = false;
  #extended = false;
  /** The export for which base:allocation was selected. */
  #allocation: NbdExport | undefined = undefined;
  #options = 0;
  /** Bytes of options seen so far, for the bound. */
  #total = 0;
  /** The option whose data is being discarded, and how much of that is still to come. */
  #skipping: { option: number; bytes: number } | undefined = undefined;
  #buffer: Buffer = Buffer.alloc(256);
  #start = 0;
  #end = 0;

  /**
   * @param offer the exports offered without TLS
   * @param noRoom why the client could not be handed over now; null if it could, and then a place is reserved for it
   * @param tls null where STARTTLS is not offered
   */
  constructor(
    offer: Offer,
    limits: NegotiationLimits = NEGOTIATION_LIMITS,
    noRoom: () => string | null = () => null,
    tls: TlsOffer | null = null,
  ) {
    this.#offer = offer;
    this.#limits = limits;
    this.#noRoom = noRoom;
    this.#tls = tls;
  }

  /** The server's first message (NBD protocol, "Fixed newstyle negotiation"). */
  greeting(): Uint8Array {
    const bytes = Buffer.alloc(18);
    bytes.writeBigUInt64BE(P.NBD_MAGIC, 0);
    bytes.writeBigUInt64BE(P.OPTION_MAGIC, 8);
    bytes.writeUInt16BE(P.HANDSHAKE_FIXED_NEWSTYLE | P.HANDSHAKE_NO_ZEROES, 16);
    return bytes;
  }

  /** Takes what has arrived. The bytes are copied; many chunks of one byte cost no more than one big one. */
  receive(chunk: Uint8Array): void {
    const held = this.#end - this.#start;
    if (this.#end + chunk.length > this.#buffer.length) {
      const roomier =
        held + chunk.length > this.#buffer.length ? Buffer.alloc((held + chunk.length) * 2) : this.#buffer;
      this.#buffer.copy(roomier, 0, this.#start, this.#end);
      this.#buffer = roomier;
      this.#start = 0;
      this.#end = held;
    }
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** The next thing to do. After "close" and "transmit" there is nothing more to ask. */
  next(): NegotiationStep {
    switch (this.#phase) {
      case "over":
      case "securing":
        return NEED;
      case "flags":
        return this.#clientFlags();
      case "options":
        return this.#skipping === undefined ? this.#option() : this.#skip();
    }
  }

  /** TLS is established, and this is the client. Whatever was negotiated before is forgotten (NBD protocol, STARTTLS). */
  secured(peer: TlsPeer): void {
    if (this.#phase !== "securing" || this.#tls === null) throw new Error("nobody asked for TLS");
    this.#offer = this.#tls.offerTo(peer);
    this.#isSecure = true;
    this.#structured = false;
    this.#extended = false;
    this.#allocation = undefined;
    this.#phase = "options";
  }

  /** Bytes received but not parsed yet. */
  get held(): number {
    return this.#end - this.#start;
  }

  #take(bytes: number): Buffer {
    const taken = this.#buffer.subarray(this.#start, this.#start + bytes);
    this.#start += bytes;
    return taken;
  }

  #close(reason: string, bytes: Uint8Array = NOTHING, isFull = false): NegotiationStep {
    this.#phase = "over";
    return { kind: "close", bytes, reason, isFull };
  }

  #clientFlags(): NegotiationStep {
    if (this.held < 4) return NEED;
    const flags = this.#take(4).readUInt32BE(0);
    // A client that insists on something unknown cannot be understood (NBD protocol: "MUST close the TCP connection").
    if ((flags & ~(P.HANDSHAKE_FIXED_NEWSTYLE | P.HANDSHAKE_NO_ZEROES)) !== 0) {
      return this.#close(`unknown client flags 0x${flags.toString(16)}`);
    }
    this.#fixed = (flags & P.HANDSHAKE_FIXED_NEWSTYLE) !== 0;
    this.#noZeroes = (flags & P.HANDSHAKE_NO_ZEROES) !== 0;
    this.#phase = "options";
    return this.next();
  }

  #option(): NegotiationStep {
    if (this.held < P.OPTION_HEADER_BYTES) return NEED;
    const header = this.#buffer.subarray(this.#start, this.#start + P.OPTION_HEADER_BYTES);
    const magic = header.readBigUInt64BE(0);
    const option = header.readUInt32BE(8);
    const bytes = header.readUInt32BE(12);
    if (magic !== P.OPTION_MAGIC) return this.#close(`wrong option magic 0x${magic.toString(16)}`);
    if (!this.#fixed && option !== P.OPTION_EXPORT_NAME) {
      return this.#close(`option ${option} from a client that did not agree to fixed newstyle`);
    }
    if (bytes > this.#limits.optionBytesMax) return this.#refuseBig(option, bytes);
    if (this.held < P.OPTION_HEADER_BYTES + bytes) return NEED;
    const overdone = this.#count(bytes);
    if (overdone !== undefined) return this.#close(overdone);
    this.#take(P.OPTION_HEADER_BYTES);
    return this.#answer(option, this.#take(bytes));
  }

  /** Counts an option; returns what is excessive once a limit is exceeded. */
  #count(bytes: number): string | undefined {
    this.#options += 1;
    this.#total += P.OPTION_HEADER_BYTES + bytes;
    if (this.#options > this.#limits.optionsMax) return `more than ${counted(this.#limits.optionsMax, "option")}`;
    if (this.#total > this.#limits.totalBytesMax)
      return `more than ${counted(this.#limits.totalBytesMax, "byte")} of options`;
    return undefined;
  }

  /** An option that no real client sends: skipped if that is cheap enough, otherwise the connection is closed. */
  #refuseBig(option: number, bytes: number): NegotiationStep {
    this.#take(P.OPTION_HEADER_BYTES);
    if (option === P.OPTION_EXPORT_NAME) return this.#close(`an export name of ${counted(bytes, "byte")}`);
    if (this.#count(bytes) !== undefined) {
      const text = `an option of ${counted(bytes, "byte")} is too big`;
      return this.#close(text, optionError(option, P.REPLY_ERR_TOO_BIG, text));
    }
    this.#skipping = { option, bytes };
    return this.#skip();
  }

  #skip(): NegotiationStep {
    const skipping = this.#skipping;
    if (skipping === undefined) return NEED;
    const bytes = Math.min(skipping.bytes, this.held);
    this.#take(bytes);
    skipping.bytes -= bytes;
    if (skipping.bytes > 0) return NEED;
    this.#skipping = undefined;
    if (this.#mustSecure) return this.#tlsRequired(skipping.option);
    const text = `an option may have at most ${counted(this.#limits.optionBytesMax, "byte")}`;
    return this.#error(skipping.option, P.REPLY_ERR_TOO_BIG, text);
  }

  #error(option: number, reply: number, text: string): NegotiationStep {
    return { kind: "reply", bytes: optionError(option, reply, text) };
  }

  /** Whether only STARTTLS is answered. */
  get #mustSecure(): boolean {
    return this.#tls?.isRequired === true && !this.#isSecure;
  }

  #tlsRequired(option: number): NegotiationStep {
    return this.#error(option, P.REPLY_ERR_TLS_REQD, "this server speaks to clients over TLS only; use STARTTLS");
  }

  #answer(option: number, data: Buffer): NegotiationStep {
    if (this.#mustSecure && option !== P.OPTION_STARTTLS && option !== P.OPTION_ABORT) {
      if (option === P.OPTION_EXPORT_NAME) return this.#close("EXPORT_NAME without TLS, which is required here");
      return this.#tlsRequired(option);
    }
    try {
      switch (option) {
        case P.OPTION_EXPORT_NAME:
          return this.#exportName(data);
        case P.OPTION_ABORT:
          return this.#close("the client aborted", optionReply(option, P.REPLY_ACK));
        case P.OPTION_LIST:
          new OptionReader(data, "LIST").end();
          return { kind: "reply", bytes: listReplies(this.#offer.entries) };
        case P.OPTION_INFO:
        case P.OPTION_GO:
          return this.#infoOrGo(option, data);
        case P.OPTION_STRUCTURED_REPLY:
          return this.#structuredReply(data);
        case P.OPTION_LIST_META_CONTEXT:
        case P.OPTION_SET_META_CONTEXT:
          return this.#metaContext(option, data);
        case P.OPTION_STARTTLS:
          return this.#startTls(data);
        case P.OPTION_EXTENDED_HEADERS:
          return this.#extendedHeaders(data);
        default:
          return this.#error(option, P.REPLY_ERR_UNSUP, `option ${option} is not known`);
      }
    } catch (error) {
      if (error instanceof Malformed) return this.#error(option, P.REPLY_ERR_INVALID, error.message);
      throw error;
    }
  }

  #startTls(data: Buffer): NegotiationStep {
    const option = P.OPTION_STARTTLS;
    new OptionReader(data, "STARTTLS").end();
    if (this.#tls === null) return this.#error(option, P.REPLY_ERR_UNSUP, "TLS is not offered here");
    if (this.#isSecure) return this.#error(option, P.REPLY_ERR_INVALID, "this is TLS already");
    // It has to wait for the answer. What is sent in the clear with the question, by whomever, must not look as if it had
    // come through TLS.
    if (this.held > 0) return this.#close(`${counted(this.held, "byte")} in the clear behind STARTTLS`);
    this.#phase = "securing";
    return { kind: "start-tls", bytes: optionReply(option, P.REPLY_ACK) };
  }

  /** The old way to choose an export: it has no error reply, so a wrong name closes the connection. */
  #exportName(data: Buffer): NegotiationStep {
    if (this.#extended) return this.#close("EXPORT_NAME after extended headers were agreed; GO is for that");
    let name: string;
    try {
      name = new OptionReader(data, "EXPORT_NAME").text(data.length, "export name");
    } catch (error) {
      if (error instanceof Malformed) return this.#close(error.message);
      throw error;
    }
    const entry = this.#offer.find(name);
    if (entry === undefined) return this.#close(`no export has the name ${JSON.stringify(name)}`);
    const full = this.#noRoom();
    if (full !== null) return this.#close(full, NOTHING, true);
    // It cannot even ask for block sizes.
    return this.#transmit(entry, exportReply(entry, this.#structured, this.#noZeroes), true);
  }

  #infoOrGo(option: number, data: Buffer): NegotiationStep {
    const reader = new OptionReader(data, option === P.OPTION_GO ? "GO" : "INFO");
    const name = reader.text(reader.u32("name length"), "export name");
    const requests = new Set<number>();
    const count = reader.u16("number of information requests");
    for (let i = 0; i < count; i++) requests.add(reader.u16("information request"));
    reader.end();
    const entry = this.#offer.find(name);
    if (entry === undefined) return this.#unknownName(option, name);
    const replies = infoReplies(option, entry, this.#structured, requests);
    const bytes = Buffer.concat([replies, optionReply(option, P.REPLY_ACK)]);
    if (option !== P.OPTION_GO) return { kind: "reply", bytes };
    const full = this.#noRoom();
    if (full !== null) return { kind: "reply", bytes: optionError(option, P.REPLY_ERR_POLICY, full), full };
    return this.#transmit(entry, bytes, !requests.has(P.INFO_BLOCK_SIZE));
  }

  /** The same text for a missing export and for one that this client may not open: it must not learn which names exist. */
  #unknownName(option: number, name: string): NegotiationStep {
    if (this.#tls !== null && !this.#isSecure) {
      return this.#error(option, P.REPLY_ERR_TLS_REQD, "no export of this name is open to clients without TLS");
    }
    const unknown = P.REPLY_ERR_UNKNOWN;
    if (name !== "") return this.#error(option, unknown, "no export of this name is open to you; LIST tells the names");
    if (this.#offer.entries.length === 0) return this.#error(option, unknown, "nothing is exported to you yet");
    const text = "there is more than one logical unit, so the empty name means none; LIST tells the names";
    return this.#error(option, unknown, text);
  }

  #structuredReply(data: Buffer): NegotiationStep {
    const option = P.OPTION_STRUCTURED_REPLY;
    new OptionReader(data, "STRUCTURED_REPLY").end();
    if (this.#extended) {
      return this.#error(option, P.REPLY_ERR_EXT_HEADER_REQD, "extended headers are agreed already");
    }
    if (this.#structured) return this.#error(option, P.REPLY_ERR_INVALID, "structured replies are agreed already");
    this.#structured = true;
    return { kind: "reply", bytes: optionReply(option, P.REPLY_ACK) };
  }

  /** These are structured replies as well, with longer headers (NBD protocol, "Extended headers"). */
  #extendedHeaders(data: Buffer): NegotiationStep {
    const option = P.OPTION_EXTENDED_HEADERS;
    new OptionReader(data, "EXTENDED_HEADERS").end();
    if (this.#extended) return this.#error(option, P.REPLY_ERR_INVALID, "extended headers are agreed already");
    this.#extended = true;
    this.#structured = true;
    // A context selected for the other form of replies is not valid for this one.
    this.#allocation = undefined;
    return { kind: "reply", bytes: optionReply(option, P.REPLY_ACK) };
  }

  /** LIST returns base:allocation to a client that asks for it or for all contexts; SET selects it, or nothing. */
  #metaContext(option: number, data: Buffer): NegotiationStep {
    const isList = option === P.OPTION_LIST_META_CONTEXT;
    const name = isList ? "LIST_META_CONTEXT" : "SET_META_CONTEXT";
    // Even if it fails, a new selection replaces the previous one.
    if (!isList) this.#allocation = undefined;
    if (!this.#structured) throw new Malformed(`${name} needs structured replies to be agreed first`);
    const reader = new OptionReader(data, name);
    const exportName = reader.text(reader.u32("name length"), "export name");
    const count = reader.u32("number of queries");
    let isMeant = isList && count === 0;
    for (let i = 0; i < count; i++) {
      const query = reader.text(reader.u32("query length"), "query");
      if (query === P.CONTEXT_ALLOCATION_NAME || (isList && query === "base:")) isMeant = true;
    }
    reader.end();
    const entry = this.#offer.find(exportName);
    if (entry === undefined) return this.#unknownName(option, exportName);
    if (!isList && isMeant) this.#allocation = entry;
    const contexts = isMeant ? [contextReply(option)] : [];
    return { kind: "reply", bytes: Buffer.concat([...contexts, optionReply(option, P.REPLY_ACK)]) };
  }

  #transmit(entry: NbdExport, bytes: Uint8Array, unaligned: boolean): NegotiationStep {
    this.#phase = "over";
    const flags =
      connectionFlags(entry) |
      (this.#structured ? CONNECTION_STRUCTURED : 0) |
      (this.#extended ? CONNECTION_EXTENDED : 0) |
      (unaligned ? CONNECTION_UNALIGNED : 0) |
      // A selection is valid only for the export that it named.
      (this.#allocation?.unit === entry.unit ? CONNECTION_ALLOCATION : 0);
    const leftover = Uint8Array.prototype.slice.call(this.#take(this.held));
    return { kind: "transmit", bytes, entry, flags, leftover };
  }
}
