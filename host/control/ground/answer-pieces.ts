// Streams answers in pieces. A list of thousands of paths is megabytes of JSON: built and sent in one go, it would block control
// for a tenth of a second and stay in memory as long as its reader pleases.

import type { ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";

export const JSON_TYPE = "application/json; charset=utf-8";

/** An answer whose lists may be generated element by element while it is sent. */
export type Lazy<T> = { readonly [K in keyof T]: T[K] extends (infer E)[] ? Iterable<E> : T[K] };

/** Generates each element on demand. */
export function* lazily<T, E>(items: readonly T[], make: (item: T) => E): Generator<E> {
  for (const item of items) yield make(item);
}

/** How long the thread works on one answer before others get a turn. */
export const SLICE_MS = 5;
/** Characters collected before they are handed to the socket. */
const PIECE_CHARS = 32 * 1024;

/** Yields to the event loop when its time slice is over. */
class Slice {
  #endMs = performance.now() + SLICE_MS;

  /** True when others should get a turn: then call `next`. */
  get isOver(): boolean {
    return performance.now() >= this.#endMs;
  }

  async next(): Promise<void> {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    this.#endMs = performance.now() + SLICE_MS;
  }
}

/** The same elements, yielding to others in between. */
export async function* sliced<E>(items: Iterable<E>): AsyncGenerator<E> {
  const slice = new Slice();
  for (const item of items) {
    yield item;
    if (slice.isOver) await slice.next();
  }
}

/** Items between two looks at the clock. */
const ITEMS_AT_ONCE = 64;

/** Does something with each, yielding to others in between. */
export async function inSlices<E>(items: readonly E[], work: (item: E) => void): Promise<void> {
  const slice = new Slice();
  for (const [index, item] of items.entries()) {
    work(item);
    if (index % ITEMS_AT_ONCE === ITEMS_AT_ONCE - 1 && slice.isOver) await slice.next();
  }
}

const isList = (value: unknown): value is Iterable<unknown> =>
  typeof value === "object" && value !== null && Symbol.iterator in value;

/**
 * The JSON text of an object, with its lists element by element. Properties are read in order, so a getter at the end may report
 * what the lists before it have counted.
 */
export function* jsonPieces(value: object): Generator<string> {
  let separator = "{";
  for (const key of Object.keys(value)) {
    const part: unknown = Reflect.get(value, key);
    if (part === undefined) continue;
    yield `${separator}${JSON.stringify(key)}:`;
    separator = ",";
    if (!isList(part)) {
      yield JSON.stringify(part);
      continue;
    }
    let open = "[";
    for (const element of part) {
      yield `${open}${JSON.stringify(element)}`;
      open = ",";
    }
    yield open === "[" ? "[]" : "]";
  }
  yield separator === "{" ? "{}" : "}";
}

/** Resolves when the reader has taken what was written, or is gone. */
export function drained(response: ServerResponse): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  response.once("drain", resolve);
  response.once("close", resolve);
  return promise.finally(() => {
    response.off("drain", resolve);
    response.off("close", resolve);
  });
}

type Text = string | Uint8Array;

/** Writes; resolves when the kernel has all of it, or the reader is gone. Then its memory may be used for something else. */
function written(response: ServerResponse, text: Text): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  response.once("close", resolve);
  response.write(text, () => resolve());
  return promise.finally(() => response.off("close", resolve));
}

interface Part {
  readonly text: Text;
  readonly done: boolean;
}

/** Collects pieces up to about one write's worth, or for one time slice. */
function gather(pieces: Iterator<string>, slice = new Slice()): { text: string; done: boolean } {
  let text = "";
  while (text.length < PIECE_CHARS && !slice.isOver) {
    const piece = pieces.next();
    if (piece.done === true) return { text, done: true };
    text += piece.value;
  }
  return { text, done: false };
}

/**
 * Writes text in pieces: never more than one write ahead of the reader, never longer than a time slice at once. Ends early when
 * the reader goes away.
 */
async function writeParts(response: ServerResponse, first: Text, next: (slice: Slice) => Part): Promise<void> {
  const slice = new Slice();
  let part: Part = { text: first, done: false };
  for (;;) {
    if (part.text.length > 0) await written(response, part.text);
    if (part.done || response.destroyed) return;
    if (slice.isOver) await slice.next();
    part = next(slice);
  }
}

/**
 * Answers with an object whose lists are generated while they are sent; a short answer is sent whole.
 *
 * @param onDefect hears of errors after the head of the answer was sent: the body then ends early
 */
export async function sendPieces(
  reply: FastifyReply,
  answer: object,
  onDefect: (thrown: unknown) => void,
): Promise<FastifyReply> {
  const pieces = jsonPieces(answer);
  return send(reply, JSON_TYPE, gather(pieces), (slice) => gather(pieces, slice), onDefect);
}

/** The same for text of any type that is made in pieces of a write's size. Each is good until the next but one is asked for. */
export async function sendBytes(
  reply: FastifyReply,
  type: string,
  pieces: Iterator<Uint8Array>,
  onDefect: (thrown: unknown) => void,
): Promise<FastifyReply> {
  let ahead = pieces.next();
  // One piece ahead, so that the last one is known to be the last.
  const next = (): Part => {
    const text = ahead.value ?? new Uint8Array(0);
    ahead = pieces.next();
    return { text, done: ahead.done === true };
  };
  return send(reply, type, next(), next, onDefect);
}

async function send(
  reply: FastifyReply,
  type: string,
  { text, done }: Part,
  next: (slice: Slice) => Part,
  onDefect: (thrown: unknown) => void,
): Promise<FastifyReply> {
  if (done) return reply.type(type).send(typeof text === "string" ? text : Buffer.from(text));
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, { "content-type": type });
  try {
    await writeParts(raw, text, next);
    raw.end();
  } catch (thrown) {
    onDefect(thrown);
    raw.destroy();
  }
  return reply;
}
