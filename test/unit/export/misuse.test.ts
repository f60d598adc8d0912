// Each way to get the handshake wrong, and what comes of it.

import test from "ava";
import { ExportDirectory } from "../../../host/export/directory.ts";
import { Negotiation, NEGOTIATION_LIMITS, type NegotiationStep } from "../../../host/export/negotiation.ts";
import { infoData, metaData, option, replies, u16, u32, u64 } from "./client.ts";

const UNSUP = 0x80000001;
const INVALID = 0x80000003;
const UNKNOWN = 0x80000006;
const TOO_BIG = 0x80000009;
const EXT_HEADER_REQD = 0x8000000a;

const directory = new ExportDirectory();
directory.replace([{ unit: 0, number: 0, bytes: 1n << 20n, blockBytes: 512, capabilities: 0 }]);

/** Sends the parts in order and steps after each; stops at the first step that ends the negotiation. */
function converse(...sent: Uint8Array[]): { types: number[]; last: NegotiationStep } {
  const negotiation = new Negotiation(directory);
  const bytes: Uint8Array[] = [];
  let last: NegotiationStep = { kind: "need" };
  for (const part of sent) {
    negotiation.receive(part);
    do {
      last = negotiation.next();
      if (last.kind !== "need" && last.kind !== "transmit") bytes.push(last.bytes);
    } while (last.kind === "reply");
    if (last.kind !== "need") break;
  }
  return { types: replies(Buffer.concat(bytes)).map(({ type }) => type), last };
}

const FIXED = u32(1);

/** The option gets this error and the client can go on: a GO behind it succeeds. */
function refused(title: string, error: number, bytes: Uint8Array): void {
  test(`${title}: an error, and the client can go on`, (t) => {
    const { types, last } = converse(FIXED, option(8), bytes, option(7, infoData("0")));
    t.deepEqual(types, [1, error]);
    t.is(last.kind, "transmit");
  });
}

function closed(title: string, ...bytes: Uint8Array[]): void {
  test(`${title}: closed without a word`, (t) => {
    const { types, last } = converse(...bytes, option(7, infoData("0")));
    t.deepEqual(types, []);
    t.is(last.kind, "close");
  });
}

refused("STARTTLS", UNSUP, option(5));
refused("the withdrawn PEEK_EXPORT", UNSUP, option(4));
refused("an unknown option", UNSUP, option(0x1234));
refused("an unknown option with data", UNSUP, option(0xffffffff, Buffer.alloc(1000)));
refused("EXTENDED_HEADERS with data", INVALID, option(11, Buffer.from("x")));
refused("LIST with data", INVALID, option(3, Buffer.from("x")));
refused("STRUCTURED_REPLY with data", INVALID, option(8, Buffer.from("x")));
refused("an unknown export", UNKNOWN, option(7, infoData("nobody")));
refused("an unknown export, INFO", UNKNOWN, option(6, infoData("nobody")));
refused("GO without data", INVALID, option(7));
refused("GO whose name is longer than the option", INVALID, option(7, Buffer.concat([u32(100), Buffer.from("0")])));
refused("GO with the largest name length", INVALID, option(7, Buffer.concat([u32(0xffffffff), u16(0)])));
refused("GO without a count of requests", INVALID, option(7, Buffer.concat([u32(1), Buffer.from("0")])));
refused("GO with fewer requests than counted", INVALID, option(7, Buffer.concat([u32(0), u16(2), u16(3)])));
refused("GO with more bytes than counted", INVALID, option(7, Buffer.concat([infoData("0"), Buffer.from("x")])));
refused("GO with a name that is not UTF-8", INVALID, option(7, Buffer.from("00000002c3280000", "hex")));
refused("GO with a NUL in the name", INVALID, option(7, infoData("0\u0000")));
refused("GO with a name of more than 4096 bytes", INVALID, option(7, infoData("x".repeat(4097))));
refused("SET_META_CONTEXT without data", INVALID, option(10));
refused("SET_META_CONTEXT with a query cut off", INVALID, option(10, metaData("0", ["base:"]).subarray(0, -1)));
refused("SET_META_CONTEXT with bytes too many", INVALID, option(10, Buffer.concat([metaData("0"), u32(0)])));
refused("LIST_META_CONTEXT with four thousand million queries", INVALID, option(9, Buffer.concat([u32(0), u32(-1)])));
refused("an option above the limit", TOO_BIG, option(7, Buffer.alloc(NEGOTIATION_LIMITS.optionBytesMax + 1)));

closed("unknown client flags", u32(4));
closed("a wrong option magic", FIXED, Buffer.concat([u64(0n), u32(7), u32(0)]));
closed("a request of the transmission phase", FIXED, Buffer.from("25609513000000000000000000000001", "hex"));
closed("EXPORT_NAME of an unknown export", FIXED, option(1, Buffer.from("nobody")));
closed("EXPORT_NAME that is not UTF-8", FIXED, option(1, Buffer.from([0xff])));
closed("EXPORT_NAME above the limit", FIXED, option(1, Buffer.alloc(70000)));

test("extended headers are agreed once, structured replies not any more, EXPORT_NAME closes", (t) => {
  const { types, last } = converse(FIXED, option(8), option(11), option(11), option(8), option(1, Buffer.from("0")));
  t.deepEqual(types, [1, 1, INVALID, EXT_HEADER_REQD]);
  t.is(last.kind, "close");
});

test("an option whose length is absurd: told, then closed, and nothing is waited for", (t) => {
  const { types, last } = converse(FIXED, option(7, Buffer.alloc(0), 0xffffffff));
  t.deepEqual(types, [TOO_BIG]);
  t.is(last.kind, "close");
});

test("a skipped option may come in any pieces", (t) => {
  const sent = Buffer.concat([FIXED, option(99, Buffer.alloc(70000)), option(3)]);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < sent.length; at += 4099) parts.push(sent.subarray(at, at + 4099));
  t.deepEqual(converse(...parts).types, [TOO_BIG, 2, 1]);
});

test("a client that never stops asking is closed", (t) => {
  const many = converse(FIXED, ...Array.from({ length: NEGOTIATION_LIMITS.optionsMax + 1 }, () => option(5)));
  t.is(many.types.length, NEGOTIATION_LIMITS.optionsMax);
  t.is(many.last.kind, "close");
  const heavy = converse(FIXED, ...Array.from({ length: 40 }, () => option(99, Buffer.alloc(65536))));
  t.is(heavy.last.kind, "close");
  t.true(heavy.types.length < 17);
});
