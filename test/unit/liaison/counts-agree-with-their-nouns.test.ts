// "1 unit", never "1 units": every sentence that counts something.

import { globSync, readFileSync } from "node:fs";
import test from "ava";
import { causeSentences, type Cause } from "../../../host/control/views/components.ts";
import { Inventory, type Path } from "../../../host/control/inventory/inventory.ts";
import { Snapshot } from "../../../host/control/core/snapshot.ts";
import { ConnectionRoom } from "../../../host/export/connection-limit.ts";
import { MESSAGES, sentence, type MessageName } from "../../../host/liaison/messages.ts";
import { areOrIs, counted } from "../../../host/wording.ts";
import { unitRow } from "../control/fixtures/unit-row.ts";

/** What the sentences count. */
const NOUNS =
  "block|byte|check|client|command|connection|device|disk|error|event|file|group|host|key|line|message|minute|option|path|port|" +
  "request|second|time|unit|warning";
const COUNTS = [0, 1, 2];

/** Counts that a noun or a verb does not agree with. */
const WRONG = new RegExp(
  String.raw`(?<![\d.,])1 (?:\w+ )?(?:${NOUNS})s\b|(?<![\d.,])(?:0|[2-9]|\d\d+) (?:more )?(?:${NOUNS})\b|(?<![\d.,])1 (?:\w+ )?(?:${NOUNS}) (?:have|are|fail)\b`,
);

/** These are written for several only, or the noun is not what is counted. */
const AGREEING: readonly string[] = [
  "connection-limit.ts: ${count} connections",
  "connection-limit.ts: ${reserve} connections",
  "empty-filter.ts: ${disks} SCSI disks",
  "descriptors.ts: ${this.limit} files",
  // A factor.
  "scene.ts: ${factor",
];

test("a count and its noun, a noun and its verb", (t) => {
  t.deepEqual(
    COUNTS.map((count) => `${counted(count, "more unit")} ${areOrIs(count)}`),
    ["0 more units are", "1 more unit is", "2 more units are"],
  );
  t.deepEqual(
    [1n, 2n].map((count) => counted(count, "byte")),
    ["1 byte", "2 bytes"],
  );
  for (const wrong of ["1 units", "1 more paths", "2 path", "1 path have", "0 unit"]) t.regex(wrong, WRONG);
  for (const right of ["1 unit", "21 units", "1 path has", "0 paths", "1.1 units", "port 1 of"])
    t.notRegex(right, WRONG);
});

test("no sentence puts a count before a noun by itself: it would be wrong for one", (t) => {
  const files = globSync("host/**/*.ts", { exclude: ["host/build/**", "host/embedding/**", "host/native/target/**"] });
  t.true(files.length > 300);
  // A name in capitals is a constant, which is more than one.
  const bare = new RegExp(
    String.raw`\$\{(?!(?:\w+\.)?[A-Z_]+\})(?:[^{}\x60]|\{[^{}]*\})+\} (?:more |other |open |SCSI |NBD |logical )?(?:${NOUNS})s\b(?!\()`,
    "g",
  );
  const found = files.flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(bare)].map(([text]) => `${file}: ${text}`),
  );
  t.deepEqual(
    found.filter((line) => !AGREEING.some((known) => line.includes(known))),
    [],
    "write it with `counted` (host/wording.ts)",
  );
});

test("every message says its details as they are, whatever their number", (t) => {
  for (const kind of Object.keys(MESSAGES) as MessageName[]) {
    for (const count of COUNTS) {
      const text = sentence({ kind, timeMs: 0, unit: count, path: "4:0:0:0", detail: { paths: count, units: count } });
      t.notRegex(text, WRONG, kind);
      t.true(text.includes(`paths ${count}, units ${count}`), kind);
    }
  }
});

/** Failed paths of so many units, each with so many. */
function failed(units: number, each: number): Path[] {
  const inventory = new Inventory(
    Array.from({ length: units }, (_, number) => unitRow(number)),
    [],
  );
  let handle = 0;
  return inventory.units().flatMap((unit) =>
    Array.from({ length: each }, (_, host) => {
      const number = `${host}:0:0:${unit.number}`;
      const path = inventory.addPath(unit, { number, priority: host + 1, enabled: true, nexus: null });
      inventory.setPathHandle(path, handle++);
      return path;
    }),
  );
}

const causeOf = (paths: Path[], components: readonly string[]): Cause => ({
  components,
  paths,
  units: [...new Set(paths.map(({ unit }) => unit))],
});
const nothingKnown = { isMarginal: () => false, path: () => null } as unknown as Snapshot;

test("what is lost: one path and several, of one unit and of several, and more than are named", (t) => {
  const told = [
    causeOf(failed(1, 1), ["host5"]),
    causeOf(failed(1, 2), ["host5"]),
    causeOf(failed(2, 1), ["host5"]),
  ].flatMap((cause) => causeSentences([cause], nothingKnown));
  t.deepEqual(told, [
    "host5 lost: 1 path of 1 unit",
    "host5 lost: 2 paths of 1 unit",
    "host5 lost: 2 paths of 2 units",
  ]);
  for (const [more, says] of [
    [1, "1 more path has failed"],
    [2, "2 more paths have failed"],
  ] as const) {
    const causes = failed(8 + more, 1).map((path) => causeOf([path], []));
    t.is(causeSentences(causes, nothingKnown).at(-1), says);
  }
});

test("why a connection is refused, where one is allowed and where two are", (t) => {
  for (const count of [1, 2]) {
    const room = new ConnectionRoom({ connections: count, remote: count, perPeer: count, reserve: 0 });
    for (let open = 0; open < count; open++) {
      const peer = { name: "uid 7", isRoot: false };
      t.is(room.full("tcp", peer), null);
      room.open("tcp", open, peer);
    }
    t.notRegex(room.full("tcp", { name: "uid 8", isRoot: false }) ?? "1 paths", WRONG);
  }
});
