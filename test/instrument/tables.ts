// Marks that no rule of syntax gives: the rows of the table of outcomes, and the cells of what a path can go through - its state
// when something comes back, what that was, and what came of it.

/** First match; `mask` and `value` of the path's flags (PATH_FLAG_*). */
const STATES = [
  { name: "removing", mask: 256, value: 256 },
  { name: "disabled", mask: 2, value: 0 },
  { name: "failed", mask: 4, value: 4 },
  { name: "wrong unit", mask: 16, value: 16 },
  { name: "unverified", mask: 512, value: 512 },
  { name: "unregistered", mask: 1024, value: 1024 },
  { name: "suspect", mask: 32, value: 32 },
  { name: "stalled", mask: 128, value: 128 },
  { name: "usable", mask: 0, value: 0 },
] as const;

/** METHOD_* of commands for I/O, then checks, in the order of WANT_*. */
const EVENTS = [
  "READ",
  "WRITE",
  "WRITE of zeroes",
  "WRITE SAME",
  "WRITE SAME, unmapping",
  "UNMAP",
  "SYNCHRONIZE CACHE",
  "none",
  "GET LBA STATUS",
  "health check",
  "identity check",
  "REPORT TARGET PORT GROUPS",
  "SET TARGET PORT GROUPS",
] as const;
const CHECKS = EVENTS.indexOf("health check");

/** In the order of OUTCOME_*. */
const OUTCOMES = [
  "GOOD",
  "RETRY",
  "RETRY_SOFT",
  "BUSY",
  "WAIT",
  "FAILED",
  "ELSEWHERE",
  "ALUA",
  "ALUA_CHANGED",
  "INVENTORY",
  "GONE",
  "CAPACITY",
  "PARAMETERS",
  "ANSWER",
  "UNSUPPORTED",
  "PROTECTED",
  "SPACE",
  "PAST_END",
  "NEXUS",
  "THRESHOLD",
] as const;

export const cellNames: readonly string[] = STATES.flatMap(({ name }) =>
  EVENTS.flatMap((event) => OUTCOMES.map((outcome) => `${name} x ${event} x ${outcome}`)),
);

/** The number of a cell, in the core's language, from `flags`, `event` and `outcome`. */
export function cellExpression(): string {
  const state = STATES.reduceRight(
    (rest, { mask, value }, at) =>
      rest === "" ? `<u32>${at}` : `((flags & ${mask}) === ${value} ? <u32>${at} : ${rest})`,
    "",
  );
  return `(${state} * ${EVENTS.length} + event) * ${OUTCOMES.length} + outcome`;
}

const OUTCOME_FILE = "assembly/scsi/outcome.ts";

/** The comments of the rows in the table of outcomes. */
export function tableRows(sources: ReadonlyMap<string, string>): string[] {
  const text = sources.get(OUTCOME_FILE) ?? "";
  return [...text.matchAll(/^ {2}(?:0x[0-9a-f]{2}, ){6}OUTCOME_\w+,\s*\/\/ (.*)$/gm)].map(([line, comment]) => {
    return `${line.slice(2, 38)}${comment ?? ""}`;
  });
}

interface Insertion {
  readonly file: string;
  /** What stands there once, and what goes before it. */
  readonly before: string;
  readonly text: string;
}

/** Puts the marks into sources that are marked already; those of the rows begin at `first`. */
export function markTables(sources: Map<string, string>, first: number, rows: number): void {
  const cells = first + rows;
  const insertions: readonly Insertion[] = [
    {
      file: OUTCOME_FILE,
      before: "return load<u8>(row, 6);",
      text: `__hit(<u32>(${first} + (row - rows) / ROW_BYTES)); `,
    },
    {
      file: "assembly/answer/completion.ts",
      before: "const good = outcome === OUTCOME_GOOD;",
      text: `__hit(${cells} + __cell(path.flags, command.method, outcome)); `,
    },
    {
      file: "assembly/answer/check.ts",
      before: "const bytes = received(command);",
      text: `__hit(${cells} + __cell(path.flags, ${CHECKS} + ctz<u32>(what), outcome)); `,
    },
  ];
  for (const { file, before, text } of insertions) {
    const parts = (sources.get(file) ?? "").split(before);
    if (parts.length !== 2) throw new Error(`${file}: "${before}" stands ${parts.length - 1} times there, not once`);
    sources.set(file, parts.join(text + before));
  }
}
