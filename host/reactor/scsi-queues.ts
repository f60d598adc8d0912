// The reactor's SCSI devices (TCMU): each is a client of the core's block door. Reads and writes are done by the ring; what it does not
// know is answered here, and commands about reservations are passed to control.

import { PATH_BYTES, PATH_FLAG_ENABLED, PATH_FLAG_FAILED, PATH_FLAG_PRESENT, PATH_FLAGS, PATH_UNIT } from "../abi.ts";
import type { Ring } from "../native/index.ts";
import type { Core } from "./core-loader.ts";
import { coreAnswer } from "./reactor-errors.ts";
import { PERSISTENT_RESERVE_OUT, targetReply, type Presented } from "./scsi-target.ts";

/** How a device is served. */
export interface ScsiServing {
  readonly unit: number;
  /** BLOCK_* of `blockOpen`. */
  readonly flags: number;
  /** What control calls it. */
  readonly name: number;
  /** /dev/uioN, and the bytes of its mapping. */
  readonly uio: string;
  readonly bytes: number;
  readonly blocks: number;
  readonly presented: Presented;
}

/** A device that is served. */
export interface ScsiQueue {
  readonly name: number;
  readonly unit: number;
}

/** A command about reservations. */
export interface AskedReservation {
  readonly tag: number;
  /** How many times the place of its tag was used: an answer to an earlier command is nobody's. */
  readonly serial: number;
  readonly name: number;
  readonly cdb: Uint8Array;
  /** The parameter list. */
  readonly data: Uint8Array;
}

/** Control's answer. */
export interface ReservationReply {
  readonly tag: number;
  readonly serial: number;
  readonly status: number;
  readonly sense: Uint8Array;
  readonly data: Uint8Array | null;
}

interface Served {
  readonly serving: ScsiServing;
  blocks: bigint;
  client: number;
}

/** Longest parameter list of PERSISTENT RESERVE OUT, as qemu-pr-helper has it. */
const LIST_BYTES_MAX = 8192;
const STATUS_BUSY = 0x08;
/** From here down: tags of nobody's commands, which are not answered. */
const NO_TAG = 0xffff_ffff;
/** RELEASE(6), as long as the kernel passes CDBs. */
const RELEASE = Uint8Array.of(0x17, ...new Uint8Array(15));
const NO_BYTES = new Uint8Array(0);

export class ScsiQueues {
  readonly #core: Core;
  readonly #ring: Ring;
  /** By the ring's handle. */
  readonly #served = new Map<number, Served>();
  /** Not answered yet, by tag; control may end, and the next one has to know. */
  readonly #asked = new Map<number, AskedReservation & { isTaken: boolean }>();
  #serial = 0;
  /** Whether RESERVE and RELEASE of SPC-2 are carried out. */
  reserves = false;
  /** Called when there is something to ask control. */
  onAsked: () => void = () => {};
  /** Called with the name of a device that was removed by somebody else. */
  onEnded: (name: number) => void = () => {};

  constructor(core: Core, ring: Ring) {
    this.#core = core;
    this.#ring = ring;
  }

