// The reactor's side of control's calls. They run between turns, when the core is at rest.

import type { EmulatedArray } from "../array/array.ts";
import { copyRecords, countRecords, leftCommands, type Ring } from "../native/index.ts";
import * as abi from "../abi.ts";
import { addUnit } from "./bring-up-batch.ts";
import { foldStatistics } from "./coarse-histograms.ts";
import { packResults } from "./command-results.ts";
import type { Core } from "./core-loader.ts";
import { coreAnswer, ReactorError } from "./reactor-errors.ts";
import type {
  ArrayCommand,
  CallName,
  CoarseRequest,
  ReactorCalls,
  Refusal,
  Setting,
  StatisticsCopy,
  StatisticsRequest,
} from "./reactor-messages.ts";
import type { ScsiQueues } from "./scsi-queues.ts";
import type { UblkQueues } from "./ublk-queues.ts";
import { PATH_RECORD_BYTES, UNIT_RECORD_BYTES, type SnapshotCopy, type TableCopy } from "./decode-records.ts";
import { counted } from "../wording.ts";

/** What the calls act on. */
export interface Reactor {
  readonly core: Core;
  readonly ring: Ring;
  readonly array: EmulatedArray;
  readonly ublks: UblkQueues;
  readonly targets: ScsiQueues;
}

type Handlers = { [Name in CallName]: (...args: ReactorCalls[Name]["args"]) => ReactorCalls[Name]["answer"] };

function check(call: string, answer: number): void {
  coreAnswer(call, answer);
}

/** The handlers of a reactor. Each throws an error with a code when the call is refused. */
export function handlersOf(reactor: Reactor): Handlers {
  const { core, ring, array, ublks, targets } = reactor;
  const { exports } = core;
  const handlers: Handlers = {
    unitAdd: () => coreAnswer("unitAdd", exports.unitAdd()),
    unitSet: (unit, property, value) => check("unitSet", exports.unitSet(unit, property, BigInt(value))),
    unitRemove: (unit) => check("unitRemove", exports.unitRemove(unit)),
    unitIdentity: (unit, identity) => {
      toScratch(core, "identity", identity, abi.IDENTITY_BYTES_MAX);
      check("unitIdentity", exports.unitIdentity(unit, identity.length));
    },
    pathAdd: ({ unit, queue, port, priority, enabled, depth }) =>
      coreAnswer("pathAdd", exports.pathAdd(unit, queue === "array" ? 1 : 0, port, priority, enabled ? 1 : 0, depth)),
    pathSet: (path, property, value) => check("pathSet", exports.pathSet(path, property, BigInt(value))),
    pathRemove: (path) => check("pathRemove", exports.pathRemove(path)),
    pathSwap: (a, b) => check("pathSwap", exports.pathSwap(a, b)),
    modeSet: (mode, value) => {
      check("modeSet", exports.modeSet(mode, BigInt(value)));
      if (mode === abi.MODE_CLUSTER) targets.reserves = Number(value) === 1;
    },
    addConnection: (fd, unit, flags, preloaded) => addConnection(reactor, fd, unit, flags, preloaded),
    closeConnection: (connection) => check("closeConnection", exports.connectionClose(connection)),
    ublkOpen: (unit, flags, device) => ublks.open(unit, flags, device),
    ublkClose: (client) => ublks.close(client),
    ublkQueues: () => ublks.list,
    scsiOpen: (serving) => targets.open(serving),
    scsiFail: (name) => targets.fail(name),
    scsiClose: (name) => targets.close(name),
    scsiResize: (name, blocks) => targets.resize(name, blocks),
    scsiQueues: () => targets.list,
    scsiAsked: (isNew) => targets.take(isNew),
    scsiAttention: (name, code) => targets.attention(name, code),
    scsiReply: (reply) => targets.reply(reply),
    openPort: (device, depth) => ring.openPort(device, depth),
    portDepth: (port, depth) => ring.portDepth(port, depth),
    closePort: (port) => ring.closePort(port),
    leftCommands: () => leftCommands(),
    ping: () => undefined,
    snapshot: () => snapshot(core),
    statistics: (request) => statistics(core, request),
    coarseHistograms: (request) => coarseHistograms(core, request),
    load: () => ({
      ...ring.turns(),
      descriptorRefusals: ring.descriptorRefusals,
      limits: core.limits,
      poolFreeBytes: core.view.getUint32(core.control + abi.CONTROL_POOL_FREE, true),
    }),
    arrayPorts: () => array.describe(),
    arrayCommand: (port, cdb, data) => array.command(port, cdb, data),
    arrayCommands: (commands) =>
      packResults(commands.length, (index) => {
        // The index is below the length.
        const { port, cdb, data } = commands[index] as ArrayCommand;
        return array.command(port, cdb, data);
      }),
    addFault: (fault) => array.addFault(fault),
    liftFault: (id) => array.liftFault(id),
    liftAllFaults: () => array.liftAllFaults(),
    faults: () => array.faults(),
    settings: (settings) => settings.map((setting) => carryOut(handlers, setting)),
    addUnits: (units) => units.map((unit) => addUnit(handlers, (setting) => carryOut(handlers, setting), unit)),
  };
  return handlers;
}

