// What a well-behaved client gets, byte by byte.

import test from "ava";
import { ExportDirectory, type NbdExport } from "../../../host/export/directory.ts";
import { Negotiation, type NegotiationStep } from "../../../host/export/negotiation.ts";
import {
  CONNECTION_ALLOCATION,
  CONNECTION_EXTENDED,
  CONNECTION_STRUCTURED,
  CONNECTION_TRIM,
  CONNECTION_UNALIGNED,
  UNIT_CAN_NOT_WRITE,
  UNIT_CAN_UNMAP,
} from "../../../host/abi.ts";
import { infoData, metaData, option, replies, u32 } from "./client.ts";

const LU0: NbdExport = {
  unit: 7,
  number: 0,
  name: "database",
  identity: "naa.60014050000000000000000000000001",
  description: "an emulated unit",
  bytes: 1n << 30n,
  blockBytes: 512,
  capabilities: UNIT_CAN_UNMAP,
};
const LU1: NbdExport = { unit: 8, number: 1, bytes: 1n << 40n, blockBytes: 4096, capabilities: UNIT_CAN_NOT_WRITE };

const FIXED = u32(1);
const FIXED_NO_ZEROES = u32(3);

function converse(entries: NbdExport[], ...sent: Uint8Array[]): { bytes: Buffer; last: NegotiationStep } {
  const directory = new ExportDirectory();
  directory.replace(entries);
  const negotiation = new Negotiation(directory);
  for (const part of sent) negotiation.receive(part);
  const bytes: Uint8Array[] = [];
  for (;;) {
    const step = negotiation.next();
    if (step.kind !== "need") bytes.push(step.bytes);
    if (step.kind !== "reply") return { bytes: Buffer.concat(bytes), last: step };
  }
}

test("the greeting is NBDMAGIC, IHAVEOPT, fixed newstyle and no zeroes", (t) => {
  const greeting = new Negotiation(new ExportDirectory()).greeting();
  t.is(Buffer.from(greeting).toString("latin1"), "NBDMAGICIHAVEOPT\u0000\u0003");
});

test("GO tells size, flags and block sizes and enters the transmission phase", (t) => {
  const { bytes, last } = converse([LU0, LU1], FIXED_NO_ZEROES, option(7, infoData("database")));
  const answers = replies(bytes);
  t.deepEqual(
    answers.map(({ option: code, type }) => [code, type]),
    [
      [7, 3],
      [7, 3],
      [7, 1],
    ],
  );
  const info = answers[0]?.data ?? Buffer.alloc(0);
  t.is(info.readUInt16BE(0), 0);
  t.is(info.readBigUInt64BE(2), 1n << 30n);
  // HAS_FLAGS, FLUSH, FUA, TRIM, WRITE_ZEROES, MULTI_CONN, CACHE; no DF without structured replies.
  t.is(info.readUInt16BE(10), 1 | 4 | 8 | 32 | 64 | 256 | 1024);
  t.is(answers[1]?.data.toString("hex"), "0003000002000000100002000000");
  t.like(last, { kind: "transmit", entry: { unit: 7 }, flags: CONNECTION_TRIM | CONNECTION_UNALIGNED });
});

test("INFO tells name and description on request and stays in the negotiation", (t) => {
  const { bytes, last } = converse([LU0], FIXED, option(6, infoData("0", [1, 2, 3])));
  const texts = replies(bytes).map(({ data }) => data.subarray(2).toString());
  t.is(texts[2], "database");
  t.is(texts[3], "an emulated unit");
  t.is(last.kind, "need");
});

test("every name of a unit leads to it, and the empty name to the only one", (t) => {
  for (const name of ["0", "#0", "lu0", "database", "naa.60014050000000000000000000000001", ""]) {
    const { last } = converse([LU0], FIXED, option(7, infoData(name)));
    t.is(last.kind, "transmit", name);
  }
});

test("the empty name means the default export, and nothing when there is none", (t) => {
  const chosen = converse([LU0, { ...LU1, isDefault: true }], FIXED, option(7, infoData("", [3])));
  t.like(chosen.last, { kind: "transmit", entry: { unit: 8 } });
  for (const entries of [[LU0, LU1], [{ ...LU0, isDefault: false }]]) {
    const none = converse(entries, FIXED, option(7, infoData("", [3])));
    t.is(replies(none.bytes)[0]?.type, 0x80000006);
    t.regex(replies(none.bytes)[0]?.data.toString() ?? "", /more than one logical unit.*LIST tells the names/);
    const old = converse(entries, FIXED, option(1));
    t.like(old.last, { kind: "close" });
  }
});

