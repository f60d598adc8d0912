// Whatever bytes come, the negotiation answers with well-formed replies, waits, or closes; it never throws, never answers
// more than it was asked, and keeps no more than its bounds.

import test from "ava";
import fc from "fast-check";
import { ExportDirectory } from "../../../host/export/directory.ts";
import { Negotiation, NEGOTIATION_LIMITS } from "../../../host/export/negotiation.ts";
import { infoData, metaData, option, replies, u32 } from "./client.ts";

const directory = new ExportDirectory();
directory.replace([{ unit: 0, number: 0, bytes: 1n << 20n, blockBytes: 512, capabilities: 0 }]);

/** Anything from noise to an option with one wrong byte, so that every depth of the parser is reached. */
const noise = fc.uint8Array({ maxLength: 80 });
const honest = fc.oneof(
  fc.record({ code: fc.integer({ min: 0, max: 12 }), data: noise }).map(({ code, data }) => option(code, data)),
  fc
    .record({ code: fc.constantFrom(6, 7), requests: fc.array(fc.integer({ min: 0, max: 65535 }), { maxLength: 5 }) })
    .map(({ code, requests }) => option(code, infoData("0", requests))),
  fc.constantFrom(9, 10).map((code) => option(code, metaData("0", ["base:allocation", ""]))),
  fc.record({ code: fc.nat(12), length: fc.nat(0xffffffff) }).map(({ code, length }) => option(code, u32(0), length)),
);
const bent = fc.tuple(honest, fc.nat(), fc.nat(255)).map(([bytes, at, value]) => {
  const copy = Buffer.from(bytes);
  copy[at % copy.length] = value;
  return copy;
});
const stream = fc.tuple(
  fc.oneof(fc.constant(u32(1)), fc.constant(u32(3)), noise),
  fc.array(fc.oneof(honest, bent, noise), { maxLength: 8 }),
);

/** How one stream of bytes, cut into chunks, ended. */
function outcome(sent: Buffer, cut: number): "waits" | "closes" | "transmits" {
  const negotiation = new Negotiation(directory);
  const answered: Uint8Array[] = [];
  for (let at = 0; at < sent.length; at += cut) {
    negotiation.receive(sent.subarray(at, at + cut));
    for (let turn = 0; ; turn++) {
      if (turn > NEGOTIATION_LIMITS.optionsMax) throw new Error("the negotiation never asks for more");
      const step = negotiation.next();
      if (step.kind === "need") break;
      if (step.kind === "transmit") {
        if (step.entry.unit !== 0 || step.leftover.length > cut) throw new Error("wrong hand-over");
        return "transmits";
      }
      answered.push(step.bytes);
      if (step.kind === "close") {
        replies(Buffer.concat(answered));
        return "closes";
      }
    }
    if (negotiation.held > NEGOTIATION_LIMITS.optionBytesMax + 16) throw new Error("it keeps too much");
  }
  replies(Buffer.concat(answered));
  return "waits";
}

test("10,000 random byte streams", (t) => {
  const seen = { waits: 0, closes: 0, transmits: 0 };
  fc.assert(
    fc.property(stream, fc.integer({ min: 1, max: 200 }), ([first, rest], cut) => {
      seen[outcome(Buffer.concat([first, ...rest]), cut)] += 1;
    }),
    { numRuns: 10_000 },
  );
  // The generator has to reach every end, or the test proves little.
  for (const count of Object.values(seen)) t.true(count > 100, JSON.stringify(seen));
});
