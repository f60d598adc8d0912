// The rooms of the source tree and the imports allowed between them: one table for the check in lint, and for the picture in
// docs/architecture.md.
//
//   node host/build/rooms.ts            checks every import, and the picture; exits with status 1 if one is wrong
//   node host/build/rooms.ts --write    draws the picture anew
//
// Wrong are files that import each other in a cycle, an import that no arrow allows, and two files of the same name: a reader who finds
// `state.ts` in an import or a stack should know which one is meant. A name that two rooms need gets the room's qualifier.

import { globSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import { circles } from "./circles.ts";

/** A room may import from the rooms it names, and from itself. */
interface Room {
  readonly may: readonly string[];
}

/** The core's rooms; each may import from those before it. */
const CORE = [
  "assembly/abi.ts",
  "assembly/defaults.ts",
  "assembly/selection",
  "assembly/memory",
  "assembly/scsi",
  "assembly/path",
  "assembly/request",
  "assembly/overdue",
  "assembly/answer",
] as const;

/** The core's front ends, which do not know each other. */
const FRONT_ENDS = ["assembly/frontend/nbd", "assembly/frontend/block"] as const;

const ABI = "host/abi.ts";
const NATIVE = "host/native";
const SETTINGS = "host/settings";
/** Counts in sentences, which every room of the host writes. */
const WORDING = "host/wording.ts";
const REACTOR = "host/reactor";
const DISCOVERY = "host/discovery";
const EXPORT = "host/export";
const LIAISON = "host/liaison";
const SUPERVISOR = "host/supervisor";

/** The wings of control; each may import from those before it, from the table of settings, and from the other rooms it names. */
const WINGS: Readonly<Record<string, readonly string[]>> = {
  schemas: [DISCOVERY],
  ground: [],
  state: [DISCOVERY, LIAISON],
  inventory: [ABI, DISCOVERY],
  settings: [ABI, DISCOVERY],
  core: [ABI, NATIVE, "host/array", REACTOR, DISCOVERY, "host/peers", EXPORT, SUPERVISOR],
  views: [ABI, REACTOR, DISCOVERY],
  events: [ABI, REACTOR, DISCOVERY, "host/peers", LIAISON, SUPERVISOR],
  tls: [EXPORT],
  devices: [ABI, NATIVE, REACTOR, DISCOVERY, LIAISON],
  reservations: [ABI, NATIVE, REACTOR, DISCOVERY, EXPORT],
  operations: [ABI, NATIVE, REACTOR, DISCOVERY, EXPORT, LIAISON, SUPERVISOR],
  api: [NATIVE, "host/peers", EXPORT, LIAISON, DISCOVERY, REACTOR, ABI],
  "": [ABI, NATIVE, REACTOR, DISCOVERY, EXPORT, LIAISON, SUPERVISOR],
};

function wings(): Record<string, Room> {
  const names = Object.keys(WINGS).map((wing) => (wing === "" ? "host/control" : `host/control/${wing}`));
  return Object.fromEntries(
    Object.values(WINGS).map((others, at) => [names[at] ?? "", { may: [...names.slice(0, at), SETTINGS, ...others] }]),
  );
}

const HOST: Readonly<Record<string, Room>> = {
  [ABI]: { may: [] },
  [WORDING]: { may: [] },
  [NATIVE]: { may: [] },
  [SETTINGS]: { may: [ABI] },
  [LIAISON]: { may: [] },
  "host/archive": { may: [] },
  "host/array": { may: [ABI] },
  [REACTOR]: { may: [ABI, NATIVE, "host/array"] },
  [DISCOVERY]: { may: [ABI, NATIVE, REACTOR] },
  "host/peers": { may: [NATIVE] },
  [EXPORT]: { may: [ABI, NATIVE, "host/peers"] },
  [SUPERVISOR]: { may: [ABI, NATIVE, REACTOR, LIAISON] },
  ...wings(),
  "host/cli": {
    may: [
      NATIVE,
      SETTINGS,
      SUPERVISOR,
      "host/control/schemas",
      "host/control/settings",
      DISCOVERY,
      LIAISON,
      "host/archive",
      "host/build",
    ],
  },
  "host/page": { may: [ABI, "host/array", REACTOR, SETTINGS, LIAISON, "host/control/schemas", "host/cli"] },
  "host/build": { may: ["assembly/abi.ts", SETTINGS] },
  "host/embedding": { may: ["host/archive", "host/build"] },
};

const ROOMS: ReadonlyMap<string, Room> = new Map([
  ...CORE.map((name, at): [string, Room] => [name, { may: CORE.slice(0, at) }]),
  ...FRONT_ENDS.map((name): [string, Room] => [name, { may: CORE }]),
  ["assembly", { may: [...CORE, ...FRONT_ENDS] }],
  ...Object.entries(HOST),
]);

/** Names that may stand in several rooms, each with its reason. */
const SHARED_NAMES: Readonly<Record<string, string>> = {
  "index.ts": "what a room offers as a whole",
  "main.ts": "where a process or a command begins",
  "start.ts": "starts main.ts in a process of its own",
  "abi.ts": "the ABI, its view in the host, and what generates the views",
};

const PICTURE = "docs/architecture.md";
const BEGIN = "<!-- rooms: drawn by host/build/rooms.ts -->";
const END = "<!-- rooms end -->";

/** The room of a file: the longest matching prefix. */
export function roomOf(file: string): string {
  const names = [...ROOMS.keys()].filter((name) => file === name || file.startsWith(`${name}/`));
  const name = names.toSorted((a, b) => b.length - a.length)[0];
  if (name === undefined) throw new Error(`${file} lies in no room (host/build/rooms.ts)`);
  return name;
}

const IMPORT = /(?:^|\n)\s*(?:import|export)\s(?:[^;"]*?\sfrom\s)?\s*"(\.[^"]+)"|\bimport\(\s*"(\.[^"]+)"/g;

/** Files by the project files they import. */
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

/** What is wrong, one line each. */
function wrong(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const lines = circles(graph).map((circle) => `these files import each other in a circle: ${circle.join(", ")}`);
  for (const [file, targets] of graph) {
    const room = roomOf(file);
    for (const target of targets) {
      const other = roomOf(target);
      if (other !== room && other !== WORDING && ROOMS.get(room)?.may.includes(other) !== true) {
        lines.push(`${file} imports ${target}: ${room} may not use ${other}`);
      }
    }
  }
  return lines;
}

/** Names that more than one file has, though they are not among those that may. */
function sameNames(files: readonly string[]): string[] {
  return [...Map.groupBy(files, (file) => basename(file))]
    .filter(([name, places]) => places.length > 1 && SHARED_NAMES[name] === undefined)
    .map(([name, places]) => `${name} is the name of ${places.join(" and ")}: put the room's qualifier into all but one`);
}

/** The existing arrows, as a Mermaid picture. */
function picture(graph: ReadonlyMap<string, readonly string[]>): string {
  const arrows = new Set<string>();
  for (const [file, targets] of graph) {
    const from = roomOf(file);
    for (const target of targets) if (roomOf(target) !== from) arrows.add(`${from} ${roomOf(target)}`);
  }
  // Leaf files (the ABI, the core's defaults) are used everywhere: if drawn, those arrows would hide the rest.
  const drawn = [...arrows].filter((arrow) => !arrow.endsWith(".ts")).toSorted();
  const id = (room: string): string => room.replaceAll(/[^a-z]/g, "_");
  const part = (title: string, rooms: readonly string[]): string[] => {
    const shown = rooms.filter((room) => !room.endsWith(".ts"));
    return [`  subgraph ${title}`, ...shown.map((room) => `    ${id(room)}["${room}"]`), "  end"];
  };
  const wing = (room: string): boolean => room.startsWith("host/control");
  const lines = drawn.map((arrow) => `  ${arrow.split(" ").map(id).join(" --> ")}`);
  const rooms = [...ROOMS.keys()];
  const parts = [
    ...part(
      "core",
      rooms.filter((room) => room.startsWith("assembly")),
    ),
    ...part(
      "host",
      rooms.filter((room) => room.startsWith("host") && !wing(room)),
    ),
    ...part("control", rooms.filter(wing)),
  ];
  return ["```mermaid", "flowchart TD", ...parts, ...lines, "```"].join("\n");
}

function main(): number {
  const root = join(import.meta.dirname, "..", "..");
  const graph = imports(root);
  const lines = [...wrong(graph), ...sameNames([...graph.keys()])];
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

if (process.argv[1] === import.meta.filename) process.exitCode = main();
