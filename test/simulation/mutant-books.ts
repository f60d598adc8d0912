// Ways to break the core that clients hardly notice, but that show in its accounts and events: leaks, double counting,
// completions mistaken for others, events reported twice or never, slots reused too soon.

import type { Mutant } from "./mutant-list.ts";

export const bookMutants: readonly Mutant[] = [
  {
    name: "leak-a-request-slot",
    why: "a request slot is not given back",
    file: "request/pool.ts",
    find: "  free.push(request);\n  freeCount++;\n  roomFreed(unit);",
    replace:
      "  if ((request.acceptedNs & 31) !== 31) {\n    free.push(request);\n    freeCount++;\n  }\n  roomFreed(unit);",
  },
  {
    name: "leak-a-buffer",
    why: "the buffer of a read that was issued again is not given back",
    file: "request/slots.ts",
    find: "  if (command.ownBuffer !== 0) bufferGive(command.ownBuffer);",
    replace: "  if (command.ownBuffer !== 0 && (command.generation & 3) !== 3) bufferGive(command.ownBuffer);",
  },
  {
    name: "leak-a-check-page",
    why: "the page of a check that ends while its path is being removed is not given back",
    file: "answer/check.ts",
    find: "  if (page !== 0) checkPageGive(page);",
    replace: "  if (page !== 0 && (path.flags & PATH_FLAG_REMOVING) === 0) checkPageGive(page);",
  },
  {
    name: "take-another-generation",
    why: "a completion of an earlier submission of a command slot is taken for that of this one",
    file: "core.ts",
    find: "    if (command.state !== COMMAND_FLIGHT || command.generation !== generation) return countStray();",
    replace: "    if (command.state !== COMMAND_FLIGHT) return countStray();",
  },
  {
    name: "take-another-receive",
    why: "a completion of an earlier RECV is taken for that of this one",
    file: "frontend/nbd/connection.ts",
    find: "  if (connection.receiving === RECEIVING_NOTHING || connection.receiveGeneration !== generation) return countStray();",
    replace: "  if (connection.receiving === RECEIVING_NOTHING) return countStray();",
  },
  {
    name: "tell-a-state-twice",
    why: "a change of a path is told again with the next one",
    file: "path/tiers.ts",
    find: "    path.toldFlags = path.flags;\n",
    replace: "    if ((path.flags & PATH_FLAG_STALLED) === 0) path.toldFlags = path.flags;\n",
  },
  {
    name: "clear-a-suspect-silently",
    why: "that a suspected path is cleared is not told",
    file: "overdue/shared.ts",
    find: "  event(EVENT_SUSPECT, REASON_SHARED_COMPONENT, path.unitHandle, path.index, 0, 0, 0, 0);\n",
    replace: "",
  },
  {
    name: "announce-a-failback-silently",
    why: "a failback that does not succeed is never told to have ended",
    file: "answer/check.ts",
    find: "  if (asked !== 0 && told) event(",
    replace: "  if (asked === <u8>REASON_OPERATOR && told) event(",
  },
  {
    name: "remove-a-unit-too-soon",
    why: "a unit goes while a path of it waits for its last check",
    file: "unit.ts",
    find: "unit.connections !== 0 || unit.paths !== 0 ||",
    replace: "unit.connections !== 0 ||",
  },
  {
    name: "remove-a-path-too-soon",
    why: "the record of a path is free while the host still has commands of it",
    file: "path/path.ts",
    find: "=== 0 || path.inFlight !== 0 || path.checking",
    replace: "=== 0 || path.checking",
  },
  {
    name: "count-orphans-wrong",
    why: "an orphan that a reset has ended is counted off its path twice",
    file: "request/orphan.ts",
    find: "  unit.orphans--;\n  command.path.orphans--;",
    replace: "  unit.orphans--;\n  if (how === SETTLED_COMPLETED) command.path.orphans--;",
  },
  {
    name: "count-what-nobody-hears",
    why: "an answer counts though its client has gone",
    file: "request/request.ts",
    find: "  if (request.client.gone === 0) account(request);",
    replace: "  account(request);\n  if (request.kind === 3) account(request);",
  },
  {
    name: "count-failed-io",
    why: "a command that failed counts as an I/O of its path",
    file: "answer/completion.ts",
    find: "  else commandBad(command, unit, path, outcome);\n",
    replace: "  else {\n    path.ios++;\n    commandBad(command, unit, path, outcome);\n  }\n",
  },
  {
    name: "forget-to-verify-what-is-enabled",
    why: "a new path gets I/O before it was asked who it is",
    file: "path/path.ts",
    find: "  checkIdentity(path, BY_CONTROL);\n  patrolBegin(path);",
    replace: "  patrolBegin(path);",
  },
  {
    name: "settled-twice",
    why: "that an orphan is settled is told twice",
    file: "request/orphan.ts",
    find: "    event(EVENT_ORPHAN_SETTLED, 0, unit.index, command.path.index, how, ageMs, 0, 0);",
    replace:
      "    event(EVENT_ORPHAN_SETTLED, 0, unit.index, command.path.index, how, ageMs, 0, 0);\n    event(EVENT_ORPHAN_SETTLED, 0, unit.index, command.path.index, how, ageMs, 0, 0);",
  },
  {
    name: "every-stall-is-told",
    why: "each command of a path that does not answer is told",
    file: "overdue/stall.ts",
    find: "  if (path.stallToldNs !== 0 && now - path.stallToldNs < TELL_EVERY_NS) return;",
    replace: "",
  },
];
