// Mutants that nobody has noticed yet, though somebody could: each is a test to be written. They count as not noticed; only that
// they are not noticed is no news. `npm run mutate` complains of one that is noticed by now, unless it is told --quick.

import type { Known } from "./equivalents.ts";

export const open: readonly Known[] = [
  {
    file: "selection/servers.ts",
    where: "alone",
    operator: "- to +",
    from: "cost - servers.aloneExpectedNs",
    text: "servers.aloneExpectedNs += (cost - servers.aloneExpectedNs) * PART;",
    why: "The expected cost of a lone command: the benches of balance do not tell it from chance.",
  },
  {
    file: "selection/adaptive.ts",
    where: "idlePath",
    operator: ">= to >",
    from: "<i32>(selection.issued - selection.retryNext) >= 0",
    text: "if (<i32>(selection.issued - selection.retryNext) >= 0) {",
    why: "An idle path is tried one command later.",
  },
  {
    file: "selection/servers.ts",
    where: "compare",
    operator: "off by one",
    from: "1",
    text: "const count = min(servers.overtaking + 1, SERVERS_MAX);",
    why: "The number of servers is put right by the answers that follow, whichever way it was off.",
  },
  {
    file: "selection/adaptive.ts",
    where: "pickAdaptive",
    operator: ">= to >",
    from: "nowNs >= selection.retryAtNs",
    text: "if (nowNs >= selection.retryAtNs) return LONG_WAY;",
    why: "An idle path is looked for a nanosecond later.",
  },
  {
    file: "overdue/speculative-retry.ts",
    where: "issueDuplicate",
    operator: "skip assignment",
    from: "duplicate.firstNs = command.firstNs",
    text: "duplicate.firstNs = command.firstNs;",
    why: "When a trim whose piece is sent twice is renewed by others that were done.",
  },
  {
    file: "selection/selection.ts",
    where: "started",
    operator: ">= to >",
    from: "<i64>(nowNs - load<u64>(progress)) >= STALE_NS",
    text: "if (<i64>(nowNs - load<u64>(progress)) >= STALE_NS) ageCosts(this, slot);",
    why: "What is known of an idle path is taken for old a nanosecond later.",
  },
  {
    file: "selection/servers.ts",
    where: "seePath",
    operator: "skip assignment",
    from: "servers.busyNs = 0",
    text: "servers.busyNs = 0;",
    why: "When fewer answers come at once than the time before, and learning rests then, the first answer after the rest counts for a little more.",
  },
  {
    file: "selection/servers.ts",
    where: "served",
    operator: "< to <=",
    from: "count < ONE",
    text: "if (count < ONE) {",
    why: "A path of exactly 1.2 servers: the number is a mean of measured times.",
  },
  {
    file: "request/room.ts",
    where: "lineServed",
    operator: "&& to ||",
    from: "client.waiting === WAITING_ROOM && line.first === client",
    text: "if (client.waiting === WAITING_ROOM && line.first === client && servedTaken === 0) return false;",
    why: "Whoever took nothing and waits in the line is its head, unless room of its unit is freed within its own turn.",
  },
];
