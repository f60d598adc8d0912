// The faults that an emulated array can be given: what they are, where and when they apply. Plain data, so that the
// API, the command line and a simulation's seed can all create them; checked here once.

import { ArrayError } from "../array-errors.ts";
import { isReservationType } from "../reservations.ts";

/** What goes wrong. Times are milliseconds. */
export type Fault =
  /**
   * Every command ends with this outcome and changes nothing. Sense data is sent only with status 2; `deferred`: it is about
   * commands that were answered long ago (SPC-4 4.5.1, response codes 71h and 73h).
   */
  | {
      readonly kind: "error";
      readonly status?: number;
      readonly senseKey?: number;
      readonly asc?: number;
      readonly ascq?: number;
      readonly hostStatus?: number;
      readonly deferred?: boolean;
    }
  /**
   * A black hole: commands vanish. `execution`: when their effect takes place (`never`, `at-once`, or `on-lift`:
   * late, with the answer, when the fault is lifted). `giveUp` false: the host does not time them out either; only a
   * reset, or lifting the fault, ends them. `resetMs`: how long a reset takes.
   */
  | {
      readonly kind: "no-answer";
      readonly execution?: "never" | "at-once" | "on-lift";
      readonly giveUp?: boolean;
      readonly resetMs?: number;
    }
  /**
   * The host keeps every command in its queue, as a kernel does while a link is down without fast failure: no timeout
   * runs and no reset ends them. When the fault is lifted they are delivered, in order. Commands the device already had go on.
   */
  | { readonly kind: "queued" }
  /** Service takes `factor` times as long, plus `delayMs`. */
  | { readonly kind: "slow"; readonly factor?: number; readonly delayMs?: number }
  /**
   * The effect takes place `delayMs` after acceptance. `answer` false: its answer is lost. If the host's timeout comes
   * first (and `giveUp` is not false) it ends the command; the effect then takes place only with `landsAfterGiveUp`.
   */
  | {
      readonly kind: "late";
      readonly delayMs: number;
      readonly answer?: boolean;
      readonly giveUp?: boolean;
      readonly landsAfterGiveUp?: boolean;
    }
  /** The port works for `upMs`, then is gone for `downMs`, and so on; it starts out gone. */
  | {
      readonly kind: "flapping";
      readonly upMs: number;
      readonly downMs: number;
      readonly how?: "down" | "no-answer";
      readonly hostStatus?: number;
    }
  /** A unit attention before every n-th command; `every` 0 (default): once. Default 29/00. */
  | { readonly kind: "unit-attention"; readonly asc?: number; readonly ascq?: number; readonly every?: number }
  /** Commands beyond `depth` in flight are refused. */
  | { readonly kind: "busy"; readonly depth: number; readonly status?: "busy" | "task-set-full" }
  /** The port is gone: each command, also those in flight, ends with a host status (default 0x0e, transport disrupted). */
  | { readonly kind: "port-down"; readonly hostStatus?: number }
  /**
   * Commands transfer `missingBytes` less than they should, with GOOD status and a residual: READs, or the commands that the
   * filter selects by operation code or page.
   */
  | { readonly kind: "short-data"; readonly missingBytes: number }
  /** Sense data is noise. */
  | { readonly kind: "corrupt-sense" }
  /** VPD pages are noise with a wrong length. */
  | { readonly kind: "nonsense-pages" }
  /** The VPD page has this payload, in hexadecimal, after its header of 4 bytes; page 00 does not change. */
  | { readonly kind: "vpd-page"; readonly page: number; readonly payload: string }
  /**
   * The target port group's asymmetric access state (ALUA_*); 2A/06 unless `silent`. Lifting it restores the old one.
   * `transitionS`: how long an implicit transition may take, as the unit reports from then on (0: not reported).
   */
  | { readonly kind: "alua"; readonly state: number; readonly silent?: boolean; readonly transitionS?: number }
  /** The LUN leads to another unit of the array (null: to none); 3F/0E unless `silent`. Lifting it leads back. */
  | { readonly kind: "remap"; readonly unit: number | null; readonly silent?: boolean }
  /** The unit has another number of blocks from now on; 2A/09. Lifting does not undo it. */
  | { readonly kind: "capacity"; readonly blocks: number }
  /** The unit is write-protected; 2A/01. */
  | { readonly kind: "write-protect" }
  /**
   * Another host holds a persistent reservation of this type. `preempts`: it has removed all other registrations for that, and ended
   * their commands.
   */
  | { readonly kind: "reservation"; readonly type: number; readonly preempts?: boolean }
  /** The array loses power and comes back at once: the volatile write cache is lost except for `keep` (0 to 1) of it. */
  | { readonly kind: "power-loss"; readonly keep?: number };

