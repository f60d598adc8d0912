// The mutation check breaks what is really there; `npm run simulate -- --mutants` shows that each mutant is caught.

import test from "ava";
import { mutants } from "../../simulation/mutant-list.ts";
import { mutate } from "../../simulation/mutants.ts";

test("each mutant's text stands exactly once in its source, and the mutant changes it", (t) => {
  for (const mutant of mutants) {
    t.notThrows(() => mutate(mutant), mutant.name);
    t.not(mutant.find, mutant.replace, mutant.name);
  }
});

test("at least twenty mutants, each with a name of its own", (t) => {
  t.true(mutants.length >= 20);
  t.is(new Set(mutants.map((mutant) => mutant.name)).size, mutants.length);
});
