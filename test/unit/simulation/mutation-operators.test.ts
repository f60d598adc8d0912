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
const shapeIn = ({ shape }: Mutant): string => shape;

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

test("a mutant is the same one when its function is laid out otherwise, moves or changes elsewhere", (t) => {
  const moved = SOURCE.replace("max(c, b)", "max(\n  c, // a word about it\n  b,\n)");
  const before = mutantsOf("assembly/elsewhere.ts", `\n\n${moved}`);
  t.deepEqual(before.map(identityOf), mutants.map(identityOf));
  t.deepEqual(before.map(shapeIn), mutants.map(shapeIn));
  const changed = mutantsOf("assembly/sample.ts", SOURCE.replace("c = 5", "c = 6"));
  const other = new Set(changed.map(identityOf));
  t.deepEqual(
    mutants.filter(({ identity }) => !other.has(identity)).map(({ from }) => from),
    ["c = 5", "5"],
  );
  t.true(changed.every(({ where, shape }) => where !== "step" || !mutants.map(shapeIn).includes(shape)));
});

test("mutants that say the same in one function are told apart by their order, and no other function counts", (t) => {
  const twice = SOURCE.replace("c = 5;", "c = 5;\n  c = 5;");
  const found = mutantsOf(
    "assembly/sample.ts",
    `${twice}\nexport function first(): void {\n  let c = 1;\n  c = 5;\n}\n`,
  );
  const alike = found.filter(({ operator }) => operator === "skip assignment").map(identityOf);
  t.is(new Set(alike).size, 3);
  t.true(mutants.map(identityOf).every((identity) => found.map(identityOf).includes(identity)));
});

test("a shape keeps names and numbers, and neither comments nor lines", (t) => {
  t.is(shapeOf("f(a, // why\n  b + 1,\n)"), shapeOf("f(a,b+1)"));
  t.not(shapeOf("f(a, b + 1)"), shapeOf("g(a, b + 1)"));
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
