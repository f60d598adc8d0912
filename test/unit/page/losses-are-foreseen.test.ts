// What the status page says would happen if a component were lost.

import test from "ava";
import { cablingOf, consequencesOf, consequenceText, isUsable } from "../../../host/page/model/cabling.ts";
import { componentMark, pathMark } from "../../../host/page/model/tones.ts";
import { pathView, unitView } from "../cli/views.ts";
import type { PathView } from "../../../host/control/schemas/path-schema.ts";

const at = (unit: number, number: string, targetPort: string, more: Partial<PathView> = {}): PathView =>
  pathView(unit, number, 1, more.state ?? "active", { targetPort, controller: `group ${targetPort.at(-1)}`, ...more });

const units = [
  unitView(0, "adaptive", [at(0, "4:0:0:0", "port1"), at(0, "5:0:1:0", "port2")]),
  // All of it goes through host 4.
  unitView(1, "adaptive", [at(1, "4:0:0:1", "port1"), at(1, "4:0:1:1", "port2")]),
  // One path is lost already.
  unitView(2, "adaptive", [at(2, "4:0:0:2", "port1", { state: "failed", healthy: false }), at(2, "5:0:1:2", "port2")]),
];

const numbers = (list: readonly { number: number }[]): number[] => list.map(({ number }) => number);

const found = (name: string) => {
  const one = consequencesOf(cablingOf(units)).find(({ component }) => component.name === name);
  if (one === undefined) throw new Error(`no ${name}`);
  return {
    stops: numbers(one.stops),
    lastPath: numbers(one.lastPath),
    fewer: numbers(one.fewer),
    text: consequenceText(one),
  };
};

test("a unit stops with the component that all its usable paths go through", (t) => {
  t.like(found("host4"), { stops: [1], lastPath: [0], fewer: [] });
  t.like(found("host5"), { stops: [2], lastPath: [0], fewer: [] });
  t.is(found("host4").text, "1 of its units would stop, 1 would have one path left");
});

test("a path that is lost already is not lost again, and a component without usable paths harms nobody", (t) => {
  t.like(found("port1"), { stops: [], lastPath: [0, 1] });
  const lone = [unitView(3, "adaptive", [at(3, "6:0:0:3", "port3", { state: "failed", healthy: false })])];
  for (const one of consequencesOf(cablingOf(lone))) {
    t.deepEqual([one.stops, one.lastPath, one.fewer], [[], [], []]);
    t.is(consequenceText(one), "nothing more would be lost");
  }
});

test("controllers of two arrays are two, though both have a group 1", (t) => {
  const other = unitView(4, "adaptive", [at(4, "6:0:0:4", "port1")], { product: "OTHER ARRAY" });
  const { components } = cablingOf([...units, other]);
  t.is(components.filter(({ column, name }) => column === "controller" && name === "group 1").length, 2);
  t.is(new Set(components.map(({ key }) => key)).size, components.length);
});

test("what an operator disabled, or the array keeps silent, carries nothing; what is lost is told in a word and a tone", (t) => {
  t.true(isUsable(at(0, "4:0:0:0", "port1")));
  t.false(isUsable(at(0, "4:0:0:0", "port1", { enabled: false, state: "standby" })));
  t.false(isUsable(at(0, "4:0:0:0", "port1", { alua: { state: "standby", group: 1, preferred: false } })));
  t.false(isUsable(at(0, "4:0:0:0", "port1", { conditions: ["unverified"] })));
  t.deepEqual(pathMark({ state: "active", conditions: ["marginal"] }), { tone: "warn", word: "active, marginal" });
  t.deepEqual(componentMark(4, 4), { tone: "bad", word: "lost" });
  t.deepEqual(componentMark(4, 1), { tone: "warn", word: "1 of 4 lost" });
});
