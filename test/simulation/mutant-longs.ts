// Ways to break how commands are treated that may rightly take long. No client sees any of it: paths are blamed, or whole units
// reset, for nothing.

import type { Mutant } from "./mutant-list.ts";

export const longMutants: readonly Mutant[] = [
  {
    name: "slow-is-lost",
    why: "a long command on a path that answers others has no time of its own",
    file: "overdue/stall.ts",
    find: "  if (answered && (path.flags",
    replace: "  if (answered && path.answeredNs === 0 && (path.flags",
  },
  {
    name: "silent-unasked",
    why: "a path that has nothing but long commands is silent although it was asked nothing",
    file: "request/long.ts",
    find: "  checkWant(path, WANT_HEALTH);\n",
    replace: "",
  },
  {
    name: "reset-what-is-slow",
    why: "a long command that other I/O waits for is reset as soon as any other",
    file: "overdue/reset.ts",
    find: "  if (isLong(command.method)) return resetWhen(path, longResetDue(unit, command));\n",
    replace: "",
  },
  {
    name: "reset-before-the-host",
    why: "a long command that nobody waits for is reset although the host is about to end it",
    file: "overdue/reset.ts",
    find: "max(max(command.timeNs + unit.orphanResetNs, endsNs), path.resetNotBeforeNs);",
    replace: "max(command.timeNs + unit.orphanResetNs, path.resetNotBeforeNs);",
  },
  {
    name: "a-turn-takes-time",
    first: 1726,
    why: "a zeroing that waits for its turn behind others runs out of time although they are done one by one",
    file: "request/long.ts",
    find: "  if (doneNs <= request.sinceNs) return false;\n",
    replace: "  if (doneNs !== 0 || doneNs <= request.sinceNs) return false;\n",
  },
];
