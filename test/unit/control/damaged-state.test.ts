// The state folder of a daemon that was killed is damaged in every way: what was set is kept, or it is told what is lost; and no path that
// an operator had disabled is enabled because nobody knows better.

import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { isDeepStrictEqual } from "node:util";
import test, { type ExecutionContext } from "ava";
import { tellOfState } from "../../../host/control/events/first-words.ts";
import { State } from "../../../host/control/state/state.ts";
import { pathRow, unitRow } from "./fixtures/unit-row.ts";

const MAIN = "state.sqlite";
const JOURNAL = "state.sqlite-wal";
const COPY = "settings.copy";
const SEED = 20_261_128;
const REGION_BYTES = 512;

/** In memory where there is such a folder: each start waits for the disk several times. */
const root = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "pm-damage-"));
test.after.always(() => rmSync(root, { recursive: true }));
const folderOf = (): string => mkdtempSync(join(root, "state-"));
const never = (problem: unknown): never => {
  throw problem;
};

/** Numbers that look random and are the same in each run. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed >>> 0; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 32;
  }
}

const DISABLED = "4:0:0:1";
const UNITS = [0, 1, 2, 3, 4, 5, 6, 7].map((number) => unitRow(number, `unit${number}`));
const PATHS = UNITS.flatMap(({ number }) =>
  [4, 5, 6].map((host, index) => {
    const path = pathRow(number, `${host}:0:0:${number}`, number * 3 + index + 1);
    return Object.assign(path, { priority: index + 1, enabled: path.number !== DISABLED });
  }),
);

function begin(folder: string): State {
  const state = new State(folder, 1000);
  state.saveUnits(UNITS);
  state.savePaths(PATHS.map((path) => ({ ...path, enabled: true })));
  state.saveSettings({ failback: "standby" });
  for (let time = 0; time < 40; time++) {
    state.appendEvents([{ kind: "stall", timeMs: time, unit: 1, path: DISABLED, detail: { time } }], never);
  }
  return state;
}

/** What lies in the folder of a daemon that is killed now. */
function killed(state: State, folder: string): string {
  const copy = folderOf();
  cpSync(folder, copy, { recursive: true });
  writeFileSync(join(copy, "running.json"), "{}");
  state.close();
  return copy;
}

/** A folder with an operator's disabling of a path in it, some events after it, as a kill leaves it. */
function scene(): string {
  const folder = folderOf();
  const state = begin(folder);
  state.savePaths(PATHS);
  for (let time = 0; time < 20; time++) {
    state.appendEvents([{ kind: "stall", timeMs: time, unit: 1, path: DISABLED, detail: { time } }], never);
  }
  return killed(state, folder);
}

interface Found {
  readonly isComplete: boolean;
  readonly isTold: boolean;
  readonly reason: string;
}

/** Opens what was damaged, and asserts what may never be otherwise. */
function opened(t: ExecutionContext, folder: string, what: string): Found {
  const state = new State(folder, 1000);
  const isTold = state.rebuilt !== null;
  const isComplete = isDeepStrictEqual(
    [state.units(), state.paths(), state.settings()],
    [UNITS, PATHS, { failback: "standby" }],
  );
  const path = state.paths().find(({ number }) => number === DISABLED);
  const isSafe = path === undefined ? state.incomplete !== null : !path.enabled || path.enabling === "unknown";
  t.true(isSafe, `${what}: the disabled path would be enabled`);
  t.true(isComplete || isTold, `${what}: something is missing and nobody is told`);
  t.true(isComplete || state.incomplete !== null, `${what}: what is missing is not known to be`);
  // It is written again from now on, and the next start finds it whole.
  state.saveSettings({ cluster: true });
  const [event] = state.appendEvents([{ kind: "stall", timeMs: 1, unit: null, path: null, detail: {} }], never);
  t.true((event?.id ?? 0) > (isTold ? 0 : 40), `${what}: ${event?.id}`);
  state.close();
  const again = new State(folder, 1000);
  t.is(again.rebuilt, null, what);
  t.is(again.settings().cluster, true, what);
  again.close();
  return { isComplete, isTold, reason: state.rebuilt?.reason ?? "" };
}

function flip(file: string, at: number, bit: number): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
  writeFileSync(file, bytes);
}

function withDamage(folder: string, damage: (copy: string) => void): string {
  const copy = folderOf();
  cpSync(folder, copy, { recursive: true });
  damage(copy);
  return copy;
}

for (const name of [MAIN, JOURNAL, COPY]) {
  test(`one bit of any region of ${name} is another one: everything that was set is kept`, (t) => {
    const folder = scene();
    const random = numbers(SEED);
    const { size } = statSync(join(folder, name));
    t.true(size > REGION_BYTES);
    for (let region = 0; region < size; region += REGION_BYTES) {
      const at = region + Math.floor(random.next().value * Math.min(REGION_BYTES, size - region));
      const bit = Math.floor(random.next().value * 8);
      const what = `seed ${SEED}: bit ${bit} of byte ${at} of ${name}`;
      const copy = withDamage(folder, (where) => flip(join(where, name), at, bit));
      t.true(opened(t, copy, what).isComplete, what);
      rmSync(copy, { recursive: true });
    }
  });

  test(`${name} is cut off anywhere: everything that was set is kept`, (t) => {
    const folder = scene();
    const { size } = statSync(join(folder, name));
    for (const bytes of [0, 1, 31, 100, 4096, size - 4096, size - 512, size - 1].filter((at) => at >= 0)) {
      const copy = withDamage(folder, (where) => truncateSync(join(where, name), bytes));
      t.true(opened(t, copy, `${name} of ${bytes} bytes`).isComplete, `${name} of ${bytes} bytes`);
    }
  });
}

