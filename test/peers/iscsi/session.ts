// A session with one connection: login, and the full feature phase. `Tasks` executes its SCSI commands.

import type { Socket } from "node:net";
import { type Agreement, defaults, formatText, negotiate, parseText, TARGET_SEGMENT_BYTES } from "./negotiation.ts";
import type { NexusTable } from "./nexus.ts";
import {
  DATA_OUT,
  FINAL,
  LOGIN,
  LOGIN_RESPONSE,
  LOGOUT,
  LOGOUT_RESPONSE,
  NO_TAG,
  NOP_IN,
  NOP_OUT,
  Pdu,
  PduStream,
  REJECT,
  SCSI_COMMAND,
  TASK_MANAGEMENT,
  TEXT,
  TEXT_RESPONSE,
} from "./pdu.ts";
import { Tasks } from "./tasks.ts";

/** Maximum number of commands in progress. */
const WINDOW = 32;
const REJECT_NOT_SUPPORTED = 0x05;
const REJECT_PROTOCOL_ERROR = 0x04;
const LOGIN_TARGET_NOT_FOUND = 0x0203;
const LOGIN_INITIATOR_ERROR = 0x0200;

/** What a session knows about its target. */
export interface Portal {
  readonly nexuses: NexusTable;
  /** Names of the targets; the index is the array's target port. */
  readonly targets: readonly string[];
  readonly address: string;
}

export class Session {
  readonly #socket: Socket;
  readonly #portal: Portal;
  readonly #stream = new PduStream();
  readonly agreement: Agreement = defaults();
  #tasks: Tasks | undefined = undefined;
  #closed = false;
  #initiator = "";
  #targetPort = 0;
  #statSn = 1;
  #expCmdSn = 0;
  /** Commands that arrived before one with a smaller number. */
  readonly #early = new Map<number, Pdu>();
  readonly #end = (): void => this.close();

