// The rooms of the house and the arrows between them: one table for the check that lint makes, and for the picture in
// docs/architecture.md.
//
//   node host/build/rooms.ts            checks every import, and the picture; ends with status 1 when one is wrong
//   node host/build/rooms.ts --write    draws the picture anew
//
// What is wrong: files that import each other in a circle, and an import that no arrow allows. There are no exceptions.

import { globSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { circles } from "./circles.ts";

/** A room may use the rooms it names, and itself. */
interface Room {
  readonly may: readonly string[];
}

/** The core's rooms, each of which may use all that stand before it. */
const CORE = [
  "assembly/abi.ts",
  "assembly/selection",
  "assembly/memory",
  "assembly/scsi",
  "assembly/path",
  "assembly/request",
  "assembly/overdue",
  "assembly/answer",
  "assembly/frontend",
  "assembly",
] as const;

const ABI = "host/abi.ts";
const NATIVE = "host/native";

const HOST: Readonly<Record<string, Room>> = {
  [ABI]: { may: [] },
  [NATIVE]: { may: [] },
  "host/liaison": { may: [] },
  "host/array": { may: [ABI] },
  "host/reactor": { may: [ABI, NATIVE, "host/array"] },
  "host/discovery": { may: [ABI, NATIVE, "host/reactor"] },
  "host/peers": { may: [NATIVE] },
  "host/export": { may: [ABI, NATIVE, "host/peers"] },
  "host/supervisor": { may: [ABI, NATIVE, "host/reactor", "host/liaison"] },
  "host/control": {
    may: [
      ABI,
      NATIVE,
      "host/array",
      "host/reactor",
      "host/discovery",
      "host/peers",
      "host/export",
      "host/liaison",
      "host/supervisor",
    ],
  },
  "host/cli": { may: [NATIVE, "host/supervisor", "host/control", "host/discovery", "host/liaison", "host/build"] },
  "host/build": { may: ["assembly/abi.ts"] },
};

const ROOMS: ReadonlyMap<string, Room> = new Map([
  ...CORE.map((name, at): [string, Room] => [name, { may: CORE.slice(0, at) }]),
  ...Object.entries(HOST),
]);

const PICTURE = "docs/architecture.md";
const BEGIN = "<!-- rooms: drawn by host/build/rooms.ts -->";
const END = "<!-- rooms end -->";

/** The room of a file: the longest name that it lies under. */
function roomOf(file: string): string {
  const names = [...ROOMS.keys()].filter((name) => file === name || file.startsWith(`${name}/`));
  const name = names.toSorted((a, b) => b.length - a.length)[0];
  if (name === undefined) throw new Error(`${file} lies in no room (host/build/rooms.ts)`);
  return name;
}

const IMPORT = /(?:^|\n)\s*(?:import|export)\s(?:[^;"]*?\sfrom\s)?\s*"(\.[^"]+)"|\bimport\(\s*"(\.[^"]+)"/g;

/** Files by the files they import, of the project's own. */
function imports(root: string): Map<string, string[]> {
  const files = globSync(["assembly/**/*.ts", "host/**/*.{ts,mjs,js}"], {
    cwd: root,
    exclude: ["host/native/target/**", "**/*.d.ts"],
  });
  const known = new Set(files);
  const found = new Map<string, string[]>();
  for (const file of files.toSorted()) {
    const text = readFileSync(join(root, file), "utf8");
    const named = [...text.matchAll(IMPORT)].map((match) => normalize(join(dirname(file), match[1] ?? match[2] ?? "")));
    found.set(
      file,
      named.map((name) => (known.has(name) ? name : `${name}.ts`)).filter((name) => known.has(name)),
    );
  }
  return found;
}

/** What is wrong, a line each. */
function wrong(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const lines = circles(graph).map((circle) => `these files import each other in a circle: ${circle.join(", ")}`);
  for (const [file, targets] of graph) {
    const room = roomOf(file);
    for (const target of targets) {
      const other = roomOf(target);
      if (other !== room && ROOMS.get(room)?.may.includes(other) !== true) {
        lines.push(`${file} imports ${target}: ${room} may not use ${other}`);
      }
    }
  }
  return lines;
}

/** The arrows that are there, as a Mermaid picture. */
function picture(graph: ReadonlyMap<string, readonly string[]>): string {
  const arrows = new Set<string>();
  for (const [file, targets] of graph) {
    const from = roomOf(file);
    for (const target of targets) if (roomOf(target) !== from) arrows.add(`${from} ${roomOf(target)}`);
  }
  // Everything uses the ABI: drawn, those arrows would hide the rest.
  const drawn = [...arrows].filter((arrow) => !arrow.endsWith("abi.ts")).toSorted();
  const id = (room: string): string => room.replaceAll(/[^a-z]/g, "_");
  const part = (title: string, top: string): string[] => {
    const rooms = [...ROOMS.keys()].filter((room) => room.startsWith(top) && !room.endsWith("abi.ts"));
    return [`  subgraph ${title}`, ...rooms.map((room) => `    ${id(room)}["${room}"]`), "  end"];
  };
  const lines = drawn.map((arrow) => `  ${arrow.split(" ").map(id).join(" --> ")}`);
  return ["```mermaid", "flowchart TD", ...part("core", "assembly"), ...part("host", "host"), ...lines, "```"].join("\n");
}

function main(): number {
  const root = join(import.meta.dirname, "..", "..");
  const graph = imports(root);
  const lines = wrong(graph);
  const path = join(root, PICTURE);
  const text = readFileSync(path, "utf8");
  const [before = "", rest = ""] = text.split(BEGIN);
  const [, after] = rest.split(END);
  if (after === undefined) lines.push(`${PICTURE} has no place for the picture ("${BEGIN}" ... "${END}")`);
  else {
    const drawn = `${before}${BEGIN}\n\n${picture(graph)}\n\n${END}${after}`;
    if (process.argv.includes("--write")) writeFileSync(path, drawn);
    else if (drawn !== text) lines.push(`${PICTURE} shows other arrows than there are (npm run build:rooms draws them)`);
  }
  for (const line of lines) console.error(`rooms: ${line}`);
  return lines.length === 0 ? 0 : 1;
}

process.exitCode = main();
