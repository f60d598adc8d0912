// A client's session, step by step, and what it waits for after each step.

import { option, u32 } from "../../unit/export/client.ts";
import { type Command, READ, command } from "../raw.ts";

/** What ends the wait after a step; the end of the connection always does. */
type Awaited =
  /** No answer is required. */
  | { readonly kind: "nothing" }
  /** The last reply to this option. */
  | { readonly kind: "option"; readonly option: number }
  /** The answer to EXPORT_NAME: size, flags, and this many zeroes. */
  | { readonly kind: "export-name"; readonly zeroes: number }
  /** The last reply to each of these requests. */
  | { readonly kind: "replies"; readonly commands: readonly Command[] };

export interface Step {
  readonly send: Buffer;
  readonly awaits: Awaited;
  /** Description, shown with a failure. */
  readonly what: string;
}

export interface Script {
  readonly name: string;
  /** The client requests the block sizes, and so has agreed to them. */
  readonly agrees: boolean;
  readonly steps: readonly Step[];
  /** The client sends everything without waiting for answers, and reads them afterwards. */
  readonly isEager?: boolean;
  /** It cannot be played against this peer, because it triggers one of the peer's bugs. */
  readonly spares?: "qemu-nbd";
}

const hexOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.subarray(0, 80)).toString("hex") + (bytes.length > 80 ? ` and ${bytes.length - 80} more` : "");

/** Bytes that expect no answer: flags, a part of something, noise. */
export const silent = (bytes: Uint8Array, what = hexOf(bytes)): Step => ({
  send: Buffer.from(bytes),
  awaits: { kind: "nothing" },
  what,
});

/** An option; `length` may be wrong. */
export function asks(code: number, data?: Uint8Array, length?: number): Step {
  const send = option(code, data, length);
  return { send, awaits: { kind: "option", option: code }, what: `option ${code}: ${hexOf(send.subarray(16))}` };
}

export const exportName = (name: string, zeroes: number): Step => ({
  send: option(1, Buffer.from(name)),
  awaits: { kind: "export-name", zeroes },
  what: `EXPORT_NAME ${name}`,
});

export const flags = (value: number): Step => silent(u32(value), `client flags ${value}`);

const shown = (c: Command): string =>
  `command ${c.type} flags ${c.flags ?? 0} offset ${c.offset ?? 0n} length ${c.length ?? 0} cookie ${c.cookie ?? 1n}${c.magic === undefined ? "" : ` magic ${c.magic}`}`;

/** One request, followed by its payload. */
export function requests(c: Command, payload: Uint8Array = Buffer.alloc(0)): Step {
  return { send: Buffer.concat([command(c), payload]), awaits: { kind: "replies", commands: [c] }, what: shown(c) };
}

/** Requests sent in one piece. */
export function together(...steps: readonly Step[]): Step {
  const commands = steps.flatMap(({ awaits }) => (awaits.kind === "replies" ? awaits.commands : []));
  const send = Buffer.concat(steps.map((step) => step.send));
  return { send, awaits: { kind: "replies", commands }, what: steps.map(({ what }) => what).join("; ") };
}

/** A request that has no answer. */
export const leaves = (c: Command): Step => ({ ...requests(c), awaits: { kind: "nothing" } });

/** The number of bytes that each READ of a step returns, by cookie. */
export function readLengths({ awaits }: Step): Map<bigint, number> {
  const lengths = new Map<bigint, number>();
  if (awaits.kind !== "replies") return lengths;
  for (const c of awaits.commands) if (c.type === READ) lengths.set(c.cookie ?? 1n, c.length ?? 0);
  return lengths;
}