function carryOut(handlers: Handlers, setting: Setting): Refusal | null {
  try {
    switch (setting.name) {
      case "unitSet":
      case "pathSet":
        handlers[setting.name](setting.handle, setting.property, setting.value);
        return null;
      case "modeSet":
        handlers.modeSet(setting.mode, setting.value);
        return null;
      case "unitIdentity":
        handlers.unitIdentity(setting.handle, setting.identity);
        return null;
      case "pathSwap":
        handlers.pathSwap(setting.a, setting.b);
        return null;
    }
  } catch (error) {
    if (error instanceof ReactorError) return { code: error.code, message: error.message };
    throw error;
  }
}

function toScratch(core: Core, parameter: string, bytes: Uint8Array, most: number): void {
  if (bytes.length > most) {
    throw new ReactorError("REACTOR_ARGUMENT", `${parameter}: ${counted(bytes.length, "byte")}, at most ${most}`);
  }
  core.bytes.set(bytes, core.scratch);
}

/** Takes over a descriptor. Whatever happens, the ring owns it afterwards: if the core refuses, it is closed. */
function addConnection(reactor: Reactor, fd: number, unit: number, flags: number, preloaded: Uint8Array): number {
  const { core, ring } = reactor;
  const socket = ring.addSocket(fd);
  try {
    toScratch(core, "preloaded", preloaded, abi.CONNECTION_RECEIVE_BYTES);
    return coreAnswer("addConnection", core.exports.connectionAdd(socket, unit, flags, preloaded.length));
  } catch (refusal) {
    closeSocket(core, socket);
    throw refusal;
  }
}

/** The tag of a completion that nobody waits for: the core counts it as a stray and continues. */
const STRAY_TAG = 0xffffffff;

function closeSocket(core: Core, socket: number): void {
  const queue = core.control + abi.CONTROL_NATIVE_QUEUE;
  const tail = core.view.getUint32(queue + abi.RING_TAIL, true);
  const mask = core.view.getUint32(queue + abi.RING_CAPACITY, true) - 1;
  const entry = core.view.getUint32(queue + abi.RING_BASE, true) + (tail & mask) * abi.SUBMISSION_BYTES;
  core.bytes.fill(0, entry, entry + abi.SUBMISSION_BYTES);
  core.view.setUint8(entry + abi.SUBMISSION_OP, abi.OP_CLOSE);
  core.view.setUint32(entry + abi.SUBMISSION_TAG, STRAY_TAG, true);
  core.view.setUint32(entry + abi.SUBMISSION_HANDLE, socket, true);
  core.view.setUint32(queue + abi.RING_TAIL, (tail + 1) >>> 0, true);
}

function u64(core: Core, at: number): number {
  return core.view.getUint32(at, true) + core.view.getUint32(at + 4, true) * 4_294_967_296;
}

/** Copies the front part of each record in use. I/O pauses meanwhile. */
function copyTable({ bytes: memory }: Core, table: number, count: number, stride: number, bytes: number): TableCopy {
  const present = countRecords(memory, table, count, stride);
  const [handles, records] = [new Uint32Array(present), new Uint8Array(present * bytes)];
  copyRecords(memory, table, count, stride, handles, records);
  return { handles, records };
}

function snapshot(core: Core): SnapshotCopy {
  const { limits } = core;
  return {
    nowNs: u64(core, core.control + abi.CONTROL_NOW_NS),
    eventsLost: u64(core, core.control + abi.CONTROL_EVENTS_LOST),
    paths: copyTable(core, core.pathTable, limits.paths, abi.PATH_BYTES, PATH_RECORD_BYTES),
    units: copyTable(core, core.unitTable, limits.units, abi.UNIT_BYTES, UNIT_RECORD_BYTES),
  };
}

function coarseHistograms(core: Core, { which, handles }: CoarseRequest): Float64Array {
  const { limits } = core;
  const [table, count, stride, field] =
    which !== "paths"
      ? [core.unitTable, limits.units, abi.UNIT_BYTES, abi.UNIT_STATISTICS]
      : [core.pathTable, limits.paths, abi.PATH_BYTES, abi.PATH_STATISTICS];
  const addresses = Uint32Array.from(handles, (handle) => {
    const isInTable = Number.isInteger(handle) && handle >= 0 && handle < count;
    return isInTable ? core.view.getUint32(table + handle * stride + field, true) : 0;
  });
  return foldStatistics(core, which, addresses);
}

function statistics(core: Core, request: StatisticsRequest): StatisticsCopy {
  const copies = (handles: readonly number[], table: number, count: number, stride: number, field: number) => {
    const found = new Map<number, Uint8Array>();
    for (const handle of handles) {
      if (!Number.isInteger(handle) || handle < 0 || handle >= count) continue;
      const at = core.view.getUint32(table + handle * stride + field, true);
      if (at !== 0) found.set(handle, core.bytes.slice(at, at + abi.STATISTICS_BYTES));
    }
    return found;
  };
  const { limits } = core;
  return {
    paths: copies(request.paths ?? [], core.pathTable, limits.paths, abi.PATH_BYTES, abi.PATH_STATISTICS),
    units: copies(request.units ?? [], core.unitTable, limits.units, abi.UNIT_BYTES, abi.UNIT_STATISTICS),
  };
}