for (const [names, isComplete, reason] of [
  [[MAIN], true, /^it was deleted$/],
  [[JOURNAL], true, /^it lacks \d of the changes up to number \d: its journal was/],
  [[MAIN, JOURNAL], true, /^it was deleted$/],
  [[COPY], true, /^it was deleted$/],
  [[MAIN, JOURNAL, COPY], false, /are gone, though a daemon ran here/],
] as const) {
  test(`${names.join(", ")} gone: it is told, and what can be kept is`, (t) => {
    const found = opened(
      t,
      withDamage(scene(), (where) => {
        for (const name of names) rmSync(join(where, name));
      }),
      names.join(),
    );
    t.is(found.isComplete, isComplete);
    t.true(found.isTold);
    t.regex(found.reason, reason);
  });
}

test("the file and its copy are damaged in any two places: a disabled path is never enabled, and it is told", (t) => {
  const folder = scene();
  const random = numbers(SEED);
  const below = (bound: number): number => Math.floor(random.next().value * bound);
  const bytes = statSync(join(folder, MAIN)).size;
  const copyBytes = statSync(join(folder, COPY)).size;
  let incomplete = 0;
  for (let round = 0; round < 120; round++) {
    const [at, other, bit] = [below(bytes), below(copyBytes), below(8)];
    const what = `seed ${SEED}, round ${round}: byte ${at} of ${MAIN} and ${other} of ${COPY}, bit ${bit}`;
    const copy = withDamage(folder, (where) => {
      if (round % 3 === 0) truncateSync(join(where, MAIN), at);
      else flip(join(where, MAIN), at, bit);
      if (round % 5 === 0) truncateSync(join(where, COPY), other);
      else flip(join(where, COPY), other, bit);
    });
    const found = opened(t, copy, what);
    t.true(found.isTold, what);
    if (!found.isComplete) incomplete++;
    rmSync(copy, { recursive: true });
  }
  t.true(incomplete > 10);
});

test("an older file in the place of the last one is known by its number, and has what was set", (t) => {
  const folder = folderOf();
  const state = begin(folder);
  const before = folderOf();
  cpSync(folder, before, { recursive: true });
  state.savePaths(PATHS);
  const last = killed(state, folder);
  for (const name of [MAIN, JOURNAL]) cpSync(join(before, name), join(last, name));
  const found = opened(t, last, "older");
  t.true(found.isComplete);
  t.regex(found.reason, /^it lacks 1 of the changes up to number \d+/);
});

test("the file of another installation is set aside, and the settings of this one hold", (t) => {
  const other = folderOf();
  const foreign = new State(other, 1000);
  foreign.saveUnits([unitRow(9, "foreign")]);
  foreign.close();
  const folder = scene();
  rmSync(join(folder, JOURNAL));
  cpSync(join(other, MAIN), join(folder, MAIN));
  const found = opened(t, folder, "foreign");
  t.true(found.isComplete);
  t.regex(found.reason, /another installation/);
});

test("a file that says it is of a later version, and whose copy is of this one, is damaged", (t) => {
  const folder = scene();
  const database = new DatabaseSync(join(folder, MAIN));
  database.exec("PRAGMA user_version = 12");
  database.close();
  const found = opened(t, folder, "version");
  t.true(found.isComplete);
  t.regex(found.reason, /says that a later version wrote it/);
});

test("of a copy that is older than the file nothing is taken", (t) => {
  const folder = folderOf();
  const state = begin(folder);
  const before = readFileSync(join(folder, COPY));
  state.savePaths(PATHS);
  const last = killed(state, folder);
  writeFileSync(join(last, COPY), before);
  const found = opened(t, last, "older copy");
  t.true(found.isComplete);
  t.false(found.isTold);
});

test("a first start and a start after a stop tell nothing", (t) => {
  const folder = folderOf();
  const state = begin(folder);
  t.is(state.rebuilt, null);
  state.savePaths(PATHS);
  state.close();
  t.deepEqual(opened(t, folder, "stopped"), { isComplete: true, isTold: false, reason: "" });
});

test("where the root is on a unit, each boot begins with the copy alone: that is no damage", (t) => {
  for (const isHandedOver of [true, false]) {
    const folder = scene();
    for (const name of [MAIN, JOURNAL]) rmSync(join(folder, name));
    const state = new State(folder, 2000);
    const said: string[] = [];
    const logged: string[] = [];
    const hub = { say: (kind: string) => void said.push(kind) };
    const logger = { info: () => undefined, error: (line: string) => void logged.push(line) };
    tellOfState(hub, logger, state, { misnamed: [] }, isHandedOver);
    t.is(state.paths().find((path) => path.number === DISABLED)?.enabled, false);
    t.deepEqual(said, isHandedOver ? [] : ["state-rebuilt"]);
    t.is(logged.length, isHandedOver ? 0 : 1);
    state.close();
  }
});

test("neither the file nor its journal nor the copy is for others to read", (t) => {
  const folder = folderOf();
  const state = begin(folder);
  for (const name of [MAIN, JOURNAL, COPY]) t.is(statSync(join(folder, name)).mode & 0o777, 0o640, name);
  state.close();
});
