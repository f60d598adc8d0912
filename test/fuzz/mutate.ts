// New inputs from old ones.

import type { Random } from "./random.ts";

/** Numbers at which things change, in bytes. */
const EDGES = [0, 1, 2, 3, 7, 8, 0x0f, 0x10, 0x1f, 0x20, 0x7f, 0x80, 0x83, 0xfe, 0xff];

type Mutation = (input: Buffer, random: Random, pool: Pool) => Buffer;

/** What mutations may borrow from. */
export interface Pool {
  readonly words: readonly Uint8Array[];
  readonly inputs: readonly Uint8Array[];
}

const replaced = (input: Buffer, at: number, gone: number, put: Uint8Array): Buffer =>
  Buffer.concat([input.subarray(0, at), put, input.subarray(at + gone)]);

const span = (input: Buffer, random: Random): [at: number, length: number] => {
  const at = random.below(input.length);
  return [at, 1 + random.below(Math.min(input.length - at, random.below(4) === 0 ? 64 : 8))];
};

/** A piece of one put somewhere into the other. */
function splice(input: Buffer, random: Random, { inputs }: Pool): Buffer {
  const other = random.pick(inputs);
  if (other === undefined || other.length === 0) return input;
  const from = random.below(other.length);
  const piece = other.subarray(from, from + 1 + random.below(other.length - from));
  const at = random.below(input.length + 1);
  return replaced(input, at, random.below(2) === 0 ? 0 : piece.length, piece);
}

function number(input: Buffer, random: Random): Buffer {
  const size = [1, 2, 4, 8][random.below(4)] ?? 1;
  if (input.length < size) return input;
  const copy = Buffer.from(input);
  const at = random.below(input.length - size + 1);
  const big = random.below(2) === 0;
  let value = 0n;
  for (let i = 0; i < size; i++) value = (value << 8n) | BigInt(copy[big ? at + i : at + size - 1 - i] ?? 0);
  const kind = random.below(4);
  if (kind === 0) value += BigInt(random.below(35)) - 17n;
  else if (kind === 1) value = BigInt(input.length) - BigInt(random.below(input.length + 8));
  else if (kind === 2) value = 1n << BigInt(random.below(size * 8));
  else value = (1n << BigInt(size * 8)) - 1n - BigInt(random.below(3));
  for (let i = 0; i < size; i++) copy[big ? at + size - 1 - i : at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
  return copy;
}

const MUTATIONS: readonly Mutation[] = [
  (input, random) => {
    const copy = Buffer.from(input);
    const at = random.below(copy.length);
    if (copy.length > 0) copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
    return copy;
  },
  (input, random) => {
    const copy = Buffer.from(input);
    if (copy.length > 0) copy[random.below(copy.length)] = random.pick(EDGES) ?? random.below(256);
    return copy;
  },
  (input, random) => {
    const copy = Buffer.from(input);
    if (copy.length > 0) copy[random.below(copy.length)] = random.below(256);
    return copy;
  },
  (input, random) => {
    const [at, length] = span(input, random);
    return replaced(input, at, length, Buffer.alloc(0));
  },
  (input, random) => {
    const [at, length] = span(input, random);
    return replaced(input, at, 0, input.subarray(at, at + length));
  },
  (input, random) =>
    replaced(input, random.below(input.length + 1), 0, Buffer.alloc(1 + random.below(6), random.below(256))),
  (input, random, { words }) => {
    const word = random.pick(words) ?? Buffer.alloc(0);
    return replaced(input, random.below(input.length + 1), random.below(2) === 0 ? 0 : word.length, word);
  },
  (input, random) => input.subarray(0, random.below(input.length + 1)),
  number,
  number,
  splice,
  splice,
];

/** One to a handful of changes. */
export function mutated(input: Uint8Array, random: Random, pool: Pool, bytesMax: number): Buffer {
  let bytes = Buffer.from(input);
  for (let i = 1 + random.below(random.below(3) === 0 ? 8 : 3); i > 0; i--) {
    const mutation = random.pick(MUTATIONS);
    if (mutation !== undefined) bytes = Buffer.from(mutation(bytes, random, pool));
  }
  return bytes.subarray(0, bytesMax);
}