  /** @param failed called on unexpected errors, which end the session */
  constructor(socket: Socket, portal: Portal, failed: (error: Error) => void) {
    this.#socket = socket;
    this.#portal = portal;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      try {
        this.#receive(Buffer.from(chunk));
      } catch (error) {
        failed(error instanceof Error ? error : new Error(String(error)));
        this.close();
      }
    });
    socket.on("error", this.#end);
    socket.on("close", this.#end);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.destroy();
    if (this.#tasks !== undefined) this.#portal.nexuses.close(this.#initiator, this.#targetPort, this.#end);
  }

  /** Sends a PDU with the session's sequence numbers; `counts`: it has a status sequence number of its own. */
  send(pdu: Pdu, counts: boolean): void {
    pdu
      .put32(24, this.#statSn)
      .put32(28, this.#expCmdSn)
      .put32(32, this.#expCmdSn + WINDOW - 1);
    if (counts) this.#statSn = (this.#statSn + 1) >>> 0;
    if (!this.#closed) this.#socket.write(pdu.bytes());
  }

  #receive(chunk: Buffer): void {
    this.#stream.push(chunk);
    for (let pdu = this.#stream.take(); pdu !== undefined && !this.#closed; pdu = this.#stream.take()) {
      if (this.#tasks === undefined) this.#login(pdu);
      else if (pdu.opcode === DATA_OUT) this.#tasks.dataOut(pdu);
      else if (pdu.immediate) this.#handle(pdu, this.#tasks);
      else this.#inOrder(pdu, this.#tasks);
    }
  }

  // ---- Login ----

  #login(pdu: Pdu): void {
    if (pdu.opcode !== LOGIN) return this.close();
    this.#expCmdSn = pdu.u32(24);
    const transit = (pdu.flags & 0x80) !== 0;
    const stage = (pdu.flags >>> 2) & 3;
    const next = pdu.flags & 3;
    const answers = negotiate(this.agreement, parseText(pdu.data));
    if (stage === 1) answers.push(["MaxRecvDataSegmentLength", String(TARGET_SEGMENT_BYTES)]);
    if (stage === 0) answers.push(["TargetPortalGroupTag", "1"]);
    const { initiatorName, targetName, discovery } = this.agreement;
    this.#targetPort = this.#portal.targets.indexOf(targetName);
    if (initiatorName === "") return this.#refuse(pdu, LOGIN_INITIATOR_ERROR);
    if (!discovery && this.#targetPort < 0) return this.#refuse(pdu, LOGIN_TARGET_NOT_FOUND);
    const complete = transit && next === 3;
    const reply = Pdu.of(LOGIN_RESPONSE, (transit ? 0x80 | next : 0) | (stage << 2), formatText(answers));
    reply
      .copy(pdu, 8, 6)
      .copy(pdu, 16, 4)
      .put16(14, complete ? 1 : 0);
    if (complete) this.#open(pdu);
    this.send(reply, true);
  }

  #refuse(pdu: Pdu, status: number): void {
    const reply = Pdu.of(LOGIN_RESPONSE, 0).copy(pdu, 8, 6).copy(pdu, 16, 4).put16(36, status);
    this.send(reply, true);
    this.#socket.end();
  }

  #open(pdu: Pdu): void {
    const { nexuses } = this.#portal;
    this.#initiator = `${this.agreement.initiatorName},${pdu.header.toString("hex", 8, 14)}`;
    const initiatorPort = this.agreement.discovery ? -1 : nexuses.open(this.#initiator, this.#targetPort, this.#end);
    this.#tasks = new Tasks(this, nexuses, initiatorPort, this.#targetPort);
  }

  // ---- Full feature phase ----

  /** Delivers commands in the order of their numbers; those outside the window are ignored (RFC 7143 4.2.2.1). */
  #inOrder(pdu: Pdu, tasks: Tasks): void {
    const number = pdu.u32(24);
    const ahead = (number - this.#expCmdSn) | 0;
    if (ahead < 0 || ahead >= WINDOW) return;
    this.#early.set(number, pdu);
    for (let next = this.#early.get(this.#expCmdSn); next !== undefined; next = this.#early.get(this.#expCmdSn)) {
      this.#early.delete(this.#expCmdSn);
      this.#expCmdSn = (this.#expCmdSn + 1) >>> 0;
      this.#handle(next, tasks);
    }
  }

  #handle(pdu: Pdu, tasks: Tasks): void {
    switch (pdu.opcode) {
      case SCSI_COMMAND:
        return this.agreement.discovery ? this.#reject(pdu, REJECT_PROTOCOL_ERROR) : tasks.command(pdu);
      case TASK_MANAGEMENT:
        return tasks.manage(pdu);
      case NOP_OUT:
        return this.#ping(pdu);
      case TEXT:
        return this.#text(pdu);
      case LOGOUT:
        this.send(Pdu.of(LOGOUT_RESPONSE, FINAL).copy(pdu, 16, 4), true);
        this.#socket.end();
        return;
      default:
        return this.#reject(pdu, REJECT_NOT_SUPPORTED);
    }
  }

  #ping(pdu: Pdu): void {
    if (pdu.taskTag === NO_TAG) return;
    const echo = pdu.data.subarray(0, this.agreement.initiatorSegmentBytes);
    this.send(Pdu.of(NOP_IN, FINAL, echo).copy(pdu, 8, 8).copy(pdu, 16, 4).put32(20, NO_TAG), true);
  }

  #text(pdu: Pdu): void {
    const wanted = parseText(pdu.data).get("SendTargets");
    const listed = this.#portal.targets.filter((name) => wanted === "All" || wanted === name);
    const pairs = listed.flatMap((name): [string, string][] => [
      ["TargetName", name],
      ["TargetAddress", `${this.#portal.address},1`],
    ]);
    this.send(Pdu.of(TEXT_RESPONSE, FINAL, formatText(pairs)).copy(pdu, 16, 4).put32(20, NO_TAG), true);
  }

  #reject(pdu: Pdu, reason: number): void {
    const reply = Pdu.of(REJECT, FINAL, pdu.header).put32(16, NO_TAG);
    reply.header[2] = reason;
    this.send(reply, true);
  }
}
