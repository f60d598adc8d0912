import test from "ava";
import { EVENT_ARG0, EVENT_BYTES, EVENT_CONNECTION_CLOSED, EVENT_KIND, EVENT_PATH_STATE } from "../../../host/abi.ts";
import type { CallName } from "../../../host/reactor/reactor-messages.ts";
import { Book, EVENT_BYTES_KEPT } from "../../../host/supervisor/book.ts";

function events(...list: readonly (readonly [kind: number, arg0: number])[]): Uint8Array {
  const entries = new Uint8Array(list.length * EVENT_BYTES);
  const view = new DataView(entries.buffer);
  for (const [index, [kind, arg0]] of list.entries()) {
    view.setUint16(index * EVENT_BYTES + EVENT_KIND, kind, true);
    view.setUint32(index * EVENT_BYTES + EVENT_ARG0, arg0, true);
  }
  return entries;
}

let lastId = 0;

function carriedOut(book: Book, name: CallName, args: readonly unknown[], answer: unknown, label?: unknown): void {
  const id = ++lastId;
  book.asked({ kind: "call", id, name, args, label });
  book.answered(id, answer, false);
}

const path = { path: {}, settings: [] };

test("handles are known by their labels from the moment the reactor has answered", (t) => {
  const book = new Book();
  const units = [{ handle: null, settings: [], paths: [path, path] }];
  const labels = [{ unit: "unit", paths: ["a", "b"] }];
  book.asked({ kind: "call", id: 900, name: "addUnits", args: [units], label: labels });
  t.is(book.underWay, 1);
  t.deepEqual(book.adoption().units, []);
  book.answered(900, [{ unit: 7, paths: [3, { code: "CORE_LIMIT", message: "" }] }], false);
  t.is(book.underWay, 0);
  t.deepEqual(book.adoption().units, [[7, "unit"]]);
  t.deepEqual(book.adoption().paths, [[3, "a"]]);
});

test("what was refused leaves nothing, and a unit that gets more paths keeps its label", (t) => {
  const book = new Book();
  carriedOut(
    book,
    "addUnits",
    [[{ handle: null, settings: [], paths: [path] }]],
    [{ unit: 1, paths: [1] }],
    [{ unit: "unit", paths: ["a"] }],
  );
  carriedOut(
    book,
    "addUnits",
    [[{ handle: 1, settings: [], paths: [path] }]],
    [{ unit: 1, paths: [2] }],
    [{ unit: "later", paths: ["b"] }],
  );
  book.asked({ kind: "call", id: 901, name: "addConnection", args: [5, 1, 0], label: "refused" });
  book.answered(901, undefined, true);
  const { units, paths, connections } = book.adoption();
  t.deepEqual(units, [[1, "unit"]]);
  t.deepEqual(paths, [
    [1, "a"],
    [2, "b"],
  ]);
  t.deepEqual(connections, []);
});

test("a removed path is known as such until its handle is another's; ports are known while they are open", (t) => {
  const book = new Book();
  const units = [{ handle: null, settings: [], paths: [path] }];
  carriedOut(book, "openPort", ["/dev/sg0", 8], 65);
  carriedOut(book, "addUnits", [units], [{ unit: 0, paths: [4] }], [{ unit: "unit", paths: ["a"] }]);
  carriedOut(book, "pathRemove", [4], undefined);
  t.deepEqual(book.adoption().paths, []);
  t.deepEqual(book.adoption().removedPaths, [[4, "a"]]);
  t.deepEqual(book.adoption().ports, [65]);
  carriedOut(
    book,
    "addUnits",
    [[{ handle: 0, settings: [], paths: [path] }]],
    [{ unit: 0, paths: [4] }],
    [{ unit: "unit", paths: ["b"] }],
  );
  carriedOut(book, "closePort", [65], undefined);
  t.deepEqual(book.adoption().removedPaths, []);
  t.deepEqual(book.adoption().paths, [[4, "b"]]);
  t.deepEqual(book.adoption().ports, []);
});