test("LIST names each export once, and describes it behind its name", (t) => {
  const { bytes } = converse([LU0, LU1], FIXED, option(3));
  const names = replies(bytes).map(({ type, data }) => {
    if (type !== 2) return type;
    const end = 4 + data.readUInt32BE(0);
    return [data.toString("utf8", 4, end), data.toString("utf8", end)];
  });
  t.deepEqual(names, [["database", "an emulated unit"], ["lu1", ""], 1]);
});

test("EXPORT_NAME answers size and flags, with 124 zeroes unless both sides left them out", (t) => {
  const padded = converse([LU0], FIXED, option(1, Buffer.from("database")));
  t.is(padded.bytes.length, 10 + 124);
  t.true(padded.bytes.subarray(10).every((byte) => byte === 0));
  const short = converse([LU0], FIXED_NO_ZEROES, option(1, Buffer.from("database")));
  t.is(short.bytes.length, 10);
  t.is(short.bytes.readBigUInt64BE(0), 1n << 30n);
  t.is(short.last.kind, "transmit");
});

test("a client of the plain newstyle may use EXPORT_NAME only", (t) => {
  t.is(converse([LU0], u32(0), option(1, Buffer.from("0"))).last.kind, "transmit");
  t.is(converse([LU0], u32(0), option(3)).last.kind, "close");
});

test("structured replies are agreed once and show as DF and as the core's flag", (t) => {
  const { bytes, last } = converse([LU0], FIXED, option(8), option(8), option(7, infoData("0")));
  const answers = replies(bytes);
  t.deepEqual([answers[0]?.type, answers[1]?.type], [1, 0x80000003]);
  t.is((answers[2]?.data.readUInt16BE(10) ?? 0) & 128, 128);
  t.like(last, { kind: "transmit", flags: CONNECTION_STRUCTURED | CONNECTION_TRIM | CONNECTION_UNALIGNED });
});

test("a read-only unit offers no command that writes", (t) => {
  const { bytes, last } = converse([LU1], FIXED, option(7, infoData("1", [3])));
  t.is(replies(bytes)[0]?.data.readUInt16BE(10), 1 | 2 | 4 | 256 | 1024);
  t.like(last, { kind: "transmit", flags: 2 });
});

test("blocks of any size need not be asked for; who does not ask may ask for any bytes", (t) => {
  for (const entry of [LU0, LU1]) {
    const name = `${entry.number}`;
    for (const [last, unaligned] of [
      [converse([entry], FIXED, option(7, infoData(name))).last, true],
      [converse([entry], FIXED, option(7, infoData(name, [1, 2]))).last, true],
      [converse([entry], FIXED, option(1, Buffer.from(name))).last, true],
      [converse([entry], FIXED, option(7, infoData(name, [3]))).last, false],
      [converse([entry], FIXED, option(6, infoData(name, [3])), option(7, infoData(name, [0, 3]))).last, false],
    ] as const) {
      t.is(last.kind === "transmit" && (last.flags & CONNECTION_UNALIGNED) !== 0, unaligned);
    }
  }
  const told = replies(converse([LU1], FIXED, option(6, infoData("1", [3]))).bytes);
  t.is(told[1]?.data.toString("hex"), "0003000010000000100002000000");
});

test("TRIM is announced to the client and to the core, or to neither", (t) => {
  for (const [entry, trim] of [
    [LU0, true],
    [{ ...LU0, capabilities: 0 }, false],
    [{ ...LU0, readOnly: true }, false],
  ] as const) {
    const { bytes, last } = converse([entry], FIXED, option(7, infoData("0", [3])));
    t.is(((replies(bytes)[0]?.data.readUInt16BE(10) ?? 0) & 32) !== 0, trim);
    t.is(last.kind === "transmit" && (last.flags & CONNECTION_TRIM) !== 0, trim);
  }
});

const CONTEXT = (number: number): string =>
  Buffer.concat([u32(number), Buffer.from("base:allocation")]).toString("hex");

/** What LIST_META_CONTEXT answers. */
const list = (queries: string[]): string[] =>
  replies(converse([LU0], FIXED, option(8), option(9, metaData("0", queries))).bytes)
    .slice(1)
    .map(({ type, data }) => (type === 4 ? data.toString("hex") : `${type}`));
const select = (name: string, ...queries: string[]): Buffer => option(10, metaData(name, queries));
const go = (name: string): Buffer => option(7, infoData(name, [3]));

test("metadata contexts are told by LIST, selected by SET, and need structured replies", (t) => {
  for (const code of [9, 10]) {
    const before = converse([LU0], FIXED, option(code, metaData("0", ["base:allocation"])));
    t.is(replies(before.bytes)[0]?.type, 0x80000003);
    const unknown = converse([LU0], FIXED, option(8), option(code, metaData("nobody")));
    t.is(replies(unknown.bytes)[1]?.type, 0x80000006);
  }
  for (const queries of [[], ["base:"], ["base:allocation"], ["qemu:x", "base:allocation", "base:"]]) {
    t.deepEqual(list(queries), [CONTEXT(0), "1"], queries.join());
  }
  for (const queries of [["qemu:dirty-bitmap:x"], ["base:alloc"], ["base"], [""]]) t.deepEqual(list(queries), ["1"]);
});

