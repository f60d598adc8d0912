// The ways in which the mutation check breaks the core.
//
// Two that the worlds no longer notice within 2000 seeds are not listed: a deadline that sets no timer (other timers of the
// unit are due soon), and a recovered path whose identity is not checked (the nexus loss that it reports triggers the check
// as well). Unit tests of the core fail for both: failover, clock and leftovers; patrol.

import type { ClusterScenario } from "./cluster/cluster-scenarios.ts";
import { bookMutants } from "./mutant-books.ts";
import { clusterMutants } from "./mutant-cluster.ts";
import { reactorMutants } from "./mutant-reactors.ts";
import { dataMutants } from "./mutant-data.ts";
import { doorMutants } from "./mutant-door.ts";
import { longMutants } from "./mutant-longs.ts";
import { sizeMutants } from "./mutant-sizes.ts";

export interface Mutant {
  readonly name: string;
  /** What it breaks. */
  readonly why: string;
  /** File under assembly/. */
  readonly file: string;
  /** Text that occurs there exactly once, and its replacement. */
  readonly find: string;
  readonly replace: string;
  /** The first seed that is run, where worlds that notice are rare; left out: 1. */
  readonly first?: number;
  /** Worlds of two hosts that are made for what it breaks, instead of drawn ones. */
  readonly scenario?: ClusterScenario;
  /** Not the core is broken, but control: it moves units that are not quiet. */
  readonly isHasty?: true;
}

