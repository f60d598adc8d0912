// Documents show the core's tables as its sources have them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { drawn, readTable } from "../../../host/build/core-tables.ts";

const page = readFileSync(join(import.meta.dirname, "..", "..", "..", "docs", "architecture.md"), "utf8");

test("docs/architecture.md shows the tables of the core (node host/build/core-tables.ts --write)", (t) => {
  t.is(drawn(page), page);
});

test("a table that says something else is drawn anew", (t) => {
  const other = page.replace("| `PROTECTED` ", "| `PROTEXTED` ");
  t.not(other, page);
  t.is(drawn(other), page);
});

test("a row with a cell too few is no table", (t) => {
  t.throws(() => readTable("const x = [\n  // a  b\n  A, 1,\n  B,\n];\n", "const x = ["), { message: /row of B has 1 cells/ });
});