test("a selection holds for the export that it named, and until the next one", (t) => {
  const chosen = (...sent: Uint8Array[]): boolean => {
    const { last } = converse([LU0, LU1], FIXED, option(8), ...sent);
    return last.kind === "transmit" && (last.flags & CONNECTION_ALLOCATION) !== 0;
  };
  const { bytes } = converse([LU0, LU1], FIXED, option(8), select("0", "base:allocation", "x:y"));
  t.deepEqual(
    replies(bytes).map(({ type, data }) => [type, data.toString("hex")]),
    [
      [1, ""],
      [4, CONTEXT(1)],
      [1, ""],
    ],
  );
  t.true(chosen(select("0", "base:allocation"), go("0")));
  t.true(chosen(select("database", "base:allocation"), go("#0")), "by whatever name");
  t.true(chosen(select("0", "base:allocation"), option(1, Buffer.from("0"))));
  t.true(chosen(option(11), select("0", "base:allocation"), go("0")));
  t.false(chosen(go("0")));
  t.false(chosen(select("0", "base:allocation"), go("1")));
  t.false(chosen(select("0", "base:allocation"), select("0"), go("0")));
  t.false(chosen(select("0", "base:allocation"), select("nobody", "base:allocation"), go("0")));
  t.false(chosen(select("0", "base:allocation"), option(10, Buffer.from("x")), go("0")));
  t.false(chosen(select("0", "base:"), go("0")), "SET takes whole names only");
  t.false(chosen(select("0", "base:allocation"), option(9, metaData("0")), option(11), go("0")));
  t.true(chosen(select("0", "base:allocation"), option(9, metaData("0")), go("0")), "LIST selects nothing");
});

test("extended headers are structured replies too", (t) => {
  const { bytes, last } = converse([LU0], FIXED, option(11), option(7, infoData("0", [3])));
  t.is((replies(bytes)[1]?.data.readUInt16BE(10) ?? 0) & 128, 128);
  t.like(last, { kind: "transmit", flags: CONNECTION_EXTENDED | CONNECTION_STRUCTURED | CONNECTION_TRIM });
});

test("a client for whom there is no room is refused, with the reason, and may ask again; INFO is answered", (t) => {
  const directory = new ExportDirectory();
  directory.replace([LU0]);
  let full: string | null = "all 4 connections are in use; raise limits.connections";
  const negotiation = new Negotiation(directory, undefined, () => full);
  const say = (...sent: Uint8Array[]): NegotiationStep => {
    for (const part of sent) negotiation.receive(part);
    return negotiation.next();
  };
  t.is(say(FIXED, option(6, infoData("0"))).kind, "reply");
  const refused = say(option(7, infoData("0")));
  t.like(refused, { kind: "reply", full });
  if (refused.kind !== "reply") return;
  t.deepEqual(
    replies(refused.bytes).map(({ type, data }) => [type, data.toString()]),
    [[0x80000002, full]],
  );
  full = null;
  t.is(say(option(7, infoData("0"))).kind, "transmit");
  const old = new Negotiation(directory, undefined, () => "no room");
  for (const part of [FIXED, option(1, Buffer.from("0"))]) old.receive(part);
  const closed = old.next();
  t.like(closed, { kind: "close", reason: "no room", isFull: true });
  if (closed.kind === "close") t.is(closed.bytes.length, 0);
});

test("ABORT is acknowledged and ends the connection", (t) => {
  const { bytes, last } = converse([LU0], FIXED, option(2));
  t.is(replies(bytes)[0]?.type, 1);
  t.is(last.kind, "close");
});

test("requests sent right behind GO are left over for the core", (t) => {
  const request = Buffer.from("25609513000000000000000000000001", "hex");
  const { last } = converse([LU0], FIXED, Buffer.concat([option(7, infoData("0")), request]));
  t.is(last.kind, "transmit");
  if (last.kind === "transmit") t.deepEqual(Buffer.from(last.leftover), request);
});

test("the answers do not depend on how the bytes are cut", (t) => {
  const asked = [FIXED, option(3), option(8), option(6, infoData("0", [1, 2, 3])), option(7, infoData("0"))];
  const sent = Buffer.concat(asked);
  const whole = converse([LU0, LU1], sent);
  for (const size of [1, 2, 3, 5, 7, 11, 16, 17, 64]) {
    const parts: Uint8Array[] = [];
    for (let at = 0; at < sent.length; at += size) parts.push(sent.subarray(at, at + size));
    t.deepEqual(converse([LU0, LU1], ...parts).bytes, whole.bytes);
  }
});
