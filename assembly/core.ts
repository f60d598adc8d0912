// One turn of the core: completions in, time limits, requests in, dispatch, answers out. The work of a turn is bounded by what
// came in: work lists are emptied, and nothing is added to them without a completion or a timer.

import { COMPLETION_RESULT, COMPLETION_TAG, COMPLETION_TIME_NS, ERROR_HANDLE } from "./abi";
import { blockAnswers } from "./frontend/block/answers";
import { blockEntries, clientResume } from "./frontend/block/entries";
import { BlockClient } from "./frontend/block/table";
import { checkCompleted } from "./answer/check";
import { commandCompleted } from "./answer/completion";
import { pathWoken } from "./answer/patrol";
import { connectionShut } from "./frontend/nbd/closing";
import {
  closeCompleted,
  connectionsInit,
  connectionsServe,
  receiveCompleted,
  sendCompleted,
  watchCompleted,
} from "./frontend/nbd/connection";
import { coreWoken } from "./frontend/nbd/idle";
import { parseRequests } from "./frontend/nbd/parser";
import { buffersFree } from "./memory/buffers";
import { blockPending, connectionDirty, connectionsPending, unitsPending } from "./memory/due";
import {
  checkPagesFreeCount,
  commandAt,
  commandCount,
  connectionAt,
  connectionCount,
  layOut,
  pathAt,
  pathCount,
  unitAt,
} from "./memory/memory";
import { CLIENT_BLOCK, COMMAND_FLIGHT, CONNECTION_FREE, Command, Connection } from "./memory/records";
import {
  TAG_CLOSE,
  TAG_COMMAND,
  TAG_RECV,
  TAG_RESET,
  TAG_SEND,
  TAG_WATCH,
  completionFirst,
  completionTaken,
  coreTime,
  countStray,
  now,
  promiseNext,
  readClock,
  strayCompletions,
  tagGeneration,
  tagIndex,
  tagKind,
} from "./memory/ring";
import { timersTake } from "./memory/timers";
import { WOKEN_PATH, WOKEN_UNIT, indexOfTimer, ownerOfTimer } from "./memory/wake";
import { lazySendDue } from "./memory/lazy-send";
import { resetCompleted } from "./overdue/reset";
import { checkStates } from "./path/states";
import { requestsFree, requestsInit } from "./request/pool";
import { lineDue, lineNext, lineServed } from "./request/room";
import { commandsFree, commandsInit } from "./request/slots";
import { checkMeanings } from "./scsi/meaning";
import { unitWoken, unitsServe } from "./unit";

/** See docs/architecture.md, `init`. */
export function initCore(
  connections: u32,
  requests: u32,
  commands: u32,
  poolBytes: u32,
  units: u32,
  paths: u32,
  events: u32,
  payloadBytes: u32,
): i32 {
  checkMeanings();
  checkStates();
  const answer = layOut(connections, requests, commands, poolBytes, units, paths, events, payloadBytes);
  if (answer < 0) return answer;
  connectionsInit();
  requestsInit();
  commandsInit();
  return 0;
}

/** See docs/architecture.md, `run`. */
export function runCore(): void {
  readClock();
  takeCompletions();
  for (let timer = timersTake(now); timer >= 0; timer = timersTake(now)) {
    const owner = ownerOfTimer(<u32>timer);
    if (owner === WOKEN_UNIT) unitWoken(unitAt(indexOfTimer(<u32>timer)));
    else if (owner === WOKEN_PATH) pathWoken(pathAt(indexOfTimer(<u32>timer)));
    else coreWoken();
  }
  blockEntries();
  do {
    connectionsServe();
    blockAnswers();
    unitsServe();
    serveLine();
  } while (connectionsPending() || blockPending() || unitsPending());
  promiseNext(lazySendDue());
}

/** Serves clients waiting for room, as far as there is room. */
function serveLine(): void {
  if (!lineDue()) return;
  for (let client = lineNext(); changetype<usize>(client) !== 0; client = lineNext()) {
    if (client.kind === CLIENT_BLOCK) clientResume(changetype<BlockClient>(client));
    else {
      parseRequests(changetype<Connection>(client));
      connectionDirty(changetype<Connection>(client));
    }
    if (!lineServed(client)) return;
  }
}

function takeCompletions(): void {
  for (let entry = completionFirst(); entry !== 0; entry = completionFirst()) {
    const tag = load<u32>(entry + COMPLETION_TAG);
    const result = load<i32>(entry + COMPLETION_RESULT);
    const timeNs = coreTime(load<u64>(entry + COMPLETION_TIME_NS));
    completionTaken();
    complete(tag, result, timeNs);
  }
}

/**
 * Passes a completion to the record whose submission it ends; a completion that matches no pending submission is counted and
 * ignored.
 */
function complete(tag: u32, result: i32, timeNs: u64): void {
  const kind = tagKind(tag);
  const generation = tagGeneration(tag);
  const index = tagIndex(tag);
  if (kind === TAG_COMMAND) {
    if (index >= commandCount + pathCount) return countStray();
    const command = changetype<Command>(commandAt(index));
    if (command.state !== COMMAND_FLIGHT || command.generation !== generation) return countStray();
    return index < commandCount ? commandCompleted(command, result, timeNs) : checkCompleted(command, result);
  }
  if (kind === TAG_RESET) return index < pathCount ? resetCompleted(pathAt(index), generation, result) : countStray();
  if (index >= connectionCount) return countStray();
  const connection = connectionAt(index);
  if (kind === TAG_RECV) return receiveCompleted(connection, generation, result);
  if (kind === TAG_SEND) return sendCompleted(connection, generation, result);
  if (kind === TAG_CLOSE) return closeCompleted(connection, generation);
  if (kind === TAG_WATCH) return watchCompleted(connection, generation, result);
  countStray();
}

/** See docs/architecture.md, `connectionClose`. */
export function connectionClose(handle: u32): i32 {
  if (handle >= connectionCount) return -(<i32>ERROR_HANDLE);
  const connection = connectionAt(handle);
  if (connection.state === CONNECTION_FREE) return -(<i32>ERROR_HANDLE);
  connectionShut(connection, 0);
  return 0;
}

/**
 * Free resources: 0 request slots, 1 command slots, 2 bytes of the pool, 4 pages for checks; 3: completions that matched nothing.
 */
export function inspect(what: u32): u32 {
  if (what === 0) return requestsFree();
  if (what === 1) return commandsFree();
  if (what === 4) return checkPagesFreeCount;
  return what === 2 ? buffersFree() : <u32>strayCompletions;
}
