// What simulated clients write: every block says which write put it there, and where "there" is.

/**
 * Fills `count` blocks: word 0 and all further words hold the stamp, word 1 the block's number and the unit. A read that
 * mixes two writes within a block, or blocks of another place or unit, is recognised.
 */
export function stampBlocks(
  target: Uint8Array,
  blockBytes: number,
  unit: number,
  block: number,
  count: number,
  stamp: number,
): void {
  const words = new Uint32Array(target.buffer, target.byteOffset, (count * blockBytes) >>> 2);
  const perBlock = blockBytes >>> 2;
  words.fill(stamp);
  for (let i = 0; i < count; i++) words[i * perBlock + 1] = placeOf(unit, block + i);
}

/** The stamp of block `index` of `data`, or a sentence that says why it is not one block of one write at this place. */
export function stampOf(
  data: Uint8Array,
  blockBytes: number,
  unit: number,
  block: number,
  index: number,
): number | string {
  const words = new Uint32Array(data.buffer, data.byteOffset + index * blockBytes, blockBytes >>> 2);
  const stamp = words[0] ?? 0;
  const place = words[1] ?? 0;
  if (words[2] !== stamp || !isUniform(data, index * blockBytes + 8, (index + 1) * blockBytes)) {
    const other = words.subarray(2).find((word) => word !== stamp);
    return `block ${block} mixes stamps ${stamp} and ${other}`;
  }
  const expected = stamp === 0 ? 0 : placeOf(unit, block);
  if (place === expected) return stamp;
  return `block ${block} of unit ${unit} holds data of unit ${(place >>> 24) - 1} block ${place & 0xff_ffff}`;
}

/** Whether all words from `start` to `end` are the same: then the bytes are equal to themselves, moved by a word. */
function isUniform(data: Uint8Array, start: number, end: number): boolean {
  const bytes = Buffer.from(data.buffer, data.byteOffset + start, end - start);
  return bytes.compare(bytes, 4, bytes.length, 0, bytes.length - 4) === 0;
}

function placeOf(unit: number, block: number): number {
  return (((unit + 1) << 24) | block) >>> 0;
}
