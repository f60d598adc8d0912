// The shipped core, driven manually: one instance of build/core.wasm with the simulation as its host.

import {
  CONTROL_DEADLINE_NS,
  CONTROL_EVENT_QUEUE,
  CONTROL_NOW_NS,
  CONTROL_SEED,
  COMPLETION_BYTES,
  COMPLETION_RESULT,
  COMPLETION_TAG,
  COMPLETION_TIME_NS,
  CONTROL_COMPLETION_QUEUE,
  EVENT_ARG0,
  EVENT_ARG1,
  EVENT_BYTES,
  EVENT_KIND,
  EVENT_PATH,
  EVENT_REASON,
  EVENT_UNIT,
  RING_BASE,
  RING_CAPACITY,
  RING_HEAD,
  RING_TAIL,
} from "../../host/abi.ts";
import type { CoreExports, CoreLimits } from "../../host/reactor/laid-out-core.ts";

/** Arguments of `inspect`. */
export const INSPECT = { requests: 0, commands: 1, poolBytes: 2, strays: 3, checkPages: 4 } as const;

/** Limits of the block door. */
export const BLOCK_LIMITS = { clients: 64, tags: 128, regionBytes: 1 << 20 } as const;

interface Inspected extends CoreExports {
  inspect(what: number): number;
}

export interface CoreEvent {
  readonly kind: number;
  readonly reason: number;
  readonly unit: number;
  readonly path: number;
  readonly arg0: number;
  readonly arg1: number;
  /** Where the entry is, until the listener returns. */
  readonly entry: number;
}

/** The values that a setting has had, of any unit; `least` leaves out 0, which mostly stands for "never". */
export interface Had {
  readonly least: number;
  readonly most: number;
}

export class SimulatedCore {
  readonly exports: Inspected;
  readonly #had = new Map<number, Had>();
  readonly memory: Uint8Array;
  readonly view: DataView;
  readonly control: number;

  constructor(module: WebAssembly.Module, limits: CoreLimits, seed: number) {
    const instance = new WebAssembly.Instance(module, {
      env: {
        abort: (_message: number, _file: number, line: number, column: number) => {
          throw new Error(`assertion in the core at line ${line}:${column}`);
        },
      },
    });
    const exports = instance.exports as unknown as Inspected;
    const unitSet = (unit: number, property: number, value: bigint): number => {
      const answer = exports.unitSet(unit, property, value);
      if (answer >= 0) this.#note(property, Number(value));
      return answer;
    };
    this.exports = { ...exports, unitSet };
    (instance.exports as { start?: () => void }).start?.();
    this.control = this.exports.controlBlock();
    new DataView(this.exports.memory.buffer).setBigUint64(this.control + CONTROL_SEED, BigInt(seed), true);
    const { connections, requests, commands, poolBytes, units, paths, events, payloadBytes } = limits;
    const answer = this.exports.init(connections, requests, commands, poolBytes, units, paths, events, payloadBytes);
    if (answer < 0) throw new Error(`init refused the limits: ${answer}`);
    const { clients, tags, regionBytes } = BLOCK_LIMITS;
    if (this.exports.blockInit(clients, tags, regionBytes) < 0) throw new Error("blockInit refused the limits");
    this.memory = new Uint8Array(this.exports.memory.buffer);
    this.view = new DataView(this.exports.memory.buffer);
  }

  #note(property: number, value: number): void {
    const { least, most } = this.had(property);
    this.#had.set(property, { least: value === 0 ? least : Math.min(least, value), most: Math.max(most, value) });
  }

  /** The values that a setting of units has had. */
  had(property: number): Had {
    return this.#had.get(property) ?? { least: Infinity, most: 0 };
  }

  set nowNs(value: number) {
    this.view.setUint32(this.control + CONTROL_NOW_NS, value >>> 0, true);
    this.view.setUint32(this.control + CONTROL_NOW_NS + 4, Math.floor(value / 0x1_0000_0000), true);
  }

  /** When `run` is due, ns; Infinity when it is not. */
  get deadlineNs(): number {
    const high = this.view.getUint32(this.control + CONTROL_DEADLINE_NS + 4, true);
    if (high === 0xffff_ffff) return Infinity;
    return high * 0x1_0000_0000 + this.view.getUint32(this.control + CONTROL_DEADLINE_NS, true);
  }

  /** Takes the available events. */
  events(listener: (event: CoreEvent) => void): void {
    const ring = this.control + CONTROL_EVENT_QUEUE;
    const view = this.view;
    const base = view.getUint32(ring + RING_BASE, true);
    const mask = view.getUint32(ring + RING_CAPACITY, true) - 1;
    const tail = view.getUint32(ring + RING_TAIL, true);
    let head = view.getUint32(ring + RING_HEAD, true);
    while (head !== tail) {
      const entry = base + (head & mask) * EVENT_BYTES;
      listener({
        kind: view.getUint16(entry + EVENT_KIND, true),
        reason: view.getUint16(entry + EVENT_REASON, true),
        unit: view.getUint32(entry + EVENT_UNIT, true),
        path: view.getUint32(entry + EVENT_PATH, true),
        arg0: view.getUint32(entry + EVENT_ARG0, true),
        arg1: view.getUint32(entry + EVENT_ARG1, true),
        entry,
      });
      head = (head + 1) >>> 0;
    }
    view.setUint32(ring + RING_HEAD, head, true);
  }

  /** Puts a completion into the ring, whether or not anything waits for it; false when there is no room. */
  complete(tag: number, result: number, timeNs: number): boolean {
    const ring = this.control + CONTROL_COMPLETION_QUEUE;
    const view = this.view;
    const capacity = view.getUint32(ring + RING_CAPACITY, true);
    const tail = view.getUint32(ring + RING_TAIL, true);
    if ((tail - view.getUint32(ring + RING_HEAD, true)) >>> 0 >= capacity) return false;
    const entry = view.getUint32(ring + RING_BASE, true) + (tail & (capacity - 1)) * COMPLETION_BYTES;
    view.setUint32(entry + COMPLETION_TAG, tag, true);
    view.setInt32(entry + COMPLETION_RESULT, result, true);
    view.setUint32(entry + COMPLETION_TIME_NS, timeNs >>> 0, true);
    view.setUint32(entry + COMPLETION_TIME_NS + 4, Math.floor(timeNs / 0x1_0000_0000), true);
    view.setUint32(ring + RING_TAIL, (tail + 1) >>> 0, true);
    return true;
  }
}
