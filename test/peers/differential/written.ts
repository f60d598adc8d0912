// The fixed scripts: each option with each mistake, each command with each flag, length and place.

import { infoData, metaData, option, u16, u32, u64 } from "../../unit/export/client.ts";
import * as N from "../raw.ts";
import { asks, exportName, flags, leaves, requests, type Script, silent, type Step, together } from "./script.ts";
import { EXPORT, MEDIUM_BYTES } from "./servers.ts";

const FIXED = 1;
const NO_ZEROES = 2;
const LIST = 3;
const INFO = 6;
const GO = 7;
const STRUCTURED = 8;
const LIST_META = 9;
const SET_META = 10;
const BLOCK_SIZES = 3;
const ALLOCATION = "base:allocation";
const SIZE = BigInt(MEDIUM_BYTES);

const both = flags(FIXED | NO_ZEROES);

function script(name: string, ...steps: Step[]): Script {
  return { name, agrees: false, steps };
}

/** A script whose client always requests the block sizes. */
const agreed = (name: string, ...steps: Step[]): Script => ({ name, agrees: true, steps });

const spared = (scripts: readonly Script[]): Script[] =>
  scripts.map(({ agrees, name, steps }) => ({ agrees, name, steps, spares: "qemu-nbd" }));

/** A session up to its transmission phase. */
const opening = (structured: boolean, agrees: boolean): Step[] => [
  both,
  ...(structured ? [asks(STRUCTURED), asks(SET_META, metaData(EXPORT, [ALLOCATION]))] : []),
  asks(GO, infoData(EXPORT, agrees ? [BLOCK_SIZES] : [])),
];

/** A script of the transmission phase, once for each kind of handshake. */
function session(name: string, ...steps: Step[]): Script[] {
  return [false, true].flatMap((structured) =>
    [false, true].map((agrees) => ({
      name: `${name} (${structured ? "structured" : "simple"}${agrees ? ", block sizes" : ""})`,
      agrees,
      steps: [...opening(structured, agrees), ...steps],
    })),
  );
}

const payload = (bytes: number, value: number): Buffer => Buffer.alloc(bytes, value);

/** Each mistake in the data of an option, and what the client can still do afterwards. */
const mistakes: readonly Script[] = (
  [
    ["LIST with data", LIST, Buffer.from("x")],
    ["STRUCTURED_REPLY with data", STRUCTURED, Buffer.from("x")],
    ["GO without data", GO, Buffer.alloc(0)],
    ["GO whose name is longer than the option", GO, Buffer.concat([u32(100), Buffer.from(EXPORT)])],
    ["GO with the largest name length", GO, Buffer.concat([u32(0xffffffff), u16(0)])],
    ["GO without a count of requests", GO, Buffer.concat([u32(3), Buffer.from(EXPORT)])],
    ["GO with fewer requests than counted", GO, Buffer.concat([u32(3), Buffer.from(EXPORT), u16(2), u16(3)])],
    ["GO with more bytes than counted", GO, Buffer.concat([infoData(EXPORT), Buffer.from("x")])],
    ["GO with another name", GO, infoData("nobody")],
    ["GO with a name of more than 4096 bytes", GO, infoData("x".repeat(4097))],
    ["INFO without data", INFO, Buffer.alloc(0)],
    ["INFO with another name", INFO, infoData("nobody")],
    ["SET_META_CONTEXT without data", SET_META, Buffer.alloc(0)],
    ["SET_META_CONTEXT with another name", SET_META, metaData("nobody", [ALLOCATION])],
    ["SET_META_CONTEXT with a query cut off", SET_META, metaData(EXPORT, ["base:"]).subarray(0, -1)],
    ["LIST_META_CONTEXT with more queries than there are", LIST_META, Buffer.concat([u32(0), u32(-1)])],
    ["LIST_META_CONTEXT with a second query cut off", LIST_META, metaData(EXPORT, ["base:", "x"]).subarray(0, -2)],
    ["an option nobody knows", 0x1234, Buffer.from("data")],
    ["the withdrawn PEEK_EXPORT", 4, Buffer.alloc(0)],
    ["STARTTLS", 5, Buffer.alloc(0)],
    ["STARTTLS with data", 5, Buffer.from("x")],
    ["option 0", 0, Buffer.alloc(0)],
  ] as const
).map(([name, code, data]) => script(name, both, asks(STRUCTURED), asks(code, data), asks(GO, infoData(EXPORT))));

