// The client's side of the handshake, as bytes: what the tests say and what they understand. Written from the protocol's
// description alone, so that it does not share a mistake with the server.

const IHAVEOPT = 0x49484156454f5054n;
const REPLY_MAGIC = 0x3e889045565a9n;

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

/** An option; `length` lies about its data when given. */
export function option(code: number, data: Uint8Array = Buffer.alloc(0), length = data.length): Buffer {
  return Buffer.concat([u64(IHAVEOPT), u32(code), u32(length), data]);
}

/** Data of INFO and GO. */
export function infoData(name: string, requests: number[] = []): Buffer {
  const text = Buffer.from(name);
  return Buffer.concat([u32(text.length), text, u16(requests.length), ...requests.map(u16)]);
}

/** Data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export function metaData(name: string, queries: string[] = []): Buffer {
  const text = Buffer.from(name);
  const parts = queries.map((query) => Buffer.concat([u32(Buffer.byteLength(query)), Buffer.from(query)]));
  return Buffer.concat([u32(text.length), text, u32(queries.length), ...parts]);
}

export interface Reply {
  option: number;
  type: number;
  data: Buffer;
}

/** Takes option replies apart; throws on anything else. */
export function replies(bytes: Uint8Array): Reply[] {
  const all = Buffer.from(bytes);
  const found: Reply[] = [];
  for (let at = 0; at < all.length;) {
    if (all.readBigUInt64BE(at) !== REPLY_MAGIC) throw new Error(`no option reply at byte ${at}`);
    const length = all.readUInt32BE(at + 16);
    const data = all.subarray(at + 20, at + 20 + length);
    if (data.length !== length) throw new Error(`the reply at byte ${at} is cut off`);
    found.push({ option: all.readUInt32BE(at + 8), type: all.readUInt32BE(at + 12), data });
    at += 20 + length;
  }
  return found;
}
