// Messages between control and the reactor's thread. Every call has a name, arguments and an answer; the answer's type follows
// from the name.

import type { Which } from "./coarse-histograms.ts";
import type { ArrayPortInfo, CommandResult } from "../array/array.ts";
import type { FaultReport, FaultRequest } from "../array/faults/faults.ts";
import type { ArrayTopology } from "../array/array-topology.ts";
import type { PackedResults } from "./command-results.ts";
import type { LeftCommands } from "../native/index.ts";
import type { CoreLimits, DoorLimits } from "./laid-out-core.ts";
import type { SnapshotCopy } from "./decode-records.ts";
import type { SharedNews } from "./shared-news.ts";
import type { AskedReservation, ReservationReply, ScsiQueue, ScsiServing } from "./scsi-queues.ts";
import type { UblkDriven, UblkQueue } from "./ublk-queues.ts";

/** What the reactor is started with. */
export interface ReactorOptions {
  readonly limits?: Partial<CoreLimits>;
  /** For ublk devices, each of which needs a client and the tags of its queue. Default: none. */
  readonly door?: DoorLimits;
  /** How the ring talks to the kernel. Default `auto`. */
  readonly backend?: "auto" | "io_uring" | "epoll";
  /** How long the ring looks out for the next request after a lone reply before it sleeps, microseconds. Default 50. */
  readonly pollUs?: number;
  /** Emulated arrays beside the real devices. Default none. */
  readonly arrays?: readonly ArrayTopology[];
  /** Seed of the core's random numbers. Default: from the clock. */
  readonly seed?: bigint;
  /** Another core than `build/core.wasm`: its bytes. */
  readonly core?: Uint8Array;
  /** How many reactors share the units, the memory for data and the emulated arrays. Default 1. */
  readonly reactors?: number;
}

/** What one thread is started with. */
export interface ThreadOptions extends ReactorOptions {
  /** Name of the memory of emulated units, which all reactors have: any of them may serve a unit. Null: it has its own. */
  readonly media: string | null;
}

/** A path to add. */
export interface PathToAdd {
  readonly unit: number;
  /** Where the port is: `native` (from `openPort`) or `array` (a port of an emulated array). */
  readonly queue: "native" | "array";
  readonly port: number;
  /** 1 to 254, unique in the unit. */
  readonly priority: number;
  readonly enabled: boolean;
  /** Most commands in flight. */
  readonly depth: number;
}

/** Whose statistics are wanted. */
export interface StatisticsRequest {
  readonly paths?: readonly number[];
  readonly units?: readonly number[];
}

/** Copies of statistics regions (STATISTICS_BYTES each), by handle; handles without one are omitted. */
export interface StatisticsCopy {
  readonly paths: ReadonlyMap<number, Uint8Array>;
  readonly units: ReadonlyMap<number, Uint8Array>;
}

/** Whose histograms are wanted in short. */
export interface CoarseRequest {
  readonly which: Which;
  readonly handles: readonly number[];
}

/** How busy the reactor is, and what it has room for. */
export interface ReactorLoad {
  readonly limits: Readonly<CoreLimits>;
  /** Time for which it worked since it started. */
  readonly busyNs: number;
  /** Longest turn of the first class; each further one is twice as long, and the last is open. */
  readonly firstClassNs: number;
  /** Turns in each class. */
  readonly counts: readonly number[];
  /** How often the kernel refused its paths another descriptor. */
  readonly descriptorRefusals: number;
  /** Bytes of the pool that belong to no request. */
  readonly poolFreeBytes: number;
}

/** One command to an emulated port, bypassing the rings. */
export interface ArrayCommand {
  readonly port: number;
  readonly cdb: Uint8Array;
  readonly data: Uint8Array | number | null;
}

/** One setting; many of them are one message. */
export type Setting =
  | { readonly name: "unitSet" | "pathSet"; readonly handle: number; readonly property: number; readonly value: number }
  | { readonly name: "modeSet"; readonly mode: number; readonly value: number }
  | { readonly name: "unitIdentity"; readonly handle: number; readonly identity: Uint8Array }
  | { readonly name: "pathSwap"; readonly a: number; readonly b: number };

/** Why a setting was refused. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
}

/** A unit to add, or (with its handle) one that gets more paths. The reactor fills in the handles in the settings. */
export interface UnitToAdd {
  readonly handle: number | null;
  /** Where a new unit goes. Default: the first reactor. */
  readonly reactor?: number;
  readonly settings: readonly Setting[];
  readonly paths: readonly { readonly path: Omit<PathToAdd, "unit">; readonly settings: readonly Setting[] }[];
}

/** Kept beside the handles of a unit and its paths by the process that keeps the reactor for control. */
export interface UnitLabels {
  readonly unit: unknown;
  readonly paths: readonly unknown[];
}

/** The handles, or why there is none. Without a unit none of its paths was added. */
export interface AddedUnit {
  readonly unit: number | Refusal;
  readonly paths: readonly (number | Refusal)[];
}

