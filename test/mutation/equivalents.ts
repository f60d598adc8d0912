// Mutants that nobody can notice, each with the reason. A mutant is named by its file, function, operator, the text it changes and
// the line that begins there; `npm run mutate` complains of an entry that names none.

export interface Known {
  /** The end of the file's name: enough to tell it from others. */
  readonly file: string;
  readonly where: string;
  readonly operator: string;
  readonly from: string;
  /** The line it stands in, trimmed. */
  readonly text: string;
  readonly why: string;
}

export const equivalents: readonly Known[] = [
  {
    file: "selection/scan.ts",
    where: "groupsEnd",
    operator: "narrow cast",
    from: "usize",
    text: "return <usize>(((35 - <u32>clz(allowed)) >> 2) << 4);",
    why: "There are 32 slots of 4 bytes: it is 128 at most.",
  },
  {
    file: "selection/adaptive.ts",
    where: "silent",
    operator: "narrow cast",
    from: "i32",
    text: "return <f32>silentNs * <f32>(<i32>load<u32>(entries, IN_FLIGHT)) > OVERDUE * load<f32>(entries, BACKLOG);",
    why: "A path has 4096 commands in flight at most (DEPTH_MAX).",
  },
  {
    file: "overdue/reset.ts",
    where: "resetCompleted",
    operator: "off by one",
    from: "1",
    text: "p.resetWorked = result >= 0 ? 1 : 0;",
    why: "It is only ever compared with 0.",
  },
  {
    file: "selection/settings.ts",
    where: "selectionClearPath",
    operator: "drop statement",
    from: "store<u32>(entryAt(s, STRIDE, slot), strideOf(1))",
    text: "store<u32>(entryAt(s, STRIDE, slot), strideOf(1));",
    why: "Who adds a path to the slot sets its weight first.",
  },
  {
    file: "selection/random.ts",
    where: "randomBelow",
    operator: "+= to -=",
    from: "s.random += GOLDEN",
    text: "s.random += GOLDEN;",
    why: "Another sequence, as good as this one.",
  },
];
