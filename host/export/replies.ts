// The server's replies in the handshake phase, as bytes.

import { blockSizes, canonicalName, type NbdExport, transmissionFlags } from "./directory.ts";
import {
  CONTEXT_ALLOCATION,
  CONTEXT_ALLOCATION_NAME,
  EXPORT_NAME_PADDING_BYTES,
  INFO_BLOCK_SIZE,
  INFO_DESCRIPTION,
  INFO_EXPORT,
  INFO_NAME,
  OPTION_LIST,
  OPTION_REPLY_MAGIC,
  OPTION_SET_META_CONTEXT,
  REPLY_ACK,
  REPLY_INFO,
  REPLY_META_CONTEXT,
  REPLY_SERVER,
} from "./handshake-numbers.ts";

/** A metadata context by name; its number is sent only to clients that select it (NBD protocol, "Metadata querying"). */
export function contextReply(option: number): Buffer {
  const number = option === OPTION_SET_META_CONTEXT ? CONTEXT_ALLOCATION : 0;
  return optionReply(option, REPLY_META_CONTEXT, u32(number), Buffer.from(CONTEXT_ALLOCATION_NAME));
}

/** One option reply. */
export function optionReply(option: number, type: number, ...data: Uint8Array[]): Buffer {
  const header = Buffer.alloc(20);
  header.writeBigUInt64BE(OPTION_REPLY_MAGIC, 0);
  header.writeUInt32BE(option, 8);
  header.writeUInt32BE(type, 12);
  header.writeUInt32BE(
    data.reduce((sum, part) => sum + part.length, 0),
    16,
  );
  return Buffer.concat([header, ...data]);
}

/** An error reply with a sentence for the person using the client. */
export function optionError(option: number, type: number, text: string): Buffer {
  return optionReply(option, type, Buffer.from(text));
}

/** LIST: every export by its canonical name, followed by a description for people; then the end. */
export function listReplies(entries: readonly NbdExport[]): Buffer {
  const replies = entries.map((entry) => {
    const name = Buffer.from(canonicalName(entry));
    const description = Buffer.from(entry.description ?? "");
    return optionReply(OPTION_LIST, REPLY_SERVER, u32(name.length), name, description);
  });
  return Buffer.concat([...replies, optionReply(OPTION_LIST, REPLY_ACK)]);
}

/**
 * INFO and GO, without the ACK after them. Size, flags and block sizes are always sent ("the server MAY send others than asked
 * for"), names only on request.
 */
export function infoReplies(
  option: number,
  entry: NbdExport,
  structured: boolean,
  requests: ReadonlySet<number>,
): Buffer {
  const { minimum, preferred, payloadMax } = blockSizes(entry);
  const sizes = Buffer.concat([u16(INFO_BLOCK_SIZE), u32(minimum), u32(preferred), u32(payloadMax)]);
  const replies = [
    optionReply(option, REPLY_INFO, u16(INFO_EXPORT), sizeAndFlags(entry, structured)),
    optionReply(option, REPLY_INFO, sizes),
  ];
  if (requests.has(INFO_NAME)) {
    replies.push(optionReply(option, REPLY_INFO, u16(INFO_NAME), Buffer.from(canonicalName(entry))));
  }
  if (requests.has(INFO_DESCRIPTION) && entry.description !== undefined) {
    replies.push(optionReply(option, REPLY_INFO, u16(INFO_DESCRIPTION), Buffer.from(entry.description)));
  }
  return Buffer.concat(replies);
}

/** EXPORT_NAME: no reply header, and zeroes at the end unless both sides agreed to omit them. */
export function exportReply(entry: NbdExport, structured: boolean, noZeroes: boolean): Buffer {
  return Buffer.concat([sizeAndFlags(entry, structured), Buffer.alloc(noZeroes ? 0 : EXPORT_NAME_PADDING_BYTES)]);
}

function sizeAndFlags(entry: NbdExport, structured: boolean): Buffer {
  const bytes = Buffer.alloc(10);
  bytes.writeBigUInt64BE(entry.bytes, 0);
  bytes.writeUInt16BE(transmissionFlags(entry, structured), 8);
  return bytes;
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
