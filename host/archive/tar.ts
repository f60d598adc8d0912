// A tar archive of a few files in memory, in the format of POSIX.1-1988 (ustar), which every tar reads.

/** A file in an archive. */
export interface Entry {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What the headers of all files say; who owns them is nobody's business. */
export interface Marks {
  readonly timeMs: number;
  readonly mode: number;
}

const BLOCK = 512;

/** Where the fields of a header are: offset and length (POSIX.1-1988, 10.1.1). */
const NAME = { at: 0, length: 100 };
const SIZE = { at: 124, length: 12 };
const CHECKSUM = { at: 148, length: 8 };
const TYPE_AT = 156;
const PREFIX = { at: 345, length: 155 };

function put(header: Buffer, at: number, length: number, value: number): void {
  header.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
}

/** Sum of the header's bytes with blanks in place of the checksum. */
function checksumOf(header: Buffer): number {
  const copy = Buffer.from(header);
  copy.fill(0x20, CHECKSUM.at, CHECKSUM.at + CHECKSUM.length);
  return copy.reduce((sum, byte) => sum + byte, 0);
}

/** A long name goes into two fields, cut at a slash. */
function putName(header: Buffer, name: string): void {
  const cut = Buffer.byteLength(name) <= NAME.length ? -1 : name.lastIndexOf("/", PREFIX.length);
  const [prefix, rest] = [name.slice(0, Math.max(0, cut)), name.slice(cut + 1)];
  if (Buffer.byteLength(rest) > NAME.length || Buffer.byteLength(prefix) > PREFIX.length) {
    throw new RangeError(`name: ${name} is too long for an archive`);
  }
  header.write(rest, NAME.at);
  header.write(prefix, PREFIX.at);
}

function headerOf({ name, bytes }: Entry, { timeMs, mode }: Marks): Buffer {
  const header = Buffer.alloc(BLOCK);
  putName(header, name);
  put(header, 100, 8, mode);
  put(header, 108, 8, 0);
  put(header, 116, 8, 0);
  put(header, SIZE.at, SIZE.length, bytes.length);
  put(header, 136, 12, Math.floor(timeMs / 1000));
  header.write("0", TYPE_AT);
  header.write("ustar\u000000", 257, "latin1");
  put(header, CHECKSUM.at, CHECKSUM.length - 1, checksumOf(header));
  header.write(" ", CHECKSUM.at + CHECKSUM.length - 1);
  return header;
}

/** The archive, uncompressed. */
export function makeTar(entries: readonly Entry[], marks: Marks): Buffer {
  const blocks = entries.flatMap((entry) => [
    headerOf(entry, marks),
    entry.bytes,
    Buffer.alloc((BLOCK - (entry.bytes.length % BLOCK)) % BLOCK),
  ]);
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

const textAt = (header: Buffer, at: number, length: number): string =>
  header.toString("utf8", at, at + length).replace(/\0.*$/s, "");

/**
 * The regular files in an archive. Of one that was cut off, those before the cut.
 * @throws RangeError when it is no tar archive
 */
export function readTar(archive: Buffer): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; at + BLOCK <= archive.length;) {
    const header = archive.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) break;
    if (Number.parseInt(textAt(header, CHECKSUM.at, CHECKSUM.length), 8) !== checksumOf(header)) {
      if (entries.length > 0) break;
      throw new RangeError("archive: its first block is no header of a tar archive");
    }
    const size = Number.parseInt(textAt(header, SIZE.at, SIZE.length), 8);
    const begin = at + BLOCK;
    if (!Number.isSafeInteger(size) || size < 0 || begin + size > archive.length) break;
    const prefix = textAt(header, PREFIX.at, PREFIX.length);
    const name = `${prefix === "" ? "" : `${prefix}/`}${textAt(header, NAME.at, NAME.length)}`;
    const type = header[TYPE_AT];
    if (type === 0x30 || type === 0) entries.push({ name, bytes: archive.subarray(begin, begin + size) });
    at = begin + Math.ceil(size / BLOCK) * BLOCK;
  }
  return entries;
}
