// STARTTLS and what each client may open, as bytes: nothing is told in the clear, nothing said in the clear counts afterwards.

import test from "ava";
import { ExportDirectory, type NbdExport } from "../../../host/export/directory.ts";
import { Negotiation, type NegotiationStep, type TlsOffer } from "../../../host/export/negotiation.ts";
import { PermittedOffer, type Rule } from "../../../host/export/permission.ts";
import { alternativeNames, distinguishedName, type TlsPeer } from "../../../host/export/tls/peer.ts";
import { CONNECTION_ALLOCATION, CONNECTION_READ_ONLY, CONNECTION_STRUCTURED } from "../../../host/abi.ts";
import { infoData, metaData, option, replies, u32 } from "./client.ts";

const EXPORT_NAME = 1;
const ABORT = 2;
const LIST = 3;
const STARTTLS = 5;
const GO = 7;
const STRUCTURED = 8;
const SET_META = 10;
const ACK = 1;
const SERVER = 2;
const ERR_UNSUP = 0x80000001;
const ERR_INVALID = 0x80000003;
const ERR_TLS_REQD = 0x80000005;
const ERR_UNKNOWN = 0x80000006;

const unit = (number: number): NbdExport => ({
  unit: number,
  number,
  identity: `naa.6001405000000000000000000000000${number}`,
  bytes: 1n << 20n,
  blockBytes: 512,
  capabilities: 0,
});
const ALICE: TlsPeer = { kind: "psk", identity: "alice" };

interface Talk {
  readonly negotiation: Negotiation;
  /** Sends, and answers what is to be done in the end and every reply before it. */
  say(...parts: Uint8Array[]): { last: NegotiationStep; types: number[]; texts: string[] };
}

function talk(rules: readonly Rule[], isRequired = true): Talk {
  const directory = new ExportDirectory();
  directory.replace([unit(0), unit(1)]);
  const offerTo = (peer: TlsPeer | null): PermittedOffer => new PermittedOffer(directory, () => rules, peer);
  const tls: TlsOffer = { isRequired, offerTo };
  const negotiation = new Negotiation(offerTo(null), undefined, undefined, tls);
  return {
    negotiation,
    say: (...parts) => {
      negotiation.receive(Buffer.concat(parts));
      const bytes: Uint8Array[] = [];
      for (;;) {
        const step = negotiation.next();
        if (step.kind !== "need") bytes.push(step.bytes);
        if (step.kind === "reply") continue;
        const found = replies(Buffer.concat(bytes));
        return { last: step, types: found.map(({ type }) => type), texts: found.map(({ data }) => data.toString()) };
      }
    },
  };
}

/** A client that has TLS. */
function secured(rules: readonly Rule[], peer: TlsPeer, isRequired = true): Talk {
  const made = talk(rules, isRequired);
  made.say(u32(1), option(STARTTLS));
  made.negotiation.secured(peer);
  return made;
}

test("where TLS is required, every option but STARTTLS and ABORT is answered ERR_TLS_REQD", (t) => {
  const { say } = talk([]);
  const asked = [LIST, 6, GO, STRUCTURED, 9, SET_META, 11, 99];
  const { types } = say(u32(1), ...asked.map((code) => option(code, infoData("0"))));
  t.deepEqual(
    types,
    asked.map(() => ERR_TLS_REQD),
  );
  t.deepEqual(say(option(GO, Buffer.alloc(70_000))).types, [ERR_TLS_REQD], "one that is too big");
  t.is(say(option(STARTTLS)).last.kind, "start-tls");
  t.is(talk([]).say(u32(1), option(ABORT)).types[0], ACK);
});

test("where TLS is required, EXPORT_NAME in the clear ends the connection without a word", (t) => {
  const { last, types } = talk([]).say(u32(1), option(EXPORT_NAME, Buffer.from("0")));
  t.is(last.kind, "close");
  t.deepEqual(types, []);
});

test("what was agreed to in the clear is forgotten", (t) => {
  const { say, negotiation } = talk([], false);
  const before = say(
    u32(1),
    option(STRUCTURED),
    option(SET_META, metaData("0", ["base:allocation"])),
    option(STARTTLS),
  );
  t.is(before.last.kind, "start-tls");
  negotiation.secured(ALICE);
  const { last } = say(option(GO, infoData("0")));
  if (last.kind !== "transmit") return t.fail(last.kind);
  t.is(last.flags & (CONNECTION_STRUCTURED | CONNECTION_ALLOCATION), 0);
  t.is(secured([], ALICE).say(option(STRUCTURED)).types[0], ACK, "and may be agreed to again");
  return undefined;
});

test("bytes in the clear behind STARTTLS end the connection, whatever they are", (t) => {
  for (const smuggled of [option(LIST), option(GO, infoData("0")), Buffer.from([0x16])]) {
    const { last, types } = talk([]).say(u32(1), option(STARTTLS), smuggled);
    t.is(last.kind, "close");
    t.deepEqual(types, []);
  }
  t.throws(() => talk([]).negotiation.secured(ALICE), undefined, "nobody has TLS who did not ask for it");
});