test("a connection that closes is told to the next control until one has noted it; its handle may be another's by then", (t) => {
  const book = new Book();
  carriedOut(book, "addConnection", [9, 0, 0], 2, { index: 3 });
  const { number } = book.happened(events([EVENT_CONNECTION_CLOSED, 2]));
  carriedOut(book, "addConnection", [10, 0, 0], 2, { index: null });
  book.relabel(2, { index: 5 });
  t.deepEqual(book.adoption().connections, [[2, { index: 5 }]]);
  t.deepEqual(book.adoption().closed, [{ index: 3 }]);
  book.noted(number);
  t.deepEqual(book.adoption().closed, []);
  t.deepEqual(book.adoption().connections, [[2, { index: 5 }]]);
});

test("events stay until they are noted, in order and once", (t) => {
  const book = new Book();
  const first = events([EVENT_PATH_STATE, 1]);
  const second = events([EVENT_PATH_STATE, 2], [EVENT_PATH_STATE, 3]);
  const { number } = book.happened(first);
  book.happened(second);
  t.deepEqual(book.adoption().events, [
    { reactor: 0, entries: first },
    { reactor: 0, entries: second },
  ]);
  book.noted(number);
  t.deepEqual(book.adoption().events, [{ reactor: 0, entries: second }]);
  book.noted(book.adoption().number);
  t.is(book.adoption().events.length, 0);
});

test("without anybody to note them events fill a bounded place; those beyond are counted, and connections still close", (t) => {
  const book = new Book();
  carriedOut(book, "addConnection", [9, 0, 0], 1, "client");
  const many = events(...Array.from({ length: 1000 }, () => [EVENT_PATH_STATE, 0] as const));
  const batches = Math.floor(EVENT_BYTES_KEPT / many.length) + 3;
  for (let i = 0; i < batches; i++) book.happened(many);
  const closing = events([EVENT_CONNECTION_CLOSED, 1]);
  const { entries } = book.happened(new Uint8Array([...many, ...closing]));
  t.is(entries.length, EVENT_BYTES);
  const adoption = book.adoption();
  const kept = adoption.events.reduce((sum, batch) => sum + batch.entries.length, 0);
  t.true(kept <= EVENT_BYTES_KEPT + EVENT_BYTES);
  t.is(adoption.eventsLost * EVENT_BYTES + kept, (batches + 1) * many.length + EVENT_BYTES);
  t.deepEqual(adoption.closed, ["client"]);
  t.deepEqual(adoption.connections, []);
  t.is(book.takeLost(), 0, "they are told of once");
});

test("what one reactor had is forgotten when it ends; what the others have under the same numbers is not", (t) => {
  const book = new Book();
  const units = [{ handle: null, settings: [], paths: [path] }];
  for (const reactor of [0, 1]) {
    const names = reactor === 0 ? ["unit", "path"] : ["other unit", "other path"];
    for (const [id, name, args, answer, label] of [
      [1, "addUnits", [units], [{ unit: 0, paths: [2] }], [{ unit: names[0], paths: [names[1]] }]],
      [2, "openPort", ["/dev/sg0", 8], 5, undefined],
      [3, "addConnection", [9, 0, 0], 1, names[0]],
    ] as const) {
      book.asked({ kind: "call", id, name, args, label }, reactor);
      book.answered(id, answer, false);
    }
  }
  const both = book.adoption();
  t.is(both.units.length + both.paths.length + both.ports.length + both.connections.length, 8);
  book.asked({ kind: "call", id: 4, name: "snapshot", args: [] }, 1);
  book.fell(1);
  const { units: left, paths, ports, connections } = book.adoption();
  t.deepEqual([left, paths, ports, connections], [[[0, "unit"]], [[2, "path"]], [5], [[1, "unit"]]]);
  t.is(book.underWay, 0);
});
