// An instance of the core with its memory laid out, and typed views of it. Needs nothing of Node: a page in a browser has such instances,
// too (host/page).

import {
  ABI_VERSION,
  CONTROL_NOW_NS,
  CONTROL_SEED,
  NBD_PAYLOAD_BYTES_MAX,
  UNIT_BYTES,
  UNIT_CONNECTIONS,
  UNIT_ORPHANS,
} from "../abi.ts";
import { CoreAborted, coreAnswer, ReactorError } from "./reactor-errors.ts";

/** Limits of one core; they determine the layout of its memory, once. Ranges: `assembly/memory/memory.ts`. */
export interface CoreLimits {
  /** NBD connections at the same time. */
  readonly connections: number;
  /** Requests accepted and not answered. */
  readonly requests: number;
  /** SCSI commands in flight. */
  readonly commands: number;
  /** Bytes of data buffers. */
  readonly poolBytes: number;
  readonly units: number;
  readonly paths: number;
  /** Events waiting for control. */
  readonly events: number;
  /** Bytes of the largest payload of one request; it has to fit into the pool. */
  readonly payloadBytes: number;
}

const DEFAULT_LIMITS: CoreLimits = {
  connections: 64,
  requests: 1024,
  commands: 2048,
  poolBytes: 64 * 1_048_576,
  units: 64,
  paths: 512,
  events: 4096,
  payloadBytes: NBD_PAYLOAD_BYTES_MAX,
};

/** The exports of the core, as docs/architecture.md lists them. */
export interface CoreExports {
  readonly memory: WebAssembly.Memory;
  start(): void;
  abiVersion(): number;
  controlBlock(): number;
  init(
    connections: number,
    requests: number,
    commands: number,
    poolBytes: number,
    units: number,
    paths: number,
    events: number,
    payloadBytes: number,
  ): number;
  run(): void;
  scratch(): number;
  pathTable(): number;
  unitTable(): number;
  unitAdd(): number;
  unitSet(unit: number, property: number, value: bigint): number;
  unitRemove(unit: number): number;
  unitIdentity(unit: number, bytes: number): number;
  pathAdd(unit: number, arrayPort: number, port: number, priority: number, enabled: number, depth: number): number;
  pathSet(path: number, property: number, value: bigint): number;
  pathRemove(path: number): number;
  pathSwap(a: number, b: number): number;
  modeSet(mode: number, value: bigint): number;
  sharedFault(initiatorPort: number, targetPort: number, controller: number, silent: number, probesMax: number): number;
  sharedAnswer(initiatorPort: number, targetPort: number): number;
  connectionAdd(socket: number, unit: number, flags: number, preloaded: number): number;
  connectionClose(connection: number): number;
  blockInit(clients: number, tags: number, regionBytes: number): number;
  blockRegion(): number;
  blockOpen(unit: number, flags: number): number;
  blockClose(client: number): number;
  blockData(tag: number, at: number): bigint;
}

/** Limits of the block door. */
export interface DoorLimits {
  readonly clients: number;
  readonly tags: number;
  readonly regionBytes: number;
}

export interface LayoutOptions {
  readonly limits?: Partial<CoreLimits>;
  /** Seed of the core's random numbers. Default: from the clock. */
  readonly seed?: bigint;
  /** CLOCK_MONOTONIC in ns at the start. Default 0, for callers with a clock of their own. */
  readonly nowNs?: bigint;
  /** Lays out the block door as well. */
  readonly door?: DoorLimits;
}

/** A core, initialised. Its memory never grows again, so the views stay valid. */
export class LaidOutCore {
  readonly exports: CoreExports;
  readonly limits: CoreLimits;
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly view: DataView;
  /** Address of the control block. */
  readonly control: number;
  readonly scratch: number;
  readonly pathTable: number;
  readonly unitTable: number;
  /** Tags of the block door; 0 when there is none. */
  readonly doorTags: number;

  /** Throws REACTOR_CORE when the core has another ABI, CORE_RANGE for impossible limits. */
  constructor(exports: CoreExports, options: LayoutOptions = {}) {
    this.exports = exports;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    const version = this.exports.abiVersion();
    if (version !== ABI_VERSION) {
      throw new ReactorError(
        "REACTOR_CORE",
        `build/core.wasm speaks version ${version} of the interface, the host ${ABI_VERSION}; run \`npm run build\``,
      );
    }
    this.control = this.exports.controlBlock() >>> 0;
    const before = new DataView(this.exports.memory.buffer);
    before.setBigUint64(this.control + CONTROL_SEED, options.seed ?? BigInt(Date.now()), true);
    before.setBigUint64(this.control + CONTROL_NOW_NS, options.nowNs ?? 0n, true);
    const { connections, requests, commands, poolBytes, units, paths, events, payloadBytes } = this.limits;
    coreAnswer(
      "init",
      this.exports.init(connections, requests, commands, poolBytes, units, paths, events, payloadBytes),
    );
    const { door } = options;
    if (door !== undefined) coreAnswer("blockInit", exports.blockInit(door.clients, door.tags, door.regionBytes));
    this.doorTags = door?.tags ?? 0;
    const { buffer } = this.exports.memory;
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    this.view = new DataView(buffer);
    this.scratch = this.exports.scratch() >>> 0;
    this.pathTable = this.exports.pathTable() >>> 0;
    this.unitTable = this.exports.unitTable() >>> 0;
  }

  /** Connections that are open on a unit. */
  connectionsOf(unit: number): number {
    return this.view.getUint32(this.unitTable + unit * UNIT_BYTES + UNIT_CONNECTIONS, true);
  }

  /** Commands of a unit that are in flight although nobody waits for them any more. */
  orphansOf(unit: number): number {
    return this.view.getUint32(this.unitTable + unit * UNIT_BYTES + UNIT_ORPHANS, true);
  }
}

/** An instance that is started and not laid out. */
export function instantiate(module: WebAssembly.Module): CoreExports {
  let memory: WebAssembly.Memory | null = null;
  const text = (address: number): string => (memory === null ? "" : utf16(memory, address));
  const abort = (message: number, file: number, line: number, column: number): never => {
    throw new CoreAborted(`core: ${text(message)} at ${text(file)}:${line}:${column}`);
  };
  const instance = new WebAssembly.Instance(module, { env: { abort } });
  // The module's exports are untyped; abiVersion, compared next, vouches for them.
  const exports = instance.exports as unknown as CoreExports;
  memory = exports.memory;
  exports.start();
  return exports;
}

/** A string of AssemblyScript: UTF-16, its length in bytes 4 bytes before it. */
function utf16(memory: WebAssembly.Memory, address: number): string {
  const at = address >>> 0;
  if (at < 4 || at > memory.buffer.byteLength) return "";
  const bytes = new DataView(memory.buffer).getUint32(at - 4, true);
  return new TextDecoder("utf-16le").decode(new Uint8Array(memory.buffer, at, Math.min(bytes, 1024)));
}
