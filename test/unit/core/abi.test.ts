// The views of the ABI agree with their source, and the module has exactly the borders it should have.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { abiViews } from "../../../host/build/abi.ts";
import * as abi from "../../../host/abi.ts";
import { Host, moduleExports, moduleImports } from "./fixtures/harness.ts";

const root = join(import.meta.dirname, "..", "..", "..");

test("the generated views are what abi.ts makes them", (t) => {
  for (const view of abiViews()) t.is(readFileSync(join(root, view.path), "utf8"), view.text, view.path);
});

test("the only import is abort", (t) => {
  t.deepEqual(
    moduleImports.map((entry) => `${entry.module}.${entry.name}`),
    ["env.abort"],
  );
});

test("the exports are those that docs/architecture.md lists", (t) => {
  const text = readFileSync(join(root, "docs", "architecture.md"), "utf8");
  const section = text.slice(text.indexOf("## The core's exports"), text.indexOf("## The native addon"));
  const table = section
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .join("\n");
  const documented = new Set(Array.from(table.matchAll(/`(\w+)\(/g), (match) => match[1]));
  const exported = moduleExports.filter((entry) => entry.kind === "function").map((entry) => entry.name);
  t.deepEqual(
    exported.filter((name) => name !== "start" && !documented.has(name)),
    [],
  );
  t.deepEqual(
    [...documented].filter((name) => name !== undefined && !exported.includes(name)),
    [],
  );
});

test("version and addresses are there before init", (t) => {
  const host = new Host();
  t.is(host.core.abiVersion(), abi.ABI_VERSION);
  t.true(host.control > 0);
});

/** Changes of a path's state, of which this many events have room. */
function changes(events: number): { host: Host; lost: number } {
  const host = new Host({ events });
  const { paths } = host.unit({ paths: 1 });
  const [path = -1] = paths;
  for (let i = 0; i < 100; i++) host.core.pathSet(path, abi.PATH_SET_ENABLED, BigInt(i & 1));
  const lost = Number(host.view.getBigUint64(host.control + abi.CONTROL_EVENTS_LOST, true));
  host.turn();
  return { host, lost };
}

test("events that control does not fetch are counted as lost, the oldest stay", (t) => {
  const all = changes(1024);
  const few = changes(16);
  t.is(all.lost, 0);
  t.true(all.host.events.length > 100);
  t.deepEqual(few.host.events, all.host.events.slice(0, 16));
  t.is(few.lost, all.host.events.length - 16);
});