  get list(): readonly ScsiQueue[] {
    return [...this.#served.values()].map(({ serving: { name, unit } }) => ({ name, unit }));
  }

  open(serving: ScsiServing): void {
    const { exports, doorTags } = this.#core;
    const client = coreAnswer("blockOpen", exports.blockOpen(serving.unit, serving.flags));
    const { blockBytes, readOnly, unmaps } = serving.presented;
    try {
      const handle = this.#ring.addTcmu({
        device: serving.uio,
        bytes: serving.bytes,
        client,
        tagLimit: doorTags,
        blockBytes,
        blocks: BigInt(serving.blocks),
        readOnly,
        unmaps,
      });
      this.#served.set(handle, { serving, client, blocks: BigInt(serving.blocks) });
    } catch (thrown) {
      exports.blockClose(client);
      throw thrown;
    }
  }

  #find(name: number): readonly [number, Served] | undefined {
    return [...this.#served].find(([, { serving }]) => serving.name === name);
  }

  /** Its commands fail from now on, those under way too; the kernel's device is still served. */
  fail(name: number): void {
    const found = this.#find(name);
    if (found !== undefined) this.#core.exports.blockClose(found[1].client);
  }

  /** The kernel's device is not served any more. */
  close(name: number): void {
    const found = this.#find(name);
    if (found === undefined) return;
    const [handle, { client }] = found;
    this.#served.delete(handle);
    this.#ring.closeTcmu(handle);
    this.#core.exports.blockClose(client);
  }

  resize(name: number, blocks: number): void {
    const found = this.#find(name);
    if (found === undefined) return;
    found[1].blocks = BigInt(blocks);
    this.#ring.tcmuBlocks(found[0], BigInt(blocks));
  }

  attention(name: number, code: number): void {
    const found = this.#find(name);
    if (found !== undefined) this.#ring.tcmuAttention(found[0], code >> 8, code & 0xff);
  }

  /** The reactor stops: what is not answered yet is left to the next handler. */
  leave(): void {
    if (this.#served.size === 0) return;
    this.#ring.leaveTcmus();
    for (const { client } of this.#served.values()) this.#core.exports.blockClose(client);
  }

  /** After a turn that said that something is to be looked at. */
  attend(): void {
    if (this.#served.size === 0) return;
    const serial = this.#serial;
    for (let news = this.#ring.nextTcmuNews(); news !== null; news = this.#ring.nextTcmuNews()) {
      const served = this.#served.get(news.device);
      if (served === undefined) continue;
      if (news.what === "reset") this.#giveUp(news.device, served);
      else {
        this.close(served.serving.name);
        this.onEnded(served.serving.name);
      }
    }
    for (let asked = this.#ring.nextAsked(); asked !== null; asked = this.#ring.nextAsked()) {
      this.#answer(asked.tag, asked.device, asked.cdb);
    }
    if (this.#serial > serial) this.onAsked();
  }

  /**
   * A logical unit reset: what is under way ends, and so does a reservation by RESERVE, for which control is asked as if its initiator
   * had released it. Commands at the array are the core's business, as ever.
   */
  #giveUp(handle: number, served: Served): void {
    const { exports } = this.#core;
    exports.blockClose(served.client);
    const client = exports.blockOpen(served.serving.unit, served.serving.flags);
    // With no client left, commands are refused; that is no reason to end.
    if (client >= 0) served.client = client;
    this.#ring.tcmuClient(handle, served.client);
    this.#ask(NO_TAG - handle, served.serving.name, RELEASE, NO_BYTES);
  }

  #answer(tag: number, handle: number, cdb: Uint8Array): void {
    const served = this.#served.get(handle);
    if (served === undefined) return;
    const { serving, blocks } = served;
    const reply = targetReply(cdb, serving.presented, {
      blocks,
      isReady: this.#isReady(serving.unit),
      reserves: this.reserves,
    });
    if (reply !== "reservations") return this.#ring.answerAsked(tag, reply.status, reply.sense, reply.data);
    const isOut = cdb[0] === PERSISTENT_RESERVE_OUT;
    this.#ask(tag, serving.name, cdb, isOut ? this.#ring.askedData(tag, LIST_BYTES_MAX) : NO_BYTES);
  }

  #ask(tag: number, name: number, cdb: Uint8Array, data: Uint8Array): void {
    this.#asked.set(tag, { tag, serial: ++this.#serial, name, cdb, data, isTaken: false });
  }

  #isReady(unit: number): boolean {
    const { view, pathTable, limits } = this.#core;
    const both = PATH_FLAG_PRESENT | PATH_FLAG_ENABLED;
    for (let path = 0; path < limits.paths; path++) {
      const at = pathTable + path * PATH_BYTES;
      const flags = view.getUint32(at + PATH_FLAGS, true);
      if ((flags & (both | PATH_FLAG_FAILED)) === both && view.getUint32(at + PATH_UNIT, true) === unit) return true;
    }
    return false;
  }

  /**
   * What control is to answer and was not told before. @param isNew control has begun anew: nobody knows what became of what the
   * earlier one had taken, and its initiators are asked to try again
   */
  take(isNew: boolean): AskedReservation[] {
    const taken: AskedReservation[] = [];
    for (const asked of this.#asked.values()) {
      if (!asked.isTaken) {
        asked.isTaken = true;
        const { isTaken: _, ...rest } = asked;
        taken.push(rest);
      } else if (isNew) this.reply({ ...asked, status: STATUS_BUSY, sense: NO_BYTES, data: null });
    }
    return taken;
  }

  reply({ tag, serial, status, sense, data }: ReservationReply): void {
    if (this.#asked.get(tag)?.serial !== serial) return;
    this.#asked.delete(tag);
    this.#ring.answerAsked(tag, status, sense, data);
  }
}
