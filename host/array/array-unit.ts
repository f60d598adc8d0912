// A logical unit of the emulated array and the ports (I_T_L nexuses) that lead to it.

import { ALUA_NON_OPTIMIZED, ALUA_OPTIMIZED } from "../abi.ts";
import { CachedMedium } from "./cached-medium.ts";
import type { Medium } from "./medium.ts";
import { Reservations } from "./reservations.ts";
import type { PortFaults } from "./faults/fault-state.ts";
import type { PortServer } from "./service.ts";
import type { FullTopology } from "./array-topology.ts";

/** Unit attentions one nexus can have pending; a further one replaces the newest (SAM-5 5.14 leaves that to the target). */
const ATTENTIONS_MAX = 8;

/** 32 bits that depend on every character; FNV-1a. Identities must be the same at every start. */
export function nameHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** A logical unit: what is the same on every path to it. */
export class LogicalUnit {
  readonly array: FullTopology;
  /** Number in its array, from 0. */
  readonly index: number;
  readonly serial: string;
  /** NAA 6 designator (SPC-4 7.8.6.6.5): 16 bytes. */
  readonly designator = new Uint8Array(16);
  readonly blockBytes: number;
  blocks: number;
  /** Whether a flush matters (WCE of the caching mode page). */
  readonly cachesWrites: boolean;
  /** Blocks the unit can grow to. */
  readonly blocksMax: number;
  readonly medium: Medium;
  /** The same medium if it caches writes, else null. */
  readonly cache: CachedMedium | null;
  /** The medium without the cache: what remains after a loss of power. */
  readonly stable: Medium;
  writeProtected = false;
  /** Deferred errors reported, on any path. */
  deferredErrors = 0;
  /** ALUA_* state of each target port group (controller). */
  readonly groupStates: Uint8Array;
  /** How long an implicit transition may take, as REPORT TARGET PORT GROUPS says, s; 0: not reported. */
  transitionSeconds = 10;
  /** Group that an initiator should prefer, or -1. */
  readonly preferredGroup: number;
  readonly reservations = new Reservations();
  /** The ports that lead here now. */
  readonly ports: Port[] = [];
  /** Ends the commands that other hosts have under way here on these ports. Set by the array. */
  abortTasks: (ports: readonly Port[]) => void = () => {};

  constructor(array: FullTopology, index: number, medium: Medium) {
    this.array = array;
    this.index = index;
    this.blockBytes = array.blockBytes;
    this.blocks = array.unitBytes / array.blockBytes;
    this.blocksMax = Math.floor((medium.bytesMax ?? Number.MAX_SAFE_INTEGER) / array.blockBytes);
    this.cache = array.writeCache ? new CachedMedium(medium, array.blockBytes) : null;
    this.medium = this.cache ?? medium;
    this.cachesWrites = array.writeCache || medium.volatile === true;
    this.stable = medium;
    this.serial = `PM${nameHash(array.name).toString(16).padStart(8, "0").toUpperCase()}${String(index).padStart(4, "0")}`;
    const view = new DataView(this.designator.buffer);
    view.setUint32(0, 0x6001a2b0);
    view.setUint32(4, nameHash(`array ${array.name}`));
    view.setUint32(8, nameHash(`unit ${array.name}`));
    view.setUint32(12, index);
    this.groupStates = new Uint8Array(array.controllers).fill(ALUA_OPTIMIZED);
    this.preferredGroup = array.access === "preferred" ? index % array.controllers : -1;
    if (this.preferredGroup >= 0) {
      this.groupStates.fill(ALUA_NON_OPTIMIZED);
      this.groupStates[this.preferredGroup] = ALUA_OPTIMIZED;
    }
  }

  /** Brings blocks to storage that survives a power failure. Returns 0 or a negated errno. */
  flush(lba: number, blocks: number): number {
    const error = this.cache?.flushBlocks(lba, blocks) ?? 0;
    return error === 0 ? (this.stable.flush?.() ?? 0) : error;
  }

  /** Establishes a unit attention on every port of the unit except `but`. */
  attention(code: number, but: Port | null): void {
    for (const port of this.ports) if (port !== but) port.attend(code);
  }
}

/** One emulated port: a path's I_T_L nexus. The core and discovery know it by its handle. */
export class Port {
  readonly handle: number;
  readonly array: FullTopology;
  readonly arrayIndex: number;
  readonly initiatorPort: number;
  readonly controller: number;
  /** Index of the target port in its array. */
  readonly targetPort: number;
  readonly lun: number;
  /** `host:channel:target:lun`. */
  readonly pathNumber: string;
  /** The unit the LUN belongs to, and the one it leads to now (null: none). */
  readonly home: LogicalUnit;
  unit: LogicalUnit | null;
  /** Number of the I_T nexus in its array; reservations are held by it. */
  readonly nexus: number;
  /** Commands accepted but not answered. */
  inFlight = 0;
  /** Serves the commands: one for all ports (initiators) that share the target port. */
  readonly server: PortServer;
  /** Faults in force here, or null, which is all that the fast path checks. */
  faults: PortFaults | null = null;
  readonly #attentions = new Int32Array(ATTENTIONS_MAX);
  attentionCount = 0;

  constructor(
    place: { handle: number; arrayIndex: number; initiatorPort: number; controller: number; targetPort: number },
    home: LogicalUnit,
    server: PortServer,
  ) {
    this.server = server;
    this.handle = place.handle;
    this.array = home.array;
    this.arrayIndex = place.arrayIndex;
    this.initiatorPort = place.initiatorPort;
    this.controller = place.controller;
    this.targetPort = place.targetPort;
    this.lun = home.array.firstLun + home.index;
    this.pathNumber = `${home.array.firstHost + place.initiatorPort}:0:${place.targetPort}:${this.lun}`;
    this.home = home;
    this.unit = home;
    this.nexus = place.initiatorPort * home.array.controllers * home.array.portsPerController + place.targetPort;
    home.ports.push(this);
  }

  /** Makes a unit attention pending, unless it already is. */
  attend(code: number): void {
    for (let i = 0; i < this.attentionCount; i++) if (this.#attentions[i] === code) return;
    if (this.attentionCount === ATTENTIONS_MAX) this.attentionCount--;
    this.#attentions[this.attentionCount++] = code;
  }

  /** Lets the LUN lead to another unit, or (null) to none. */
  leadTo(unit: LogicalUnit | null): void {
    if (this.unit !== null) this.unit.ports.splice(this.unit.ports.indexOf(this), 1);
    this.unit = unit;
    unit?.ports.push(this);
  }

  /** Takes the oldest unit attention (asc << 8 | ascq), or 0 if none is pending. */
  takeAttention(): number {
    if (this.attentionCount === 0) return 0;
    const code = this.#attentions[0] ?? 0;
    this.#attentions.copyWithin(0, 1);
    this.attentionCount--;
    return code;
  }

  /** Clears a unit attention if it is pending. */
  clearAttention(code: number): void {
    for (let i = 0; i < this.attentionCount; i++) {
      if (this.#attentions[i] === code) {
        this.#attentions.copyWithin(i, i + 1);
        this.attentionCount--;
        return;
      }
    }
  }
}
