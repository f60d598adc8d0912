// Ways to break the core that clients hardly notice, but that show in its accounts and events: leaks, double counting,
// completions mistaken for others, events reported twice or never, slots reused too soon.

import type { Mutant } from "./mutant-list.ts";

export const bookMutants: readonly Mutant[] = [
  {
    name: "leak-a-request-slot",
    why: "a request slot is not given back",
    file: "request/pool.ts",
    find: "  listPush(free, changetype<usize>(r), LINK);\n  freeCount++;\n  roomFreed(u);",
    replace:
      "  if ((r.acceptedNs & 31) !== 31) {\n    listPush(free, changetype<usize>(r), LINK);\n    freeCount++;\n  }\n  roomFreed(u);",
  },
  {
    name: "leak-a-buffer",
    why: "the buffer of a read that was issued again is not given back",
    file: "request/slots.ts",
    find: "  if (c.ownBuffer !== 0) bufferGive(c.ownBuffer);",
    replace: "  if (c.ownBuffer !== 0 && (c.generation & 3) !== 3) bufferGive(c.ownBuffer);",
  },
  {
    name: "leak-a-check-page",
    why: "the page of a check that ends while its path is being removed is not given back",
    file: "answer/check.ts",
    find: "  if (page !== 0) checkPageGive(page);",
    replace: "  if (page !== 0 && (p.flags & PATH_FLAG_REMOVING) === 0) checkPageGive(page);",
  },
  {
    name: "take-another-generation",
    why: "a completion of an earlier submission of a command slot is taken for that of this one",
    file: "core.ts",
    find: "    if (c.state !== COMMAND_FLIGHT || c.generation !== generation) return countStray();",
    replace: "    if (c.state !== COMMAND_FLIGHT) return countStray();",
  },
  {
    name: "take-another-receive",
    why: "a completion of an earlier RECV is taken for that of this one",
    file: "frontend/nbd/connection.ts",
    find: "  if (n.receiving === RECEIVING_NOTHING || n.receiveGeneration !== generation) return countStray();",
    replace: "  if (n.receiving === RECEIVING_NOTHING) return countStray();",
  },
  {
    name: "tell-a-state-twice",
    why: "a change of a path is told again with the next one",
    file: "path/tiers.ts",
    find: "    p.toldFlags = p.flags;\n",
    replace: "    if ((p.flags & PATH_FLAG_STALLED) === 0) p.toldFlags = p.flags;\n",
  },
  {
    name: "clear-a-suspect-silently",
    why: "that a suspected path is cleared is not told",
    file: "overdue/shared.ts",
    find: "  event(EVENT_SUSPECT, REASON_SHARED_COMPONENT, p.unitHandle, p.index, 0, 0, 0, 0);\n",
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
    find: "u.connections !== 0 || u.paths !== 0 ||",
    replace: "u.connections !== 0 ||",
  },
  {
    name: "remove-a-path-too-soon",
    why: "the record of a path is free while the host still has commands of it",
    file: "path/path.ts",
    find: "=== 0 || p.inFlight !== 0 || p.checking",
    replace: "=== 0 || p.checking",
  },
  {
    name: "count-orphans-wrong",
    why: "an orphan that a reset has ended is counted off its path twice",
    file: "request/orphan.ts",
    find: "  u.orphans--;\n  c.path.orphans--;",
    replace: "  u.orphans--;\n  if (how === SETTLED_COMPLETED) c.path.orphans--;",
  },
  {
    name: "count-what-nobody-hears",
    why: "an answer counts though its client has gone",
    file: "request/request.ts",
    find: "  if (r.client.gone === 0) account(r);",
    replace: "  account(r);\n  if (r.kind === 3) account(r);",
  },
  {
    name: "count-failed-io",
    why: "a command that failed counts as an I/O of its path",
    file: "answer/completion.ts",
    find: "  else commandBad(c, u, p, outcome);\n",
    replace: "  else {\n    p.ios++;\n    commandBad(c, u, p, outcome);\n  }\n",
  },
  {
    name: "forget-to-verify-what-is-enabled",
    why: "a new path gets I/O before it was asked who it is",
    file: "path/path.ts",
    find: "  checkIdentity(p, BY_CONTROL);\n  patrolBegin(p);",
    replace: "  patrolBegin(p);",
  },
  {
    name: "settled-twice",
    why: "that an orphan is settled is told twice",
    file: "request/orphan.ts",
    find: "    event(EVENT_ORPHAN_SETTLED, 0, u.index, c.path.index, how, ageMs, 0, 0);",
    replace:
      "    event(EVENT_ORPHAN_SETTLED, 0, u.index, c.path.index, how, ageMs, 0, 0);\n    event(EVENT_ORPHAN_SETTLED, 0, u.index, c.path.index, how, ageMs, 0, 0);",
  },
  {
    name: "every-stall-is-told",
    why: "each command of a path that does not answer is told",
    file: "overdue/stall.ts",
    find: "  if (p.stallToldNs !== 0 && now - p.stallToldNs < TELL_EVERY_NS) return;",
    replace: "",
  },
];