/** Every call: its arguments and its answer. */
export interface ReactorCalls {
  unitAdd: { args: []; answer: number };
  unitSet: { args: [unit: number, property: number, value: number | bigint]; answer: void };
  unitRemove: { args: [unit: number]; answer: void };
  unitIdentity: { args: [unit: number, identity: Uint8Array]; answer: void };
  pathAdd: { args: [path: PathToAdd]; answer: number };
  pathSet: { args: [path: number, property: number, value: number | bigint]; answer: void };
  pathRemove: { args: [path: number]; answer: void };
  pathSwap: { args: [a: number, b: number]; answer: void };
  /** Carries all of them out, in order, even if some are refused; returns for each null or the refusal. */
  settings: { args: [settings: readonly Setting[]]; answer: (Refusal | null)[] };
  addUnits: { args: [units: readonly UnitToAdd[]]; answer: AddedUnit[] };
  modeSet: { args: [mode: number, value: number | bigint]; answer: void };
  addConnection: { args: [fd: number, unit: number, flags: number, preloaded: Uint8Array]; answer: number };
  closeConnection: { args: [connection: number]; answer: void };
  /** Serves /dev/ublkcN for a unit. */
  ublkOpen: { args: [unit: number, flags: number, device: UblkDriven]; answer: UblkQueue };
  /** Its requests fail from now on. */
  ublkClose: { args: [client: number]; answer: void };
  ublkQueues: { args: []; answer: readonly UblkQueue[] };
  /** Serves a TCMU device for a unit. */
  scsiOpen: { args: [serving: ScsiServing]; answer: void };
  /** Its commands fail from now on. */
  scsiFail: { args: [name: number]; answer: void };
  /** It is not served any more. */
  scsiClose: { args: [name: number]; answer: void };
  scsiResize: { args: [name: number, blocks: number]; answer: void };
  scsiQueues: { args: []; answer: readonly ScsiQueue[] };
  /** Commands about reservations, each once. */
  scsiAsked: { args: [isNew: boolean]; answer: readonly AskedReservation[] };
  /** Its next command ends with a unit attention, ASC * 256 + ASCQ. */
  scsiAttention: { args: [name: number, code: number]; answer: void };
  scsiReply: { args: [reply: ReservationReply]; answer: void };
  openPort: { args: [device: string, depth: number]; answer: number };
  portDepth: { args: [port: number, depth: number]; answer: void };
  closePort: { args: [port: number]; answer: void };
  /** Commands of reactors of this process that have ended, which the sg driver still carries out. */
  leftCommands: { args: []; answer: readonly LeftCommands[] };
  /** Does nothing: the answer proves that the reactor turns. */
  ping: { args: []; answer: void };
  snapshot: { args: []; answer: SnapshotCopy };
  statistics: { args: [request: StatisticsRequest]; answer: StatisticsCopy };
  /** COARSE_VALUES for each handle, in order; NaN at first for one that is not there. */
  coarseHistograms: { args: [request: CoarseRequest]; answer: Float64Array };
  load: { args: []; answer: ReactorLoad };
  arrayPorts: { args: []; answer: ArrayPortInfo[] };
  arrayCommand: {
    args: [port: number, cdb: Uint8Array, data: Uint8Array | number | null];
    answer: CommandResult;
  };
  arrayCommands: { args: [commands: readonly ArrayCommand[]]; answer: PackedResults };
  addFault: { args: [fault: FaultRequest]; answer: number };
  liftFault: { args: [id: number]; answer: boolean };
  liftAllFaults: { args: []; answer: void };
  faults: { args: []; answer: FaultReport[] };
}

export type CallName = keyof ReactorCalls;

/** To the reactor. */
export type Request =
  | {
      readonly kind: "call";
      readonly id: number;
      readonly name: CallName;
      readonly args: readonly unknown[];
      /** Labels of the handles that this call creates, for the keeper of the reactor; the reactor never sees them. */
      readonly label?: unknown;
    }
  | { readonly kind: "stop"; readonly graceMs: number };

/** To a thread: what control asks, and what other reactors have found out, to which there is no answer. */
export type ThreadRequest = Request | SharedNews;

/** From the reactor. */
export type Message =
  | {
      readonly kind: "ready";
      /** Control closes it. */
      readonly wakeDescriptor: number;
      readonly backend: "io_uring" | "epoll";
      readonly memoryBytes: number;
    }
  | { readonly kind: "answer"; readonly id: number; readonly answer: unknown }
  | { readonly kind: "refused"; readonly id: number; readonly code: string; readonly message: string }
  | { readonly kind: "events"; readonly entries: Uint8Array }
  /** `scsiAsked` has something. */
  | { readonly kind: "asked" }
  /** A SCSI device was removed by somebody else. */
  | { readonly kind: "ended"; readonly name: number }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };
