// The questions of one probe, in sequence, under one deadline. "The device has no such page" and "it could not be read now" are
// different answers: a page that is temporarily unreadable says nothing about the unit's identity.

import { setTimeout as sleep } from "node:timers/promises";
import { senseOf, UNIT_ATTENTION, type Sense } from "./attentions.ts";
import { hexByte } from "./bytes.ts";
import type { Parsed, ScsiResult, ScsiTransport } from "./transport.ts";

/** What a device made of one question. */
export type Answer<T> =
  | { readonly kind: "said"; readonly value: T }
  /** It has no such page or command, and will say so each time. */
  | { readonly kind: "lacks"; readonly reason: string }
  /** It could not be read, which may change in a moment. */
  | { readonly kind: "not-now"; readonly reason: string };

/** Pauses before the question is repeated; after the last one the answer stands. */
export type Patience = readonly number[];
/** For pages that identify the unit. */
export const PATIENT: Patience = [30, 60, 120, 240, 480];
/** For what the device may lack, and another scan may find. */
export const BRIEF: Patience = [30, 60];
/** The same, where a refused question is replaced by another one: the refusal must persist. */
export const FIRM: Patience = [30, 60];
/** A refusal repeated this often persists. */
const REFUSALS_MIN = 3;
/** Unit attentions come one at a time; a reset and a change of inventory leave several. */
const ATTENTIONS_MAX = 8;

const RECOVERED_ERROR = 0x01;
const NOT_READY = 0x02;
const ILLEGAL_REQUEST = 0x05;
const INVALID_OPERATION_CODE = 0x20;
const INVALID_FIELD_IN_CDB = 0x24;
const STATUS_GOOD = 0x00;
const STATUS_CHECK_CONDITION = 0x02;
const STATUS_CONDITION_MET = 0x04;
/** DID_* that do not put the path itself in doubt: BUS_BUSY, ABORT, PARITY, ERROR, RESET, ... up to REQUEUE. */
const HOST_STATUS_PASSES = new Set([0x02, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d]);

/** The device cannot be reached at all: there is no path, or it answers too slowly. */
class Unreachable extends Error {}

export class Conversation {
  readonly #transport: ScsiTransport;
  readonly #device: string;
  readonly #deadlineMs: number;
  readonly problems: string[] = [];
  /** The command under way. */
  asking = "";

  constructor(transport: ScsiTransport, device: string, budgetMs: number) {
    this.#transport = transport;
    this.#device = device;
    this.#deadlineMs = performance.now() + budgetMs;
  }

  get #leftMs(): number {
    return Math.ceil(this.#deadlineMs - performance.now());
  }

  /**
   * Sends a command, repeats it after a unit attention and after temporary errors, and gives its data to `parse`.
   * @throws Unreachable when nothing answers
   */
  async ask<T>(
    what: string,
    cdb: Uint8Array,
    bytes: number,
    parse: (data: Uint8Array) => Parsed<T>,
    patience = PATIENT,
  ): Promise<Answer<T>> {
    let attentions = 0;
    let refusals = 0;
    for (let tries = 0; ; tries++) {
      const result = await this.#send(what, cdb, bytes);
      const sense = senseOf(result);
      if (sense.key === UNIT_ATTENTION && attentions++ < ATTENTIONS_MAX) {
        tries--;
        continue;
      }
      const answer = understand(what, result, sense, parse);
      if (answer.kind === "said") return answer;
      refusals = answer.kind === "lacks" ? refusals + 1 : 0;
      const pauseMs = patience[tries];
      const isFinal = refusals >= REFUSALS_MIN || isLasting(answer, sense, patience);
      if (isFinal || pauseMs === undefined || pauseMs >= this.#leftMs) return answer;
      await sleep(pauseMs);
    }
  }

  /** The same for what a device may lack: null, with a problem when there was no answer. */
  async askOptional<T>(what: string, cdb: Uint8Array, bytes: number, parse: (data: Uint8Array) => Parsed<T>) {
    return this.orNull(await this.ask(what, cdb, bytes, parse, BRIEF));
  }

  /** The answer, or null with a problem. */
  orNull<T>(answer: Answer<T>): T | null {
    if (answer.kind === "said") return answer.value;
    this.problems.push(answer.reason);
    return null;
  }

  async #send(what: string, cdb: Uint8Array, bytes: number): Promise<ScsiResult> {
    const leftMs = this.#leftMs;
    if (leftMs <= 0) throw new Unreachable(`${what}: no time left, the device answers too slowly`);
    this.asking = what;
    const result = await this.#transport.command(this.#device, cdb, bytes, leftMs);
    if (result.hostStatus !== 0 && !HOST_STATUS_PASSES.has(result.hostStatus)) {
      throw new Unreachable(`${what}: host status 0x${result.hostStatus.toString(16)}`);
    }
    return result;
  }
}

/** Whether the failure of an optional question would be the same in a moment: standby lasts, and so does a missing page. */
function isLasting(answer: Answer<unknown>, { key }: Sense, patience: Patience): boolean {
  if (patience === PATIENT) return false;
  return key === NOT_READY || (patience === BRIEF && answer.kind === "lacks");
}

function understand<T>(
  what: string,
  result: ScsiResult,
  { key, asc }: Sense,
  parse: (data: Uint8Array) => Parsed<T>,
): Answer<T> {
  const { status, hostStatus } = result;
  const isGood = status === STATUS_GOOD || status === STATUS_CONDITION_MET || key === RECOVERED_ERROR;
  if (hostStatus === 0 && isGood) {
    const answer = parse(result.data);
    return answer.ok ? { kind: "said", value: answer.value } : { kind: "not-now", reason: answer.reason };
  }
  const reason = `${what}: ${outcome(result)}`;
  const isRefused = key === ILLEGAL_REQUEST && (asc === INVALID_OPERATION_CODE || asc === INVALID_FIELD_IN_CDB);
  return hostStatus === 0 && isRefused ? { kind: "lacks", reason } : { kind: "not-now", reason };
}

function outcome(result: ScsiResult): string {
  if (result.hostStatus !== 0) return `host status 0x${result.hostStatus.toString(16)}`;
  if (result.status !== STATUS_CHECK_CONDITION) return `status 0x${hexByte(result.status)}`;
  const { key, asc, ascq } = senseOf(result);
  return `sense ${key.toString(16)}/${hexByte(asc)}/${hexByte(ascq)}`;
}