test("STARTTLS with data, or within TLS, is ERR_INVALID; where it is not offered, ERR_UNSUP", (t) => {
  t.deepEqual(talk([]).say(u32(1), option(STARTTLS, Buffer.from("x"))).types, [ERR_INVALID]);
  t.deepEqual(secured([], ALICE).say(option(STARTTLS)).types, [ERR_INVALID]);
  const plain = new Negotiation(new ExportDirectory());
  plain.receive(Buffer.concat([u32(1), option(STARTTLS)]));
  const step = plain.next();
  t.is(step.kind === "reply" ? replies(step.bytes)[0]?.type : undefined, ERR_UNSUP);
});

const RULES: readonly Rule[] = [
  { who: { kind: "psk", identity: "alice" }, exports: ["lu0"], isReadOnly: true },
  { who: { kind: "psk", identity: "bob" }, exports: ["naa.60014050000000000000000000000001"], isReadOnly: false },
  { who: { kind: "psk", identity: "bob" }, exports: "all", isReadOnly: true },
  { who: { kind: "subject", subject: "CN=client1,O=Example" }, exports: "all", isReadOnly: false },
  { who: { kind: "name", name: "DNS:backup.example.com" }, exports: ["1"], isReadOnly: true },
];

/** What was answered to whoever asked for an export that is not open to it. */
const refusals: number[] = [];

/** Exports that a client sees, and how it may open them: r or w. */
function sees(rules: readonly Rule[], peer: TlsPeer): string[] {
  const listed = secured(rules, peer).say(option(LIST));
  const names = listed.texts.filter((_, i) => listed.types[i] === SERVER).map((text) => text.slice(4));
  const opened = ["lu0", "lu1"].flatMap((name) => {
    const { last, types } = secured(rules, peer).say(option(GO, infoData(name)));
    if (last.kind === "transmit") return [`${name}:${(last.flags & CONNECTION_READ_ONLY) === 0 ? "w" : "r"}`];
    refusals.push(...types);
    return [];
  });
  if (names.join() !== opened.map((text) => text.slice(0, 3)).join()) throw new Error(`listed: ${names.join()}`);
  return opened;
}

const certificate = (subject: string, ...names: string[]): TlsPeer => ({ kind: "certificate", subject, names });

test("a client sees and opens what a rule gives it, and nothing else; rules add up", (t) => {
  t.deepEqual(sees(RULES, ALICE), ["lu0:r"]);
  t.deepEqual(sees(RULES, { kind: "psk", identity: "bob" }), ["lu0:r", "lu1:w"]);
  t.deepEqual(sees(RULES, { kind: "psk", identity: "Alice" }), []);
  t.deepEqual(sees(RULES, certificate("CN=client1,O=Example")), ["lu0:w", "lu1:w"]);
  t.deepEqual(sees(RULES, certificate("CN=client1,O=Example,C=DE")), []);
  t.deepEqual(sees(RULES, certificate("CN=alice")), [], "a certificate is no PSK identity");
  t.deepEqual(sees(RULES, certificate("CN=x", "IP Address:192.0.2.1", "DNS:backup.example.com")), ["lu1:r"]);
  t.deepEqual(sees(RULES, certificate("CN=x", "DNS:evil.backup.example.com")), []);
  t.deepEqual(sees([], certificate("CN=x")), ["lu0:w", "lu1:w"], "no rule at all");
  t.true(refusals.length > 0 && refusals.every((type) => type === ERR_UNKNOWN));
});

test("an export that is not open is refused in the words for one that is not there, and its contexts are not told", (t) => {
  const { say } = secured(RULES, ALICE);
  const { texts, types } = say(option(GO, infoData("lu1")), option(GO, infoData("nothing")));
  t.is(texts[0], texts[1]);
  t.deepEqual(types, [ERR_UNKNOWN, ERR_UNKNOWN]);
  const asked = say(option(STRUCTURED), option(SET_META, metaData("lu1", ["base:allocation"])));
  t.deepEqual(asked.types, [ACK, ERR_UNKNOWN]);
  t.is(say(option(EXPORT_NAME, Buffer.from("lu1"))).last.kind, "close");
});

test("without TLS, where it may be left out, what is for anyone is open, and the rest asks for TLS", (t) => {
  const rules: Rule[] = [...RULES, { who: { kind: "anyone" }, exports: ["1"], isReadOnly: true }];
  const { say } = talk(rules, false);
  t.deepEqual(say(u32(1), option(LIST)).types, [SERVER, ACK]);
  t.deepEqual(say(option(GO, infoData("lu0")), option(GO, infoData("nothing"))).types, [ERR_TLS_REQD, ERR_TLS_REQD]);
  const { last } = say(option(GO, infoData("lu1")));
  t.is(last.kind === "transmit" ? last.flags & CONNECTION_READ_ONLY : 0, CONNECTION_READ_ONLY);
});

test("names of certificates are whole names, never pieces of one", (t) => {
  t.is(distinguishedName("C=DE\nO=Example\\, Inc.\nCN=client1"), "CN=client1,O=Example\\, Inc.,C=DE");
  t.deepEqual(alternativeNames("DNS:a.example.com, IP Address:192.0.2.1, URI:spiffe://x/y"), [
    "DNS:a.example.com",
    "IP Address:192.0.2.1",
    "URI:spiffe://x/y",
  ]);
  t.deepEqual(alternativeNames('URI:"http://x/, DNS:root.example.com", DNS:b'), ["DNS:b"]);
  t.deepEqual(alternativeNames("DNS:a\u0000, ???"), [], "what is not understood names nobody");
  t.deepEqual(alternativeNames(undefined), []);
});
