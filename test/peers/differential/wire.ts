// Parses a server's output for comparison: every message becomes one line that contains all of its bytes, except the content
// of reads, which is replaced by its digest, and text for humans, which is kept separately.

import { createHash } from "node:crypto";

const REPLY_MAGIC = 0x3e889045565a9n;
const SIMPLE_MAGIC = 0x67446698;
const STRUCTURED_MAGIC = 0x668e33ef;

/** A message of a server. */
export interface Message {
  /** The whole message, as one line. */
  readonly text: string;
  /** What it answers: an option or a cookie. */
  readonly about: bigint;
  /** It is the last answer to this option or cookie. */
  readonly isLast: boolean;
  readonly next: number;
}

/** Bytes in the simple reply to a READ, by cookie. */
export type ReadLengths = ReadonlyMap<bigint, number>;

const digest = (bytes: Uint8Array): string => createHash("sha1").update(bytes).digest("hex").slice(0, 12);

const OPTION_ERROR = 0x80000000;
const INFO = 3;

/** The option reply at `at`; undefined when it is incomplete. Throws when there is none. */
export function optionReply(bytes: Buffer, at: number): Message | undefined {
  if (bytes.length - at < 20) return undefined;
  if (bytes.readBigUInt64BE(at) !== REPLY_MAGIC) throw new Error(`no option reply: ${bytes.toString("hex", at)}`);
  const option = bytes.readUInt32BE(at + 8);
  const type = bytes.readUInt32BE(at + 12);
  const length = bytes.readUInt32BE(at + 16);
  if (bytes.length - at - 20 < length) return undefined;
  const data = bytes.subarray(at + 20, at + 20 + length);
  const isError = type >= OPTION_ERROR;
  const shown = isError ? `error ${type - OPTION_ERROR} says ${JSON.stringify(data.toString())}` : reply(type, data);
  return {
    text: `option ${option}: ${shown}`,
    about: BigInt(option),
    isLast: isError || type === 1,
    next: at + 20 + length,
  };
}

function reply(type: number, data: Buffer): string {
  if (type === INFO && data.length >= 2) return `info ${data.readUInt16BE(0)} ${data.toString("hex", 2)}`;
  return `reply ${type} ${data.toString("hex")}`;
}

/** The reply, or chunk of a reply, at `at`; undefined when it is incomplete. */
export function transmissionReply(bytes: Buffer, at: number, lengths: ReadLengths): Message | undefined {
  if (bytes.length - at < 16) return undefined;
  const magic = bytes.readUInt32BE(at);
  const about = bytes.readBigUInt64BE(at + 8);
  if (magic === SIMPLE_MAGIC) {
    const error = bytes.readUInt32BE(at + 4);
    const length = error === 0 ? (lengths.get(about) ?? 0) : 0;
    if (bytes.length - at - 16 < length) return undefined;
    const data = length === 0 ? "" : ` data ${length} ${digest(bytes.subarray(at + 16, at + 16 + length))}`;
    return { text: `${about}: simple error ${error}${data}`, about, isLast: true, next: at + 16 + length };
  }
  if (magic !== STRUCTURED_MAGIC) throw new Error(`no reply: ${bytes.toString("hex", at, at + 32)}`);
  if (bytes.length - at < 20) return undefined;
  const flags = bytes.readUInt16BE(at + 4);
  const type = bytes.readUInt16BE(at + 6);
  const length = bytes.readUInt32BE(at + 16);
  if (bytes.length - at - 20 < length) return undefined;
  const payload = bytes.subarray(at + 20, at + 20 + length);
  const text = `${about}: chunk ${type} flags ${flags} ${chunk(type, payload)}`.trimEnd();
  return { text, about, isLast: (flags & 1) !== 0, next: at + 20 + length };
}

function chunk(type: number, payload: Buffer): string {
  if (type === 1) {
    const data = payload.subarray(8);
    return `at ${payload.readBigUInt64BE(0)} data ${data.length} ${digest(data)}`;
  }
  if (type === 2) return `at ${payload.readBigUInt64BE(0)} hole ${payload.readUInt32BE(8)}`;
  if (type >= 0x8000) {
    const end = 6 + payload.readUInt16BE(4);
    return `error ${payload.readUInt32BE(0)}${payload.toString("hex", end)} says ${JSON.stringify(payload.toString("utf8", 6, end))}`;
  }
  return payload.toString("hex");
}

/** A piece of the content of a read that was answered in chunks. */
export interface Piece {
  readonly at: bigint;
  readonly bytes: Buffer;
}

/** The pieces of content in a structured reply. */
export function contentOf(bytes: Buffer, at: number): Piece | undefined {
  const type = bytes.readUInt16BE(at + 6);
  if (bytes.readUInt32BE(at) !== STRUCTURED_MAGIC || (type !== 1 && type !== 2)) return undefined;
  const end = at + 20 + bytes.readUInt32BE(at + 16);
  const offset = bytes.readBigUInt64BE(at + 20);
  const data = type === 1 ? bytes.subarray(at + 28, end) : Buffer.alloc(bytes.readUInt32BE(at + 28));
  return { at: offset, bytes: data };
}

/** Joins pieces of content into `at OFFSET data LENGTH DIGEST`; throws when they overlap or leave a gap. */
export function assembled(pieces: readonly Piece[]): string {
  const sorted = pieces.toSorted((a, b) => (a.at < b.at ? -1 : 1));
  let end = sorted[0]?.at ?? 0n;
  for (const piece of sorted) {
    if (piece.at !== end || piece.bytes.length === 0) throw new Error(`content at ${piece.at}, expected at ${end}`);
    end += BigInt(piece.bytes.length);
  }
  const data = Buffer.concat(sorted.map(({ bytes }) => bytes));
  return `at ${sorted[0]?.at ?? 0n} data ${data.length} ${digest(data)}`;
}