export const mutants: readonly Mutant[] = [
  {
    name: "ack-without-write",
    why: "a WRITE is answered although nothing was sent",
    file: "request/request.ts",
    find: "  if (request.method === METHOD_NONE || request.total === 0) {",
    replace: "  if (request.method === METHOD_NONE || request.total === 0 || request.kind === 1) {",
  },
  {
    name: "ack-failed-write",
    why: "a WRITE that no path carried out counts as good",
    file: "answer/completion.ts",
    find: "  if (good) commandGood(command, unit, path, latencyNs);",
    replace: "  if (good || command.method === 1) commandGood(command, unit, path, latencyNs);",
  },
  {
    name: "take-short-data",
    why: "GOOD with a residual counts as all the data",
    file: "answer/classify.ts",
    find: "return command.residual === 0 ? OUTCOME_GOOD : OUTCOME_RETRY_SOFT;",
    replace: "return OUTCOME_GOOD;",
  },
  {
    name: "forget-orphan",
    why: "later requests do not wait for an orphan they overlap",
    file: "request/orphan.ts",
    find: "request.offset >= first + <u64>command.pieceBytes) continue;",
    replace: "request.offset >= first + <u64>command.pieceBytes || request.bytes !== 0) continue;",
  },
  {
    name: "settle-without-a-reset",
    why: "an orphan counts as settled when the time for its reset has come, without one",
    file: "overdue/reset.ts",
    find: "const dueNs = resetWhen(path, resetDue(unit, command));",
    replace:
      "let dueNs = resetDue(unit, command);\n  if (dueNs <= now) {\n    orphanHarmless(command, SETTLED_RESET);\n    dueNs = now + PAUSE_NS;\n  }",
  },
  {
    name: "settle-what-was-not-delivered",
    why: "a reset settles what may still be in the host's queue",
    file: "overdue/reset.ts",
    find: "    if (path.resetAnsweredNs <= command.timeNs) {",
    replace: "    if (path.resetStartNs <= command.timeNs) {",
  },
  {
    name: "release-no-one",
    why: "requests that waited for an orphan are never let go",
    file: "request/orphan.ts",
    find: "  unit.harmful--;\n  requestsRelease(unit);",
    replace: "  unit.harmful--;",
  },
  {
    name: "accept-any-identity",
    why: "the identity check says yes to every page",
    file: "scsi/identity.ts",
    find: "  const end = pageEnd(page, bytes);\n  const identity",
    replace: "  if (bytes !== 0) return true;\n  const end = pageEnd(page, bytes);\n  const identity",
  },
  {
    name: "never-fail-back",
    why: "a path that answers again is not taken back",
    file: "answer/check.ts",
    find: "  if (path.back === 0) return;",
    replace: "  return;",
  },
  {
    name: "no-stall-rule",
    why: "a command that does not answer is waited for",
    file: "overdue/stall.ts",
    find: "    if (unit.stallMaxNs === 0) continue;",
    replace: "    if (unit.stallMaxNs !== 0xffff) continue;",
  },
  {
    name: "flush-is-nothing",
    why: "a flush is answered without SYNCHRONIZE CACHE",
    file: "request/method.ts",
    find: "cachesWrites(unit) ? METHOD_SYNC : METHOD_NONE;",
    replace: "METHOD_NONE;",
  },
  {
    name: "ignore-fua",
    why: "WRITE goes out without FUA",
    file: "request/dispatch.ts",
    find: "cdbWrite(command, command.lba, blocks, fua ? FUA : 0, unit.shortIo !== 0);",
    replace: "cdbWrite(command, command.lba, blocks, fua ? 0 : 0, unit.shortIo !== 0);",
  },
  {
    name: "wrong-block-of-second-piece",
    why: "the second piece of a split request goes to the next block",
    file: "request/dispatch.ts",
    find: "command.lba = request.method === METHOD_SYNC ? 0 : (request.offset + <u64>at) >> unit.blockShift;",
    replace:
      "command.lba = request.method === METHOD_SYNC ? 0 : ((request.offset + <u64>at) >> unit.blockShift) + (at !== 0 ? 1 : 0);",
  },
  {
    name: "free-buffers-early",
    why: "a request's buffers are free while a command still uses them",
    file: "request/pool.ts",
    find: "  if (request.state !== REQUEST_OVER || request.commandFirst !== 0) return;",
    replace: "  if (request.state !== REQUEST_OVER) return;",
  },
  {
    name: "attention-is-an-error",
    why: "a unit attention is handed to the client",
    file: "scsi/outcome.ts",
    find: "0x00, 0xfe, 0x02, 0x06, 0xfe, 0xfe, OUTCOME_RETRY_SOFT,",
    replace: "0x00, 0xfe, 0x02, 0x06, 0xfe, 0xfe, OUTCOME_ANSWER,",
  },
  {
    name: "busy-is-an-error",
    why: "TASK SET FULL is handed to the client",
    file: "scsi/outcome.ts",
    find: "0x00, 0xfe, 0x28, 0xfe, 0xfe, 0xfe, OUTCOME_BUSY,",
    replace: "0x00, 0xfe, 0x28, 0xfe, 0xfe, 0xfe, OUTCOME_ANSWER,",
  },
  {
    name: "transport-error-is-an-answer",
    why: "a path's death is handed to the client",
    file: "scsi/outcome.ts",
    find: "0x0e, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_FAILED,",
    replace: "0x0e, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_ANSWER,",
  },
  {
    name: "standby-is-an-answer",
    why: "target port in standby state is handed to the client",
    file: "scsi/outcome.ts",
    find: "0x00, 0xfe, 0x02, 0x02, 0x04, 0x0b, OUTCOME_ALUA,",
    replace: "0x00, 0xfe, 0x02, 0x02, 0x04, 0x0b, OUTCOME_ANSWER,",
  },
  {
    name: "read-into-the-same-buffer",
    why: "a retried read shares its buffer with its orphan",
    file: "request/dispatch.ts",
    find: "    if (command.ownBuffer !== 0) command.buffer = command.ownBuffer;\n    else\n      command.buffer = readsEdge(request)",
    replace: "    command.buffer = readsEdge(request)",
  },
  {
    name: "zeroes-that-are-not-written",
    why: "WRITE_ZEROES is answered without being carried out",
    file: "request/method.ts",
    find: "  if (kind === OPERATION_WRITE_ZEROES) return zeroMethod(unit, flags);",
    replace: "  if (kind === OPERATION_WRITE_ZEROES) return METHOD_NONE;",
  },
  {
    name: "lose-a-reply",
    why: "now and then the reply to a small request is not sent",
    file: "request/request.ts",
    find: "  request.state = REQUEST_READY;\n  answerReady(request);",
    replace:
      "  request.state = REQUEST_READY;\n  if (request.error === 0 && (request.index & 7) === 7) return;\n  answerReady(request);",
  },
  {
    name: "wrong-cookie",
    why: "a reply carries another cookie",
    file: "frontend/nbd/reply.ts",
    find: "    store<u64>(header, request.cookie, 8);\n    fits",
    replace: "    store<u64>(header, request.cookie ^ 0x100000000000000, 8);\n    fits",
  },
  {
    name: "swap-error-for-success",
    why: "an error is reported as success",
    file: "frontend/nbd/reply.ts",
    find: "store<u32>(header, bswap<u32>(request.error), 4);",
    replace: "store<u32>(header, 0, 4);",
  },
  {
    name: "leak-a-command-slot",
    why: "a command slot is not given back",
    file: "request/slots.ts",
    find: "  command.state = COMMAND_FREE;\n  free.push(command);\n  freeCount++;",
    replace:
      "  command.state = COMMAND_FREE;\n  if ((command.generation & 3) !== 3) {\n    free.push(command);\n    freeCount++;\n  }",
  },
  {
    name: "use-disabled-paths-forever",
    why: "retries never leave the path they failed on",
    file: "answer/completion.ts",
    find: "  command.tried |= here;\n",
    replace: "",
  },
  {
    name: "forget-leftovers",
    first: 3374,
    why: "writes pass commands that a killed daemon has left under way",
    file: "request/orphan.ts",
    find: "  if (unit.leftovers !== 0 && changesMedium(method)) return true;\n",
    replace: "",
  },
  {
    name: "write-around-what-others-write",
    why: "edges of a write are read and written back while somebody else writes there",
    file: "request/wait.ts",
    find: "    if (begun(other) || (earlier && other.exclusive !== EXCLUSIVE_NOT)) return false;\n",
    replace: "",
  },
  {
    name: "go-on-for-the-gone",
    why: "what a client has asked that has gone is carried out as if it were there",
    file: "frontend/nbd/closing.ts",
    find: "  requestsGiveUp(connection);\n",
    replace: "",
  },
  ...bookMutants,
  ...clusterMutants,
  ...reactorMutants,
  ...dataMutants,
  ...doorMutants,
  ...longMutants,
  ...sizeMutants,
];
