// Outcomes of conditions that neither the core's unit tests nor any world comes to, each with the reason. `npm run coverage`
// fails on one that is missing here, and on one that stands here and is reached.

export interface Unreached {
  /** The end of the file's name: enough to tell it from others. */
  readonly file: string;
  readonly where: string;
  /** The condition, and how it never turns out. */
  readonly text: string;
  readonly kind: "true" | "false";
  readonly why: string;
}

export const unreached: readonly Unreached[] = [
  {
    file: "answer/patrol.ts",
    where: "pathWoken",
    text: "(path.flags & PATH_FLAG_PRESENT) === 0",
    kind: "true",
    why: "A path that goes takes its timer with it: pathIdle sets it to never.",
  },
  {
    file: "answer/refusal.ts",
    where: "refusalsCount",
    text: "(path.flags & PATH_FLAG_PRESENT) !== 0",
    kind: "false",
    why: "The unit's mask of slots has only paths that are present: pathIdle clears both together.",
  },
  {
    file: "frontend/nbd/closing.ts",
    where: "dropPayload",
    text: "changetype<usize>(request) !== 0",
    kind: "false",
    why: "Its only caller has asked whether there is a payload.",
  },
  {
    file: "frontend/nbd/parser.ts",
    where: "parseRequests",
    text: "connection.state === CONNECTION_OPEN",
    kind: "false",
    why: "It is called for open connections only, and what closes or drains one ends the loop by its own answer.",
  },
  {
    file: "frontend/nbd/parser.ts",
    where: "parseRequests",
    text: "changetype<usize>(connection.payload) !== 0",
    kind: "false",
    why: "While a payload comes in the receive buffer is empty, so none is completed from it here: RECV brings the rest to its place.",
  },
  {
    file: "frontend/nbd/parser.ts",
    where: "edgeBytes",
    text: "((offset | bytes) & (<u64>unit.blockBytes - 1)) === 0",
    kind: "true",
    why: "Its only caller asks about requests that are not of whole blocks.",
  },
  {
    file: "memory/memory.ts",
    where: "layOut",
    text: "large > MEMORY_BYTES_MAX",
    kind: "true",
    why: "The largest limits that are in range come to 3.3 GB: this is for the day on which a record grows.",
  },
  {
    file: "memory/memory.ts",
    where: "layOut",
    text: "!reach(end)",
    kind: "true",
    why: "Only on a machine that has no address space left.",
  },
  {
    file: "memory/memory.ts",
    where: "powerOfTwo",
    text: "value <= 1",
    kind: "true",
    why: "Rings have 16 events at least, and an entry for each of at least one command, path and connection.",
  },
  {
    file: "memory/statistics.ts",
    where: "statisticsPercentileNs",
    text: "bucket < STATISTICS_BUCKETS",
    kind: "false",
    why: "The rank is at most the number of commands, each of which is in one of the buckets.",
  },
  {
    file: "overdue/hedge.ts",
    where: "hedgeDue",
    text: "unit.hedgeBudget === 0",
    kind: "true",
    why: "Its only caller looks for late reads where there is a budget.",
  },
  {
    file: "overdue/speculative-retry.ts",
    where: "retrySpeculatively",
    text: "(command.flags & COMMAND_DEAD) !== 0",
    kind: "true",
    why: "What is given up is an orphan, and of orphans only those are sent again that are not given up (alone in stall.ts).",
  },
  {
    file: "path/groups.ts",
    where: "groupsTimer",
    text: "unit.usable === 0",
    kind: "true",
    why: "When the last usable path goes, unitRefresh takes the time for SET back.",
  },
  {
    file: "unit.ts",
    where: "unitWoken",
    text: "(unit.flags & UNIT_FLAG_PRESENT) === 0",
    kind: "true",
    why: "A unit that is removed takes its timer with it: unitRemove sets it to never.",
  },
  {
    file: "request/pieces.ts",
    where: "commandDuplicate",
    text: "other.state !== COMMAND_KEPT",
    kind: "false",
    why: "Whatever else is under way for a piece that is kept is dead, and nobody asks for the duplicate of a dead command.",
  },
  {
    file: "request/pieces.ts",
    where: "commandDuplicate",
    text: "other.state !== COMMAND_KEPT && other.method === command.method",
    kind: "false",
    why: "What is under way of an earlier leg, which had another method, is dead.",
  },
  {
    file: "request/pool.ts",
    where: "requestAddBlock",
    text: "<u32>request.blockCount === REQUEST_BLOCKS_MAX",
    kind: "true",
    why: "The longest payload with a block at either edge and a block for edges takes as many as there may be, and no request more.",
  },
  {
    file: "scsi/identity.ts",
    where: "pageEnd",
    text: "bytes < HEADER_BYTES",
    kind: "true",
    why: "identityRead has refused so short a page before anybody looks into it.",
  },
  {
    file: "selection/affinity.ts",
    where: "pickAffinity",
    text: "paths === 0",
    kind: "true",
    why: "A path is told of before it may be usable, and a pick needs one that is; a division by 0 would stop the core.",
  },
  {
    file: "selection/hedge-budget.ts",
    where: "thresholdNs",
    text: "selection.hedgeBudget === 0",
    kind: "true",
    why: "Without a budget nobody asks for a threshold.",
  },
  {
    file: "selection/hedge-budget.ts",
    where: "thresholdNs",
    text: "selection.hedgeBudget === 0 || sizeClass >= HEDGE_CLASSES",
    kind: "true",
    why: "Without a budget nobody asks, and reads have no class beyond those of hedges.",
  },
  {
    file: "selection/phases.ts",
    where: "nextPhase",
    text: "nowNs >= selection.phaseNs",
    kind: "false",
    why: "While learning rests it is called at the end of the rest only (`started`).",
  },
  {
    file: "selection/servers.ts",
    where: "takeShare",
    text: "together < u16.MAX_VALUE",
    kind: "false",
    why: "A path has 4096 commands in flight at most (DEPTH_MAX), so 65,535 answers never come at one moment.",
  },
  {
    file: "selection/static.ts",
    where: "pickStaticLong",
    text: "at < selection.count",
    kind: "false",
    why: "All usable paths are in its order, a pick is among those, and the first one was looked at before.",
  },
  {
    file: "path/states.ts",
    where: "mayChange",
    text: "(cell(rest & -rest, column) & by) === 0",
    kind: "true",
    why: "Only assertions ask, and none of them fails.",
  },
  {
    file: "path/states.ts",
    where: "isSound",
    text: "path.flags !== 0",
    kind: "false",
    why: "A path is asked about when it enters or leaves a state: it exists then, and has flags.",
  },
  {
    file: "path/states.ts",
    where: "isSound",
    text: "path.flags !== 0 && (path.flags & PATH_FLAG_PRESENT) === 0",
    kind: "true",
    why: "Only assertions ask, and none of them fails.",
  },
  {
    file: "path/states.ts",
    where: "isSound",
    text: "(path.flags & PATH_FLAG_STALLED) !== 0 && path.silent === 0",
    kind: "true",
    why: "Only assertions ask, and none of them fails.",
  },
  {
    file: "path/states.ts",
    where: "isSound",
    text: "noted(path, load<u32>(row)) !== 0 && (path.flags & load<u32>(row, NOTE_STATE)) === 0",
    kind: "true",
    why: "Only assertions ask, and none of them fails.",
  },
  {
    file: "path/states.ts",
    where: "isComplete",
    text: "other !== NONE && noted(path, load<u32>(row)) !== 0 && noted(path, other) === 0",
    kind: "true",
    why: "Only assertions ask, and none of them fails.",
  },
  {
    file: "path/states.ts",
    where: "mayNote",
    text: "i < NOTES",
    kind: "false",
    why: "Only assertions ask, and none of them fails.",
  },
];