/** QEMU 7.2 takes surplus bytes for the next option. */
const surplus: readonly Script[] = spared([
  script(
    "SET_META_CONTEXT with bytes too many",
    both,
    asks(STRUCTURED),
    asks(SET_META, Buffer.concat([metaData(EXPORT), u32(0)])),
    asks(GO, infoData(EXPORT)),
  ),
]);

const queries = (name: string, code: number, ...texts: string[]): Script =>
  script(name, both, asks(STRUCTURED), asks(code, metaData(EXPORT, texts)), asks(code, metaData(EXPORT, texts)));

const negotiation: readonly Script[] = [
  script("nothing at all"),
  script("half of the client flags", silent(Buffer.from([0, 0]))),
  script("unknown client flags", flags(4), asks(LIST)),
  script("every client flag", flags(0xffffffff), asks(LIST)),
  script("EXPORT_NAME", flags(FIXED), exportName(EXPORT, 124), requests({ type: N.READ, length: 512 })),
  script("EXPORT_NAME without zeroes", both, exportName(EXPORT, 0), requests({ type: N.READ, length: 512 })),
  script("EXPORT_NAME of the old kind", flags(0), exportName(EXPORT, 124), requests({ type: N.READ, length: 512 })),
  script("EXPORT_NAME with the empty name", both, exportName("", 0)),
  script("EXPORT_NAME with another name", both, exportName("nobody", 0)),
  script("EXPORT_NAME after structured replies", both, asks(STRUCTURED), exportName(EXPORT, 0)),
  script("another option from a client of the old kind", flags(0), asks(LIST)),
  script("ABORT", both, asks(2)),
  script("ABORT with data", both, asks(2, Buffer.from("x"))),
  script("LIST", both, asks(LIST), asks(LIST)),
  script("INFO", both, asks(INFO, infoData(EXPORT)), asks(INFO, infoData(EXPORT, [2, 1]))),
  agreed("INFO of all", both, asks(INFO, infoData(EXPORT, [0, 1, 2, 3]))),
  script("INFO of what nobody knows", both, asks(INFO, infoData(EXPORT, [0, 77, 65535]))),
  agreed("INFO twice of the same", both, asks(INFO, infoData(EXPORT, [3, 3]))),
  script("INFO with the empty name", both, asks(INFO, infoData("", [1]))),
  script("GO with the empty name", both, asks(GO, infoData(""))),
  agreed("GO that asks for all", both, asks(GO, infoData(EXPORT, [3, 2, 1, 0]))),
  script("structured replies twice", both, asks(STRUCTURED), asks(STRUCTURED), asks(GO, infoData(EXPORT))),
  script("extended headers", both, asks(11), asks(LIST)),
  script(
    "SET_META_CONTEXT before structured replies",
    both,
    asks(SET_META, metaData(EXPORT, [ALLOCATION])),
    asks(LIST),
  ),
  script("LIST_META_CONTEXT before structured replies", both, asks(LIST_META, metaData(EXPORT)), asks(LIST)),
  queries("LIST_META_CONTEXT of all", LIST_META),
  queries("LIST_META_CONTEXT of base:", LIST_META, "base:"),
  queries("LIST_META_CONTEXT of base:allocation", LIST_META, ALLOCATION),
  queries("LIST_META_CONTEXT of what there is not", LIST_META, "base:nothing", "other:thing"),
  queries("SET_META_CONTEXT of all", SET_META),
  queries("SET_META_CONTEXT of base:", SET_META, "base:"),
  queries("SET_META_CONTEXT of base:allocation", SET_META, ALLOCATION),
  queries("SET_META_CONTEXT twice the same query", SET_META, ALLOCATION, ALLOCATION),
  queries("SET_META_CONTEXT of what there is not", SET_META, "base:nothing", "other:thing"),
  queries("SET_META_CONTEXT of an empty query", SET_META, ""),
  script(
    "a selection that is taken back",
    both,
    asks(STRUCTURED),
    asks(SET_META, metaData(EXPORT, [ALLOCATION])),
    asks(SET_META, metaData(EXPORT)),
    asks(GO, infoData(EXPORT)),
    requests({ type: N.BLOCK_STATUS, length: 4096 }),
  ),
  script("a wrong option magic", both, silent(Buffer.concat([u64(0n), u32(LIST), u32(0)]))),
  script("a request instead of an option", both, silent(N.command({ type: N.READ, length: 512 }))),
  script("half of an option", both, silent(option(GO, infoData(EXPORT)).subarray(0, 20))),
  script("an option whose data do not come", both, silent(option(GO, Buffer.from("abc"), 1000))),
  script("an option of 70,000 bytes", both, asks(99, Buffer.alloc(70_000)), asks(LIST)),
  script("an option of 4 GiB", both, asks(99, Buffer.alloc(0), 0xffffffff)),
  script("an export name of 5000 bytes", both, exportName("x".repeat(5000), 0)),
];