/** Where a fault applies: on every port that has all the given properties. Nothing given: on all. */
export interface FaultPlace {
  /** Name of an array. */
  readonly array?: string;
  /** Number of a unit in its array. */
  readonly unit?: number;
  readonly controller?: number;
  readonly targetPort?: number;
  readonly initiatorPort?: number;
  /** A path number, `host:channel:target:lun`. */
  readonly path?: string;
  /** A port handle. */
  readonly port?: number;
}

const FAULT_COMMANDS = ["all", "io", "reads", "writes", "other", "inquiry"] as const;

/** Which commands a fault affects, for the kinds that act on single commands. */
export interface FaultFilter {
  /** `io`: reads and writes. `other`: everything else. `inquiry`: only standard INQUIRY. Default: all. */
  readonly commands?: (typeof FAULT_COMMANDS)[number];
  /** Only commands with this operation code. */
  readonly opcode?: number;
  /** Only commands with these bits in byte 1 of their CDB: 0x08 is FUA of a WRITE, 0x20 the extended header of MAINTENANCE IN. */
  readonly bits?: number;
  /** Only INQUIRY for this VPD page. */
  readonly page?: number;
  /** Reads and writes that touch a block in this range. */
  readonly firstLba?: number;
  readonly lastLba?: number;
  /** Fraction of the commands, 0 to 1. */
  readonly probability?: number;
  /** Only this many commands on each port. */
  readonly times?: number;
}

/** A fault, where, on what and when. */
export interface FaultRequest {
  readonly fault: Fault;
  readonly where?: FaultPlace;
  readonly when?: FaultFilter;
  /** Starts after this many ms; default: at once. */
  readonly afterMs?: number;
  /** Is lifted this many ms after its start; default: never. */
  readonly forMs?: number;
}

/** A fault as `faults()` lists it. */
export interface FaultReport extends FaultRequest {
  readonly id: number;
  readonly state: "waiting" | "active";
  /** Ports it applies to. */
  readonly ports: number;
}

function bad(parameter: string, value: unknown, rule: string): ArrayError {
  return new ArrayError("ARRAY_FAULT", `fault ${parameter}: ${JSON.stringify(value)} is not ${rule}`);
}

function number(parameter: string, value: unknown, least: number, most: number, integer = true): void {
  if (value === undefined) return;
  const fine = typeof value === "number" && value >= least && value <= most && (!integer || Number.isInteger(value));
  if (!fine) throw bad(parameter, value, `a ${integer ? "whole " : ""}number from ${least} to ${most}`);
}

function oneOf(parameter: string, value: unknown, allowed: readonly string[]): void {
  if (value !== undefined && !allowed.includes(String(value)))
    throw bad(parameter, value, `one of ${allowed.join(", ")}`);
}

const BYTE = 255;
const MS_MAX = 2 ** 40;

/** Checks a fault from outside. Throws ARRAY_FAULT naming the parameter, the value and what is allowed. */
export function checkFault(request: FaultRequest): void {
  const { fault, when } = request;
  number("afterMs", request.afterMs, 0, MS_MAX, false);
  number("forMs", request.forMs, 0, MS_MAX, false);
  oneOf("when.commands", when?.commands, FAULT_COMMANDS);
  number("when.opcode", when?.opcode, 0, BYTE);
  number("when.bits", when?.bits, 0, BYTE);
  number("when.page", when?.page, 0, BYTE);
  number("when.probability", when?.probability, 0, 1, false);
  number("when.times", when?.times, 1, 2 ** 31);
  number("when.firstLba", when?.firstLba, 0, Number.MAX_SAFE_INTEGER);
  number("when.lastLba", when?.lastLba, 0, Number.MAX_SAFE_INTEGER);
  if (typeof fault !== "object" || fault === null) throw bad("kind", fault, "a fault with a kind");
  checkKind(fault);
}

