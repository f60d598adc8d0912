// NBD's handshake phase: however the bytes are cut, the answers are the same, well-formed, to what was asked, and bounded.

import { ExportDirectory } from "../../../host/export/directory.ts";
import { Negotiation, NEGOTIATION_LIMITS, type NegotiationStep } from "../../../host/export/negotiation.ts";
import { infoData, metaData, option, replies, u32 } from "../../unit/export/client.ts";
import { check, type Target } from "../target.ts";

const directory = new ExportDirectory();
directory.replace([
  {
    unit: 0,
    number: 0,
    bytes: 1n << 20n,
    blockBytes: 512,
    capabilities: 0,
    description: "the first",
    identity: "naa.6001",
  },
  { unit: 1, number: 1, name: "second", bytes: 1n << 40n, blockBytes: 4096, capabilities: 0xff, isDefault: true },
]);

interface Outcome {
  readonly answered: Buffer;
  readonly end: string;
}

const endOf = (step: NegotiationStep): string =>
  step.kind === "transmit"
    ? `transmit ${step.entry.unit} ${step.flags} ${Buffer.from(step.bytes).toString("hex")}`
    : step.kind;

function converse(sent: Uint8Array, cut: number, full: string | null): Outcome {
  const negotiation = new Negotiation(directory, NEGOTIATION_LIMITS, () => full);
  const answered: Uint8Array[] = [];
  for (let at = 0; at < sent.length; at += cut) {
    negotiation.receive(sent.subarray(at, at + cut));
    for (;;) {
      const step = negotiation.next();
      if (step.kind === "need") break;
      if (step.kind !== "reply") {
        if (step.kind === "close") answered.push(step.bytes);
        check(negotiation.next().kind === "need", () => "it goes on behind its end");
        return { answered: Buffer.concat(answered), end: endOf(step) };
      }
      check(step.bytes.length > 0, () => "an empty reply");
      answered.push(step.bytes);
    }
    check(negotiation.held <= NEGOTIATION_LIMITS.optionBytesMax + 16, () => `it holds ${negotiation.held} bytes`);
  }
  return { answered: Buffer.concat(answered), end: "needs more" };
}

/** The options that a stream holds as far as it can be understood, in order. */
function optionsIn(sent: Buffer): number[] {
  const options: number[] = [];
  for (let at = 4; at + 16 <= sent.length; at += 16 + sent.readUInt32BE(at + 12))
    options.push(sent.readUInt32BE(at + 8));
  return options;
}

function run(input: Uint8Array): void {
  const sent = Buffer.from(input.subarray(1));
  const full = ((input[0] ?? 0) & 0x80) === 0 ? null : "there is no room";
  const whole = converse(sent, Math.max(1, sent.length), full);
  const pieces = converse(sent, 1 + ((input[0] ?? 0) & 0x7f), full);
  check(whole.answered.equals(pieces.answered), () => "other answers when the bytes come in pieces");
  check(whole.end === pieces.end, () => `${whole.end} when the bytes come in one piece, ${pieces.end} in several`);
  const asked = optionsIn(sent);
  for (const reply of replies(whole.answered)) {
    check(asked.includes(reply.option), () => `a reply to option ${reply.option}, which nobody asked`);
    const isError = reply.type >= 0x80000000;
    check(isError || reply.type <= 4, () => `a reply of type ${reply.type}`);
    check(!isError || reply.data.length > 0, () => `error ${reply.type} without a word`);
  }
}

const whole = (...parts: Uint8Array[]): Buffer => Buffer.concat([Buffer.from([7]), ...parts]);
const allocation = ["base:allocation"];

export const target: Target = {
  run,
  bytesMax: 2048,
  words: [
    option(1),
    option(3),
    option(6),
    option(7),
    option(8),
    option(9),
    option(10),
    option(11),
    u32(1),
    u32(3),
    "second",
  ],
  seeds: [
    whole(u32(3), option(8), option(10, metaData("0", allocation)), option(7, infoData("0", [0, 1, 2, 3]))),
    whole(u32(1), option(3), option(6, infoData("second", [3])), option(1, Buffer.from("0"))),
    whole(u32(3), option(11), option(9, metaData("", [])), option(2)),
    whole(u32(3), option(99, Buffer.alloc(0), 70_000), option(5)),
  ],
};
