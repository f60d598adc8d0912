// The mutation tool finds in a source the mistakes that a programmer could make, and only programs.

import test from "ava";
import { mutantsOf, mutated, type Mutant } from "../../mutation/operators.ts";
import { everyMutant, sampleOf, wrongEntries } from "../../mutation/sample.ts";
import { shapeOf } from "../../mutation/shape.ts";

const SOURCE = `
export const LIMIT: u32 = 7;

function store(place: u32, value: u32): void {}

export function step(a: u32, b: u32): bool {
  assert(a < b, "never changed");
  if (a === 3) return true;
  let c = <u16>(a + b);
  for (let i: u32 = 0; i < b; i++) {
    if (i > LIMIT && c !== 0) break;
    store(a, max(c, b));
  }
  c = 5;
  return false;
}
`;

const mutants = mutantsOf("assembly/sample.ts", SOURCE);
const identityOf = ({ identity }: Mutant): string => identity;

test("each kind of mistake is found where it can be made", (t) => {
  const found = new Set(mutants.map(({ line, operator, from, to }) => `${line} ${operator}: ${from} -> ${to}`));
  for (const mutant of [
    "8 negate condition: a === 3 -> !(a === 3)",
    "8 === to !==: a === 3 -> (a !== 3)",
    "8 off by one: 3 -> 4",
    "8 other truth: true -> false",
    "9 narrow cast: u16 -> u16><u8",
    "9 + to -: a + b -> (a - b)",
    "10 < to <=: i < b -> (i <= b)",
    "11 && to ||: i > LIMIT && c !== 0 -> (i > LIMIT || c !== 0)",
    "11 drop statement: break -> ",
    "12 drop statement: store(a, max(c, b)) -> ",
    "12 swap arguments: a, max(c, b) -> max(c, b), a",
    "14 skip assignment: c = 5 -> ",
    "15 other truth: false -> true",
  ]) {
    t.true(found.has(mutant), mutant);
  }
});

test("assertions, constants and what has no order are left alone", (t) => {
  t.false(mutants.some(({ line }) => line === 2 || line === 7));
  t.false(mutants.some(({ from }) => from === "c, b"));
  t.true(mutants.every(({ where }) => where === "step"));
});

test("a mutant changes the place it names and nothing else", (t) => {
  for (const mutant of mutants) {
    const text = mutated(SOURCE, mutant);
    t.is(text.length, SOURCE.length - mutant.from.length + mutant.to.length);
    t.is(text.slice(0, mutant.start), SOURCE.slice(0, mutant.start));
    t.is(text.slice(mutant.start + mutant.to.length), SOURCE.slice(mutant.end));
  }
});

test("a mutant is the same one under other names, in another file and laid out otherwise", (t) => {
  const renamed = SOURCE.replaceAll("step", "advanceByOne")
    .replaceAll("LIMIT", "STEPS_MAX")
    .replaceAll(/\bc\b/g, "count")
    .replace("max(count, b)", "max(\n  count, // a word about it\n  b,\n)");
  t.deepEqual(mutantsOf("assembly/elsewhere.ts", `\n\n${renamed}`).map(identityOf), mutants.map(identityOf));
  const changed = mutantsOf("assembly/sample.ts", SOURCE.replace("c = 5", "c = a")).map(identityOf);
  t.true(changed.every((identity) => !mutants.map(identityOf).includes(identity)));
});

test("a shape keeps which names are the same one, and all numbers", (t) => {
  t.is(shapeOf("f(a, b + 1)"), shapeOf("g(x, y + 1)"));
  t.not(shapeOf("f(a, b + 1)"), shapeOf("f(a, a + 1)"));
  t.not(shapeOf("f(a, b + 1)"), shapeOf("f(a, b + 2)"));
});

test("each entry of the lists of equivalents and of open ones names one mutant of the core", (t) => {
  t.deepEqual(wrongEntries(everyMutant()), []);
});

test("a mutant of the core has an identity of its own, and a sample begins as a smaller one", (t) => {
  const all = everyMutant();
  t.is(new Set(all.map(({ identity }) => identity)).size, all.length);
  t.deepEqual(sampleOf(all, 600, 1).slice(0, 100), sampleOf(all, 100, 1));
});