const BEYOND: readonly (readonly [string, bigint, number])[] = [
  ["at the end", SIZE, 512],
  ["across the end", SIZE - 512n, 1024],
  ["far beyond", 1n << 62n, 512],
  ["where offset and length overflow", (1n << 64n) - 512n, 1024],
];

const beyond: readonly Script[] = BEYOND.flatMap(([name, offset, length]) =>
  session(
    `every command ${name}`,
    requests({ type: N.READ, cookie: 2n, offset, length }),
    requests({ type: N.WRITE, cookie: 3n, offset, length }, payload(length, 1)),
    requests({ type: N.WRITE_ZEROES, cookie: 4n, offset, length }),
    requests({ type: N.TRIM, cookie: 5n, offset, length }),
    requests({ type: N.CACHE, cookie: 6n, offset, length }),
    requests({ type: N.BLOCK_STATUS, cookie: 7n, offset, length }),
    requests({ type: N.READ, cookie: 8n, offset: SIZE - 512n, length: 512 }),
  ),
);

const COMMANDS = [N.READ, N.WRITE, N.FLUSH, N.TRIM, N.CACHE, N.WRITE_ZEROES, N.BLOCK_STATUS];

/** Each command with one flag; the zeroing after it makes the range the same on all servers, whatever a trim did to it. */
const flagged: readonly Script[] = [N.FUA, N.NO_HOLE, N.DF, 8, N.FAST_ZERO, 32, 64, 0x8000].flatMap((flag) =>
  session(
    `every command with flag ${flag}`,
    ...COMMANDS.map((type, i) => {
      const length = type === N.FLUSH ? 0 : 4096;
      const c = { type, cookie: BigInt(100 + i), offset: type === N.FLUSH ? 0n : 65_536n, length, flags: flag };
      return requests(c, payload(type === N.WRITE ? length : 0, 0x55));
    }),
    requests({ type: N.WRITE_ZEROES, offset: 65_536n, length: 4096 }),
    requests({ type: N.READ, offset: 61_440n, length: 12_288 }),
  ),
);

const across: readonly Step[] = [
  requests({ type: N.READ, offset: 100n, length: 1000 }),
  requests({ type: N.WRITE, offset: 1000n, length: 100 }, payload(100, 4)),
  requests({ type: N.READ, offset: 0n, length: 4096 }),
  requests({ type: N.WRITE_ZEROES, offset: 700n, length: 700 }),
  requests({ type: N.READ, offset: 0n, length: 4096 }),
  requests({ type: N.READ, offset: SIZE - 1n, length: 1 }),
  requests({ type: N.READ, offset: SIZE - 1n, length: 2 }),
  requests({ type: N.CACHE, offset: 1n, length: 1 }),
  requests({ type: N.BLOCK_STATUS, offset: 1n, length: 1 }),
];

