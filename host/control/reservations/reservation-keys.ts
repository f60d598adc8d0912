// The keys under which this host is registered, in a file of their own: whoever knows a key can take a unit from us, so only
// root, or the daemon's user, may read it. A file that another host wrote is not used: its keys are that host's.

import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { hash } from "node:crypto";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import * as z from "zod";
import { keyOf } from "../../discovery/persistent-reservations.ts";
import { ControlError, reasonOf } from "../ground/control-errors.ts";
import type { Unit } from "../inventory/inventory.ts";

/** Name of the file in the state directory. */
const KEYS_FILE = "reservation-keys";
const MODE = 0o600;

const Key = z.string().refine((text) => keyOf(text) === text);

const Registration = z.strictObject({
  key: Key,
  /**
   * `registering`: begun, and undone if the daemon ends before it is done. `preempted`: another host removed the key, so the unit
   * carries no I/O.
   */
  state: z.enum(["registering", "registered", "preempted"]),
  /** The key before; while it is changed. */
  before: Key.nullable(),
  /** While it is registered anew: another host had removed the key, so the unit carries no I/O if this is not finished. */
  wasPreempted: z.boolean().optional(),
  aptpl: z.boolean(),
  allTargetPorts: z.boolean(),
  /** The reservation this host holds; null when it holds none. */
  type: z.int().min(1).max(8).nullable(),
  /** Number of the path whose I_T nexus holds it, as far as known. */
  holder: z.string().nullable(),
  /** The device's counter of changes, as last seen. */
  generation: z.int().min(0),
});
/** How this host is registered at a unit. */
export type Registration = z.infer<typeof Registration>;

const Keys = z.strictObject({
  host: z.string(),
  /** By the unit's identity. */
  units: z.record(z.string(), Registration),
  /** Units where the device has told that another host removed the key, and what follows from it is not done. Left out: none. */
  removed: z.array(z.string()).optional(),
});

function firstLine(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return "";
  }
}

/** Identifies this host, and tells nobody how: an installation's number is not to be passed on. */
function hostIdentity(): string {
  const number = firstLine("/etc/machine-id") || firstLine("/sys/class/dmi/id/product_uuid") || hostname();
  return hash("sha256", `pathmanager reservations of ${number}`).slice(0, 32);
}

/** What was found instead of keys of this host. */
export type Unused =
  | { readonly kind: "foreign"; readonly movedTo: string; readonly units: number }
  | { readonly kind: "damaged"; readonly movedTo: string; readonly reason: string };

export class ReservationKeys {
  readonly file: string;
  readonly unused: Unused | null = null;
  readonly #host: string;
  #units: Record<string, Registration> = {};
  #removed: readonly string[] = [];

  constructor(directory: string, host = hostIdentity()) {
    this.file = join(directory, KEYS_FILE);
    this.#host = host;
    let text: string;
    try {
      text = readFileSync(this.file, "utf8");
    } catch (thrown) {
      if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return;
      throw new ControlError("STATE_DAMAGED", `the keys of reservations cannot be read: ${reasonOf(thrown)}`, {
        parameter: this.file,
        remedy: "make the file readable to the daemon, or move it away and register again",
      });
    }
    this.unused = this.#take(text);
  }

  #take(text: string): Unused | null {
    let keys: z.infer<typeof Keys>;
    try {
      keys = Keys.parse(JSON.parse(text));
    } catch (thrown) {
      return { kind: "damaged", movedTo: this.#moveAway("damaged"), reason: reasonOf(thrown).slice(0, 200) };
    }
    if (keys.host === this.#host) {
      this.#units = keys.units;
      this.#removed = (keys.removed ?? []).filter((identity) => identity in keys.units);
      return null;
    }
    return { kind: "foreign", movedTo: this.#moveAway("of-another-host"), units: Object.keys(keys.units).length };
  }

  #moveAway(why: string): string {
    const to = `${this.file}.${why}`;
    renameSync(this.file, to);
    return to;
  }

  /** Identities of the units that have a key. */
  get identities(): string[] {
    return Object.keys(this.#units);
  }

  of(identity: string): Registration | null {
    return this.#units[identity] ?? null;
  }

  /** Identities of the units whose device has told that another host removed the key. */
  get removed(): readonly string[] {
    return this.#removed;
  }

  /** On disk when it returns. @throws ControlError STATE_WRITE_FAILED; then nothing has changed */
  put(identity: string, registration: Registration | null): void {
    const { [identity]: _, ...others } = this.#units;
    if (registration !== null) return this.#change({ ...others, [identity]: registration }, this.#removed);
    this.#change(others, without(this.#removed, identity));
  }

  /** The same for what the device told of a unit that has a key. @throws as `put` */
  setRemoved(identity: string, isRemoved: boolean): void {
    if (this.of(identity) === null || isRemoved === this.#removed.includes(identity)) return;
    this.#change(this.#units, isRemoved ? [...this.#removed, identity] : without(this.#removed, identity));
  }

  #change(units: Record<string, Registration>, removed: readonly string[]): void {
    const [unitsBefore, removedBefore] = [this.#units, this.#removed];
    this.#units = units;
    this.#removed = removed;
    try {
      this.#write();
    } catch (thrown) {
      this.#units = unitsBefore;
      this.#removed = removedBefore;
      throw new ControlError("STATE_WRITE_FAILED", `the keys cannot be written: ${reasonOf(thrown)}`, {
        parameter: this.file,
        remedy: "free some room on its file system, or make it writable",
        cause: thrown,
      });
    }
  }

  #write(): void {
    const removed = this.#removed.length === 0 ? {} : { removed: this.#removed };
    const text = `${JSON.stringify({ host: this.#host, units: this.#units, ...removed }, null, 2)}\n`;
    mkdirSync(dirname(this.file), { recursive: true, mode: 0o750 });
    const descriptor = openSync(`${this.file}.new`, "w", MODE);
    try {
      writeSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(`${this.file}.new`, this.file);
    const folder = openSync(dirname(this.file), "r");
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  }
}

const without = (list: readonly string[], item: string): readonly string[] => list.filter((other) => other !== item);

/** The identity under which a unit's key is kept. */
export function keyedAs(keys: ReservationKeys, unit: Unit): string {
  const former = unit.facts.formerIdentity;
  const isFormer = former !== undefined && keys.of(unit.identity.text) === null && keys.of(former) !== null;
  return isFormer ? former : unit.identity.text;
}
