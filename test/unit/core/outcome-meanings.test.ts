// Every row of the table of what is made of an outcome (assembly/scsi/meaning.ts), cell by cell, against what the core then does.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { coreTable } from "../../../host/build/core-tables.ts";
import { WRITE, replies, request } from "./fixtures/nbd-client.ts";
import { INQUIRY, NAA, REPORT, TUR, scene, type Scene } from "./fixtures/scene.ts";
import { check, type Answer } from "./fixtures/scsi.ts";

const ERRNO: Readonly<Record<string, number>> = { EIO: 5, EPERM: 1, ENOSPC: 28, BY_OPERATION: 28 };
const TELLING = [
  "EVENT_CAPACITY_CHANGED",
  "EVENT_INQUIRY_CHANGED",
  "EVENT_THIN_THRESHOLD",
  "EVENT_RESERVATION_CONFLICT",
] as const;
const WRITES = new Set([0x2a, 0x8a]);

/** An answer of each outcome. */
const SAMPLES: Readonly<Record<string, Answer>> = {
  OUTCOME_GOOD: {},
  OUTCOME_RETRY: check(0xb, 0x47, 0),
  OUTCOME_RETRY_SOFT: check(6, 0x2f, 0),
  OUTCOME_BUSY: { status: 8 },
  OUTCOME_WAIT: check(2, 4, 1),
  OUTCOME_FAILED: { hostStatus: 1 },
  OUTCOME_ELSEWHERE: check(4, 0x44, 0),
  OUTCOME_ALUA: check(2, 4, 0x0b),
  OUTCOME_ALUA_CHANGED: check(6, 0x2a, 6),
  OUTCOME_INVENTORY: check(6, 0x3f, 0x0e),
  OUTCOME_GONE: check(5, 0x25, 0),
  OUTCOME_CAPACITY: check(6, 0x2a, 9),
  OUTCOME_PARAMETERS: check(6, 0x2a, 1),
  OUTCOME_ANSWER: check(3, 0x11, 0),
  OUTCOME_UNSUPPORTED: check(5, 0x24, 0),
  OUTCOME_PROTECTED: check(7, 0x27, 0),
  OUTCOME_SPACE: check(7, 0x27, 7),
  OUTCOME_PAST_END: check(5, 0x21, 0),
  OUTCOME_NEXUS: check(6, 0x29, 0),
  OUTCOME_THRESHOLD: check(6, 0x38, 7),
  OUTCOME_CONFLICT: { status: 0x18 },
};

const { columns, rows } = coreTable("outcomes");

/** Where the answers go: so many of path 0's writes (the path in use), all writes of both, or path 0's health checks. */
type To = number | "all" | "health";

interface Told {
  readonly s: Scene;
  readonly error: number | undefined;
  /** Ports that got the write, in order. */
  readonly ports: number[];
}

function play(answer: Answer, to: To, identity: readonly number[], ms: number, writes = 1): Told {
  const s = scene(identity, 2, abi.UNIT_CAN_ALUA);
  const { host, unit } = s;
  s.host.settle();
  s.seen.length = 0;
  let left = typeof to === "number" ? to : Infinity;
  for (const port of [0, 1]) {
    s.faults.set(port, ({ cdb }) => {
      const write = WRITES.has(cdb[0] ?? 0);
      if (to === "health" ? port !== 0 || cdb[0] !== TUR : !write || (to !== "all" && port !== 0)) return undefined;
      return left-- > 0 ? answer : undefined;
    });
  }
  const client = host.connect(unit);
  if (to !== "health") {
    for (let i = 0; i < writes; i++) {
      client.send(request(WRITE, BigInt(i + 1), BigInt(i * 512), 512), Buffer.alloc(512));
      host.settle();
    }
  }
  host.advance(ms);
  const ports = s.seen.filter(({ operation }) => WRITES.has(operation)).map(({ port }) => port);
  return { s, error: replies(client.received)[0]?.error, ports };
}

const first = (s: Scene): number => s.paths[0] ?? -1;
const isFailed = ({ s }: Told): boolean => (s.host.flags(first(s)) & abi.PATH_FLAG_FAILED) !== 0;
const asked = (s: Scene, operation: number): boolean => s.seen.some((one) => one.operation === operation);