function required(parameter: string, value: unknown): void {
  if (value === undefined) throw new ArrayError("ARRAY_FAULT", `fault ${parameter}: is missing`);
}

function checkKind(fault: Fault): void {
  switch (fault.kind) {
    case "error":
      for (const name of ["status", "senseKey", "asc", "ascq", "hostStatus"] as const) {
        number(name, fault[name], 0, name === "senseKey" ? 15 : BYTE);
      }
      return;
    case "no-answer":
      oneOf("execution", fault.execution, ["never", "at-once", "on-lift"]);
      return number("resetMs", fault.resetMs, 0, MS_MAX, false);
    case "slow":
      number("factor", fault.factor, 0, 1e6, false);
      return number("delayMs", fault.delayMs, 0, MS_MAX, false);
    case "late":
      required("delayMs", fault.delayMs);
      return number("delayMs", fault.delayMs, 0, MS_MAX, false);
    case "flapping":
      required("upMs", fault.upMs);
      required("downMs", fault.downMs);
      number("upMs", fault.upMs, 1, MS_MAX, false);
      number("downMs", fault.downMs, 1, MS_MAX, false);
      number("hostStatus", fault.hostStatus, 1, BYTE);
      return oneOf("how", fault.how, ["down", "no-answer"]);
    case "unit-attention":
      number("asc", fault.asc, 0, BYTE);
      number("ascq", fault.ascq, 0, BYTE);
      return number("every", fault.every, 0, 2 ** 31);
    default:
      checkOtherKind(fault);
  }
}

const KINDS =
  "error, no-answer, queued, slow, late, flapping, unit-attention, busy, port-down, short-data, corrupt-sense, nonsense-pages, vpd-page, alua, remap, capacity, write-protect, reservation, power-loss";

function checkOtherKind(
  fault: Exclude<Fault, { kind: "error" | "no-answer" | "slow" | "late" | "flapping" | "unit-attention" }>,
): void {
  switch (fault.kind) {
    case "busy":
      required("depth", fault.depth);
      number("depth", fault.depth, 0, 65_535);
      return oneOf("status", fault.status, ["busy", "task-set-full"]);
    case "port-down":
      return number("hostStatus", fault.hostStatus, 1, BYTE);
    case "short-data":
      required("missingBytes", fault.missingBytes);
      return number("missingBytes", fault.missingBytes, 0, 2 ** 31);
    case "alua":
      if (![0, 1, 2, 3, 14, 15].includes(fault.state)) throw bad("state", fault.state, "one of 0, 1, 2, 3, 14, 15");
      return number("transitionS", fault.transitionS, 0, BYTE);
    case "remap":
      required("unit", fault.unit);
      if (fault.unit !== null) number("unit", fault.unit, 0, 4095);
      return;
    case "capacity":
      required("blocks", fault.blocks);
      return number("blocks", fault.blocks, 1, 2 ** 43);
    case "reservation":
      if (!isReservationType(fault.type)) throw bad("type", fault.type, "one of 1, 3, 5, 6, 7, 8");
      return;
    case "power-loss":
      return number("keep", fault.keep, 0, 1, false);
    case "vpd-page":
      required("page", fault.page);
      number("page", fault.page, 0, BYTE);
      if (typeof fault.payload === "string" && /^([0-9a-f]{2}){0,508}$/i.test(fault.payload)) return;
      throw bad("payload", fault.payload, "an even number of hexadecimal digits, at most 1016");
    case "queued":
    case "corrupt-sense":
    case "nonsense-pages":
    case "write-protect":
      return;
    default:
      throw bad("kind", (fault as { kind?: unknown }).kind, `one of ${KINDS}`);
  }
}
