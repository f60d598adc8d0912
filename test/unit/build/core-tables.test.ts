// Documents show the core's tables as its sources have them.
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { coreTable, drawn, fieldOf, readTable } from "../../../host/build/core-tables.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const page = readFileSync(join(root, "docs", "architecture.md"), "utf8");

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

test("only assembly/path/states.ts, which asks the tables, changes a path's states and what is noted of it", (t) => {
  const noted = coreTable("notes").rows.map(([name = ""]) => fieldOf(name));
  t.true(noted.length >= 14);
  const change = new RegExp(`(?:\\.(?:${noted.join("|")})|\\b(?:path|first|second|best)\\.flags) [|&^]?= `);
  const states = join("assembly", "path", "states.ts");
  const files = globSync("assembly/**/*.ts", { cwd: root });
  const places = files.flatMap((file) =>
    readFileSync(join(root, file), "utf8")
      .split("\n")
      .flatMap((line, at) => (change.test(line) ? [`${file}:${at + 1}`] : [])),
  );
  t.deepEqual([...new Set(places.map((place) => place.replace(/:\d+$/, "")))], [states], places.join(" "));
});