for (const row of rows) {
  const name = row[0] ?? "";
  const cell = (column: string): string => row[columns.indexOf(column)] ?? "missing";
  const answer = SAMPLES[name] ?? {};

  test(`${name}: the sample is one, so the row is asked`, (t) => {
    const { host } = scene();
    const { hostStatus = 0, driverStatus = 0, status = 0, sense = [] } = answer;
    host.bytes(host.core.scratch(), sense.length).set(sense);
    const at = rows.findIndex(([one]) => one === name);
    t.true(name in SAMPLES);
    t.is(host.core.outcome(hostStatus, driverStatus, status, sense.length), at);
  });

  test(`${name}: blame ${cell("blame")}`, (t) => {
    const [once, always, often] = [[1, 1] as const, [1000, 1] as const, [1000, 4] as const].map(([to, writes]) =>
      isFailed(play(answer, to, [], 1, writes)),
    );
    const blamed = { once, always, often };
    const expected: Readonly<Record<string, typeof blamed>> = {
      BLAME_NONE: { once: false, always: false, often: false },
      BLAME_REFUSAL: { once: false, always: false, often: true },
      BLAME_RETRIES: { once: false, always: true, often: true },
      BLAME_FAILED: { once: true, always: true, often: true },
    };
    t.deepEqual(blamed, expected[cell("blame")]);
  });

  test(`${name}: ${cell("next")}`, (t) => {
    const { ports, error } = play(answer, 1, [], 30);
    const alone = play(answer, "all", [], 1).error;
    const expected: Readonly<Record<string, unknown[]>> = {
      NEXT_DONE: [[0], 0, 0],
      NEXT_HERE: [[0, 0], 0, undefined],
      NEXT_HERE_VERIFIED: [[0, 0], 0, undefined],
      NEXT_ELSEWHERE: [[0, 1], 0, undefined],
      NEXT_PAUSE: [[0, 1], 0, undefined],
      NEXT_CLIENT: [[0], ERRNO[cell("errno")], ERRNO[cell("errno")]],
      NEXT_CLIENT_IF_ALL: [[0, 1], 0, ERRNO[cell("errno")]],
    };
    t.deepEqual([ports, error, alone], expected[cell("next")]);
  });

  test(`${name}: identity ${cell("identity")}, groups ${cell("groups")}, depth ${cell("depth")}, event ${cell("event")}`, (t) => {
    const { s } = play(answer, 1, NAA, 1);
    const { host } = s;
    // A path that has failed is asked on its way back.
    const checked = (): boolean => asked(s, INQUIRY);
    t.is(checked(), cell("identity") === "CHECK");
    t.is(asked(s, REPORT), cell("groups") !== "GROUPS_SAME");
    const state = host.events.some(({ kind, path }) => kind === abi.EVENT_ALUA_CHANGED && path === first(s));
    t.is(state, cell("groups") === "GROUPS_STATE");
    t.is(host.pathField(first(s), abi.PATH_DEPTH) === 1, cell("depth") === "LOWER");
    const told: string[] = TELLING.filter((kind) => host.events.some((event) => event.kind === abi[kind]));
    t.deepEqual(told, cell("event") === "SILENT" ? [] : [cell("event")]);
  });

  test(`${name}: as the answer to a health check ${cell("health check")}`, (t) => {
    const told = play(answer, "health", [], 25_000);
    t.true(asked(told.s, TUR));
    t.is(isFailed(told), cell("health check") === "LIFE_NONE");
    // The host's driver, not the device, says that it is busy: of a failed path that proves nothing.
    if (cell("health check") !== "LIFE_OF_DEVICE") return;
    t.false(isFailed(play({ driverStatus: 1 }, "health", [], 25_000)));
  });

  test(`${name}: in the end the client gets ${cell("errno")}`, (t) => {
    const { error } = play(answer, "all", [], 130_000);
    t.is(error, name === "OUTCOME_GOOD" ? 0 : ERRNO[cell("errno")]);
  });
}
