// PERSISTENT RESERVE IN and OUT on one path, whatever its device is. Paths that do not answer are one thing, devices that refuse
// are another.

import { hexByte } from "../../discovery/bytes.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { DIRECTION_IN, DIRECTION_OUT } from "../../abi.ts";
import { scsiCommand } from "../../native/index.ts";
import type { ReactorClient } from "../../reactor/reactor-client.ts";
import { inQueue, KERNEL_QUEUES } from "../../discovery/adapter-queues.ts";
import { attentive, senseOf, UNIT_ATTENTION, type Attention } from "../../discovery/attentions.ts";
import { emulatedPort } from "../../discovery/emulated.ts";
import { believed } from "../../discovery/native-transport.ts";
import {
  reserveInCdb,
  reserveOutCommand,
  IN_BYTES_MAX,
  type InAction,
  type ReserveOut,
} from "../../discovery/persistent-reservations.ts";
import { bounded, type ScsiResult, type ScsiTransport } from "../../discovery/transport.ts";
import { reasonOf } from "../ground/control-errors.ts";
import type { Path } from "../inventory/inventory.ts";
import { senseWords } from "../views/sense-words.ts";

/** What came of a command on a path. */
export type Outcome =
  | { readonly kind: "good"; readonly data: Uint8Array }
  | { readonly kind: "conflict" }
  /** An answer of the device, the same on whatever path it is asked. */
  | { readonly kind: "refused"; readonly sense: Uint8Array; readonly reason: string; readonly isUnknown: boolean }
  /** No answer, or none now: whether the command was carried out is not known. */
  | { readonly kind: "silent"; readonly reason: string };

/** Limit for one command; what a device has to abort for it takes its time. */
const TIMEOUT_MS = 5000;
/** The kernel may come back later than it was asked to. */
const GRACE_MS = 500;
/** Unit attentions come one at a time; a reset and a change of inventory leave several. */
const ATTENTIONS_MAX = 8;

/** Statuses by which a device asks for the command again a little later: BUSY, TASK SET FULL, TASK ABORTED (SAM-5 5.3.1). */
const LATER: ReadonlySet<number> = new Set([0x08, 0x28, 0x40]);
const LATER_TRIES_MAX = 20;
const LATER_MS = 100;

const STATUS_GOOD = 0x00;
const STATUS_CONFLICT = 0x18;
const STATUS_CHECK_CONDITION = 0x02;
const RECOVERED_ERROR = 0x01;
const NOT_READY = 0x02;
const COMMUNICATION_FAILURE = 0x08;
const ILLEGAL_REQUEST = 0x05;
const INVALID_OPERATION_CODE = 0x20;

const silent = (reason: string): Outcome => ({ kind: "silent", reason });

const isLater = ({ hostStatus, status }: ScsiResult): boolean => hostStatus === 0 && LATER.has(status);

function outcomeOf(result: ScsiResult): Outcome {
  const { status, hostStatus, data, sense } = result;
  if (hostStatus !== 0) return silent(`host status 0x${hostStatus.toString(16)}`);
  if (status === STATUS_GOOD) return { kind: "good", data };
  if (status === STATUS_CONFLICT) return { kind: "conflict" };
  if (status !== STATUS_CHECK_CONDITION) return silent(`status 0x${status.toString(16)}`);
  const { key, asc, ascq } = senseOf(result);
  if (key === RECOVERED_ERROR) return { kind: "good", data };
  const code = [key.toString(16), hexByte(asc), hexByte(ascq)].join("/");
  const words = senseWords(asc, ascq);
  const reason = words === null ? code : `${code}, ${words}`;
  // The kernel's target says "communication failure" where it has no place for what has to persist through power loss.
  const isNow = key === NOT_READY && asc !== COMMUNICATION_FAILURE;
  if (isNow || key === UNIT_ATTENTION) return silent(reason);
  return { kind: "refused", sense, reason, isUnknown: key === ILLEGAL_REQUEST && asc === INVALID_OPERATION_CODE };
}

export class PathCommands {
  readonly #reactor: Pick<ReactorClient, "arrayCommand">;
  readonly #onAttention: (path: Path, attention: Attention) => void;

  /** @param onAttention hears of what a device told these commands and nobody else will hear */
  constructor(reactor: Pick<ReactorClient, "arrayCommand">, onAttention: (path: Path, attention: Attention) => void) {
    this.#reactor = reactor;
    this.#onAttention = onAttention;
  }

  ask(path: Path, action: InAction, bytes = IN_BYTES_MAX): Promise<Outcome> {
    return this.#send(path, reserveInCdb(action, bytes), bytes);
  }

  order(path: Path, out: ReserveOut): Promise<Outcome> {
    const { cdb, list } = reserveOutCommand(out);
    return this.#send(path, cdb, list);
  }

  /** A command without data. */
  bare(path: Path, cdb: Uint8Array): Promise<Outcome> {
    return this.#send(path, cdb, 0);
  }

  async #send(path: Path, cdb: Uint8Array, data: Uint8Array | number): Promise<Outcome> {
    const device = path.found?.device;
    if (device === undefined) return silent("its device is gone");
    const to = attentive(this.#transport(device, data), (_, attention) => this.#onAttention(path, attention));
    try {
      for (let [attentions, laters] = [0, 0]; ;) {
        const result = await this.#within(path, to, (on) => on.command(device, cdb, 0, TIMEOUT_MS));
        if (result === null) return silent("other devices of its host answer nothing");
        if (isLater(result) && laters++ < LATER_TRIES_MAX) await sleep(LATER_MS);
        else if (senseOf(result).key !== UNIT_ATTENTION || attentions++ >= ATTENTIONS_MAX) return outcomeOf(result);
      }
    } catch (thrown) {
      return silent(reasonOf(thrown));
    }
  }

  #transport(device: string, data: Uint8Array | number): ScsiTransport {
    const port = emulatedPort(device);
    if (port !== null) return { command: (_, cdb) => this.#reactor.arrayCommand(port, cdb, data) };
    const direction = typeof data === "number" ? DIRECTION_IN : DIRECTION_OUT;
    return {
      command: async (_, cdb, __, timeoutMs) => {
        const sent = scsiCommand(device, cdb, direction, data, timeoutMs);
        return believed(await bounded(sent, timeoutMs + GRACE_MS, () => "PERSISTENT RESERVE"));
      },
    };
  }

  /** Devices of a kernel's host adapter have a queue, where each silent one blocks a thread. */
  #within<T>(path: Path, to: ScsiTransport, work: (on: ScsiTransport) => Promise<T>): Promise<T | null> {
    const isEmulated = emulatedPort(path.found?.device ?? "") !== null;
    return isEmulated ? work(to) : inQueue(KERNEL_QUEUES, path.number, TIMEOUT_MS, to, work);
  }
}
