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
  /** How many are so named, where that is more than one. */
  readonly times?: number;
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
    text: "pathNotes(path, NOTED_RESET_WORKED, result >= 0 ? 1 : 0, BY_RESET);",
    why: "It is only ever compared with 0.",
  },
  {
    file: "selection/settings.ts",
    where: "selectionClearPath",
    operator: "drop statement",
    from: "store<u32>(entryAt(selection, STRIDE, slot), strideOf(1))",
    text: "store<u32>(entryAt(selection, STRIDE, slot), strideOf(1));",
    why: "Who adds a path to the slot sets its weight first.",
  },
  {
    file: "selection/selection-random.ts",
    where: "randomBelow",
    operator: "+= to -=",
    from: "selection.random += GOLDEN",
    text: "selection.random += GOLDEN;",
    why: "Another sequence, as good as this one.",
  },
  {
    file: "selection/scan.ts",
    where: "takeLightest",
    operator: "off by one",
    from: "1",
    text: "let best = i32x4.splat(-1);",
    why: "The bits of a number that is not negative, which every open slot has, are below -2 as well.",
  },
  {
    file: "path/tiers.ts",
    where: "faulty",
    operator: "off by one",
    from: "0",
    text: "if ((path.flags & PATH_FLAG_ENABLED) === 0) return false;",
    why: "A path is disabled by an operator, and out of use at once for that reason, which is no failover whatever the path is.",
  },
  {
    file: "overdue/speculative-retry.ts",
    where: "retrySpeculatively",
    operator: "narrow cast",
    from: "u32",
    text: "if (((unit.stalled >> (<u32>slot)) & 1) !== 0) probed(unit, <u32>slot);",
    why: "A slot is below 32.",
    times: 2,
  },
  {
    file: "memory/lists.ts",
    where: "listUnshift",
    operator: "swap arguments",
    from: "item + link, 0",
    text: "store<usize>(item + link, 0, PREVIOUS);",
    why: "Only who has just been the first of a line, whose link is 0, is put back there.",
  },
  {
    file: "frontend/nbd/connection.ts",
    where: "connectionTakeOver",
    operator: "skip assignment",
    from: "connection.waiting = 0",
    text: "connection.waiting = 0;",
    why: "Who is shut waits for nothing any more (waitNoLonger), and takes nothing afterwards.",
  },
  {
    file: "memory/buffers.ts",
    where: "orderOf",
    operator: "<= to <",
    from: "bytes <= BUFFER_PAGE_BYTES",
    text: "return bytes <= BUFFER_PAGE_BYTES ? 0 : 20 - clz(bytes - 1);",
    why: "Of a whole page the other branch says 0 as well.",
  },
  {
    file: "selection/settings.ts",
    where: "rebuild",
    operator: "off by one",
    from: "0",
    text: "for (let at: u32 = 0; at < count; at++) if (load<u8>(order + at) === current) selection.turn = at;",
    why: "The turn is 0 already, which is right when its slot is the first.",
  },
  {
    file: "overdue/shared.ts",
    where: "suspect",
    operator: "swap arguments",
    from: "initiatorPort, other.initiatorPort",
    text: "shares(initiatorPort, other.initiatorPort) ||",
    why: "Each of two numbers is the other's equal.",
  },
  {
    file: "overdue/shared.ts",
    where: "suspect",
    operator: "swap arguments",
    from: "targetPort, other.targetPort",
    text: "shares(targetPort, other.targetPort) ||",
    why: "Each of two numbers is the other's equal.",
  },
  {
    file: "overdue/shared.ts",
    where: "suspect",
    operator: "swap arguments",
    from: "controller, other.controller",
    text: "shares(controller, other.controller);",
    why: "Each of two numbers is the other's equal.",
  },
  {
    file: "memory/memory.ts",
    where: "place",
    operator: "narrow cast",
    from: "usize",
    text: "connections = reserve(<usize>connectionCount * CONNECTION_RECORD_BYTES, 64);",
    why: "There are 4096 connections at most (CONNECTIONS_MAX).",
  },
  {
    file: "nbd/parser.ts",
    where: "parsed",
    operator: "other truth",
    from: "false",
    text: "return false;",
    why: "Nothing is parsed of a connection that is drained or shut (parseRequests), whatever this returns.",
    times: 2,
  },
  {
    file: "path/mode.ts",
    where: "setMarginal",
    operator: "narrow cast",
    from: "u32",
    text: "marginalCount = <u32>value;",
    why: "It is 16 at most (PATH_FAULT_TIMES_MAX).",
  },
  {
    file: "path/states.ts",
    where: "isSound",
    operator: "other truth",
    from: "false",
    text: "if (path.flags !== 0 && (path.flags & PATH_FLAG_PRESENT) === 0) return false;",
    why: "Only assertions ask, and none of them fails.",
  },
  {
    file: "path/states.ts",
    where: "isSound",
    operator: "other truth",
    from: "false",
    text: "if ((path.flags & PATH_FLAG_STALLED) !== 0 && path.silent === 0) return false;",
    why: "Only assertions ask, and none of them fails.",
  },
  {
    file: "path/states.ts",
    where: "isSound",
    operator: "other truth",
    from: "false",
    text: "if (noted(path, load<u32>(row)) !== 0 && (path.flags & load<u32>(row, NOTE_STATE)) === 0) return false;",
    why: "Only assertions ask, and none of them fails.",
  },
  {
    file: "request/slots.ts",
    where: "commandFree",
    operator: "skip assignment",
    from: "command.state = COMMAND_FREE",
    text: "command.state = COMMAND_FREE;",
    why: "Nobody asks for the state of a slot that nobody has, but whether it is in flight, which it is not.",
  },
];
