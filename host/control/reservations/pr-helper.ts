// qemu-pr-helper's protocol (QEMU, docs/interop/pr-helper.rst): a guest's PERSISTENT RESERVE commands come with a descriptor of the
// device they are for, and are carried out for its unit. All numbers are big-endian.
//
// A client is not trusted: whatever it sends, it gets an answer or loses its connection, and nobody else notices.

import { closeSync, fstatSync, type Stats } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { IN_BYTES_MAX, PERSISTENT_RESERVE_OUT } from "../../discovery/persistent-reservations.ts";
import { closeDescriptor, duplicate, receiveMessage, writeNow } from "../../native/index.ts";
import { reasonOf } from "../ground/control-errors.ts";
import { INVALID_FIELD_IN_CDB } from "./reservation-parts.ts";
import { refused, reservationReply, type ReservationService, type ScsiReply } from "./scsi-reply.ts";

const CDB_BYTES = 16;
const FLAGS_BYTES = 4;
const HEAD_BYTES = 104;
const SENSE_AT = 8;
/** QEMU has one connection for each `-object`. */
const CLIENTS_MAX = 48;
/** How often a waiting client's thread looks whether the daemon ends. */
const WAIT_MS = 500;
/** A client that has begun a message has to end it. */
const MESSAGE_MS_MAX = 5000;

/** A device as a descriptor shows it. */
export interface DeviceId {
  readonly isBlock: boolean;
  readonly major: number;
  readonly minor: number;
}

/** As glibc's gnu_dev_major and gnu_dev_minor, for numbers of 32 bits. */
export function deviceId(stats: Stats): DeviceId {
  const { rdev } = stats;
  const minor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff00);
  return { isBlock: stats.isBlockDevice(), major: (rdev >>> 8) & 0xfff, minor };
}

/** What the helper asks the daemon for. */
export interface HelperUnits<U> extends ReservationService<U> {
  /** The unit that a device belongs to; undefined when it is none of ours. */
  unitOf(device: DeviceId): U | undefined;
}

function packed({ status, sense, data }: ScsiReply): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + (data?.length ?? 0));
  const view = new DataView(bytes.buffer);
  view.setInt32(0, status);
  view.setInt32(4, data?.length ?? 0);
  if (sense !== undefined) bytes.set(sense.subarray(0, HEAD_BYTES - SENSE_AT), SENSE_AT);
  if (data !== undefined) bytes.set(data, HEAD_BYTES);
  return bytes;
}

/** The client has gone, or does not keep to the protocol. */
class Ended extends Error {}

export class PrHelper<U> {
  readonly #units: HelperUnits<U>;
  readonly #warn: (problem: string) => void;
  readonly server: Server;
  readonly #clients = new Set<Promise<void>>();
  #isStopped = false;

  constructor(units: HelperUnits<U>, warn: (problem: string) => void) {
    this.#units = units;
    this.#warn = warn;
    // Node must not read: it would drop the descriptors.
    this.server = createServer({ pauseOnConnect: true }, (socket) => this.#enter(socket));
  }

  /** Ends every connection; a command under way is carried out. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.server.listening) this.server.close();
    await Promise.all(this.#clients);
  }

  #enter(socket: Socket): void {
    const handle: unknown = Reflect.get(socket, "_handle");
    const hasRoom = this.#clients.size < CLIENTS_MAX && !this.#isStopped;
    if (
      !hasRoom ||
      typeof handle !== "object" ||
      handle === null ||
      !("fd" in handle) ||
      typeof handle.fd !== "number"
    ) {
      if (!hasRoom) this.#warn(`a client of sockets.pr_helper is refused: there are ${CLIENTS_MAX} already`);
      socket.destroy();
      return;
    }
    const channel = duplicate(handle.fd);
    socket.destroy();
    const served = this.#serve(channel).catch((thrown) => {
      if (!(thrown instanceof Ended)) this.#warn(`sockets.pr_helper: ${reasonOf(thrown)}`);
    });
    this.#clients.add(served);
    void served.finally(() => {
      closeDescriptor(channel);
      this.#clients.delete(served);
    });
  }

  async #serve(channel: number): Promise<void> {
    // No features on either side.
    send(channel, new Uint8Array(FLAGS_BYTES));
    const features = await this.#receive(channel, FLAGS_BYTES);
    for (const fd of features.fds) closeSync(fd);
    if (features.bytes.some((byte) => byte !== 0)) throw new Ended("it wants features that there are not");
    for (;;) {
      const { bytes: cdb, fds } = await this.#receive(channel, CDB_BYTES);
      try {
        const list = await this.#list(channel, cdb);
        send(channel, packed(await this.#carryOut(cdb, list, fds)));
      } finally {
        for (const fd of fds) closeSync(fd);
      }
    }
  }

  /** The parameter list that follows the command. */
  async #list(channel: number, cdb: Uint8Array): Promise<Uint8Array> {
    const length = ((cdb[7] ?? 0) << 8) | (cdb[8] ?? 0);
    if (cdb[0] !== PERSISTENT_RESERVE_OUT || length === 0) return new Uint8Array(0);
    if (length > IN_BYTES_MAX) throw new Ended("its parameter list is too long");
    const { bytes, fds } = await this.#receive(channel, length, true);
    for (const fd of fds) closeSync(fd);
    return bytes;
  }

  /** @param isBegun the client is within a message */
  async #receive(
    channel: number,
    length: number,
    isBegun = false,
  ): Promise<{ bytes: Uint8Array; fds: readonly number[] }> {
    const bytes = new Uint8Array(length);
    const fds: number[] = [];
    let beganMs = isBegun ? performance.now() : null;
    try {
      for (let at = 0; at < length;) {
        const given = await receiveMessage(channel, length - at, WAIT_MS);
        if (typeof given?.fd === "number") fds.push(given.fd);
        if (this.#isStopped || given?.data.length === 0) throw new Ended("it has gone");
        if (given !== null) {
          bytes.set(given.data, at);
          at += given.data.length;
          beganMs ??= performance.now();
        }
        if (fds.length > 1) throw new Ended("it sends more than one descriptor");
        if (at < length && beganMs !== null && performance.now() - beganMs > MESSAGE_MS_MAX) {
          throw new Ended("it does not end what it began");
        }
      }
      return { bytes, fds };
    } catch (thrown) {
      for (const fd of fds) closeSync(fd);
      throw thrown instanceof Ended ? thrown : new Ended(reasonOf(thrown));
    }
  }

  async #carryOut(cdb: Uint8Array, list: Uint8Array, [fd]: readonly number[]): Promise<ScsiReply> {
    const unit = fd === undefined ? undefined : this.#units.unitOf(deviceId(fstatSync(fd)));
    if (unit === undefined) return refused(INVALID_FIELD_IN_CDB);
    return reservationReply(this.#units, unit, cdb, list, (problem) => this.#warn(`sockets.pr_helper: ${problem}`));
  }
}

/** An answer fits into a socket's buffer, unless nobody reads. */
function send(channel: number, bytes: Uint8Array): void {
  if (writeNow(channel, bytes) !== bytes.length) throw new Ended("it does not read its answers");
}