const transmission: readonly Script[] = [
  ...session(
    "each command as it should be",
    requests({ type: N.WRITE, offset: 8192n, length: 4096 }, payload(4096, 0xa1)),
    requests({ type: N.READ, offset: 4096n, length: 12_288 }),
    requests({ type: N.FLUSH }),
    requests({ type: N.CACHE, offset: 0n, length: 4096 }),
    requests({ type: N.WRITE_ZEROES, offset: 8192n, length: 512 }),
    requests({ type: N.READ, offset: 8192n, length: 1024 }),
    requests({ type: N.TRIM, offset: 16_384n, length: 4096 }),
    requests({ type: N.WRITE_ZEROES, offset: 16_384n, length: 4096 }),
    requests({ type: N.READ, offset: 16_384n, length: 4096 }),
    requests({ type: N.READ, offset: 0n, length: MEDIUM_BYTES }),
    leaves({ type: N.DISCONNECT }),
  ),
  ...session(
    "every command of no length",
    ...COMMANDS.map((type, i) => requests({ type, cookie: BigInt(i), offset: 0n, length: 0 })),
  ),
  ...session(
    "every command of no length at the end",
    ...COMMANDS.filter((type) => type !== N.FLUSH).map((type, i) =>
      requests({ type, cookie: BigInt(i), offset: SIZE, length: 0 }),
    ),
  ),
  ...session("a flush with offset and length", requests({ type: N.FLUSH, offset: 512n, length: 512 })),
  ...session(
    "commands nobody knows",
    ...[8, 9, 99, 0xffff].map((type) => requests({ type, cookie: 5n, length: 512 })),
    requests({ type: N.READ, length: 512 }),
  ),
  ...session(
    "requests in one piece",
    together(
      requests({ type: N.READ, cookie: 1n, offset: 0n, length: 512 }),
      requests({ type: N.WRITE, cookie: 2n, offset: 4096n, length: 4096 }, payload(4096, 2)),
      requests({ type: 99, cookie: 3n }),
      requests({ type: N.READ, cookie: 4n, offset: SIZE, length: 512 }),
      requests({ type: N.WRITE, cookie: 5n, offset: SIZE, length: 4096 }, payload(4096, 3)),
      requests({ type: N.READ, cookie: 6n, offset: 8192n, length: 65_536 }),
    ),
    requests({ type: N.READ, cookie: 7n, offset: 4096n, length: 4096 }),
  ),
  ...session(
    "reads of holes, of data and of both",
    ...[0, N.DF].flatMap((flag) => [
      requests({ type: N.READ, offset: SIZE / 2n, length: 65_536, flags: flag }),
      requests({ type: N.READ, offset: SIZE / 2n - 65_536n, length: 65_536, flags: flag }),
      requests({ type: N.READ, offset: SIZE / 2n - 65_536n, length: 131_072, flags: flag }),
    ]),
  ),
  ...session(
    "writes with a wrong flag in a wrong place",
    requests({ type: N.WRITE, offset: SIZE, length: 512, flags: 64 }, payload(512, 1)),
    requests({ type: N.WRITE_ZEROES, offset: SIZE, length: 512, flags: 64 }),
  ),
  ...session(
    "cookies of every kind",
    ...[0n, (1n << 64n) - 1n, 0x2560951367446698n].map((cookie) => requests({ type: N.READ, cookie, length: 512 })),
  ),
  ...session(
    "a read of 32 MiB and more",
    requests({ type: N.READ, length: (32 << 20) + 512 }),
    requests({ type: N.READ, length: 512 }),
  ),
  ...session(
    "a read of 4 GiB",
    requests({ type: N.READ, length: 0xffffffff }),
    requests({ type: N.READ, length: 512 }),
  ),
  ...session(
    "a trim of 4 GiB",
    requests({ type: N.TRIM, length: 0xffffffff }),
    requests({ type: N.READ, length: 512 }),
  ),
  ...session("a write of 4 GiB", requests({ type: N.WRITE, length: 0xffffffff })),
  ...session("a wrong request magic", requests({ type: N.READ, length: 512, magic: 0x25609514 })),
  ...session("an option instead of a request", requests({ type: N.READ, magic: 0x49484156 })),
  ...session("half of a request", silent(N.command({ type: N.READ, length: 512 }).subarray(0, 13))),
  ...session("half of a payload", silent(Buffer.concat([N.command({ type: N.WRITE, length: 4096 }), payload(100, 9)]))),
  ...session("DISC", requests({ type: N.READ, length: 512 }), leaves({ type: N.DISCONNECT })),
  ...session("DISC with offset and length", leaves({ type: N.DISCONNECT, offset: 512n, length: 512 })),
  ...session("DISC with flags", leaves({ type: N.DISCONNECT, flags: 0xffff })),
  // Sometimes QEMU 7.2 closes the connection without answering requests in progress.
  ...spared(
    session(
      "DISC behind requests",
      silent(Buffer.concat([1n, 2n, 3n].map((cookie) => N.command({ type: N.FLUSH, cookie })))),
      leaves({ type: N.DISCONNECT }),
    ),
  ),
  ...session(
    "extents of half data, half holes",
    requests({ type: N.BLOCK_STATUS, offset: 0n, length: MEDIUM_BYTES }),
    requests({ type: N.BLOCK_STATUS, offset: 0n, length: MEDIUM_BYTES, flags: 8 }),
    requests({ type: N.BLOCK_STATUS, offset: SIZE / 2n, length: 65_536 }),
  ),
  ...session("requests across blocks", ...across).filter(({ agrees }) => !agrees),
  // QEMU 7.2 executes requests that it has asked clients not to send, or aborts with an assertion.
  ...spared(session("requests across blocks", ...across).filter(({ agrees }) => agrees)),
];

/** The same negotiations, sent without waiting for answers. */
const eager = [...negotiation, ...mistakes].map(({ agrees, name, steps }): Script => ({
  agrees,
  steps,
  name: `${name}, in one piece`,
  isEager: true,
}));

export const written: readonly Script[] = [
  ...eager,
  ...negotiation,
  ...mistakes,
  ...surplus,
  ...transmission,
  ...beyond,
  ...flagged,
];
