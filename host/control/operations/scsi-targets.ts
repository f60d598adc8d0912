// Units as SCSI devices: what they present is read over one of their paths, and what initiators ask about reservations is carried out
// for the unit.

import { emulatedPort, emulatedTransport } from "../../discovery/emulated.ts";
import { nativeTransport } from "../../discovery/native-transport.ts";
import { unitPages, type UnitPages } from "../../discovery/unit-pages.ts";
import type { ReactorClient } from "../../reactor/reactor-client.ts";
import { reasonOf } from "../ground/control-errors.ts";
import type { Inventory, Unit } from "../inventory/inventory.ts";
import { reservationReply, type LegacyService, type ReservationService } from "../reservations/scsi-reply.ts";
import type { Effective } from "../settings/effective.ts";

/** Limit for each of the commands that read a page. */
const PAGE_MS_MAX = 2000;
const NO_BYTES = new Uint8Array(0);
const STATUS_BUSY = 0x08;

/** The daemon; its parts are there when they are needed. */
interface TargetContext {
  readonly reactor: ReactorClient;
  readonly inventory: Inventory;
  readonly effective: Effective;
  readonly reservations: ReservationService<Unit> & LegacyService<Unit>;
  readonly attachments: { targetEnded(name: number): void };
}

/** What a unit's device is made of. */
export interface TargetOffer {
  readonly pages: UnitPages;
  /** The longest that a request may take in the core. */
  readonly requestMs: number;
}

export class ScsiTargets {
  readonly #context: TargetContext;
  readonly #warn: (problem: string) => void;

  constructor(context: TargetContext, warn: (problem: string) => void) {
    this.#context = context;
    this.#warn = warn;
    context.reactor.onTarget((reactor, ended) => {
      if (ended === null) void this.asked(reactor);
      else context.attachments.targetEnded(ended);
    });
  }

  /** @throws when no path answers */
  async offerOf(unit: Unit): Promise<TargetOffer> {
    const { ioMs, noPathMs } = this.#context.effective.timeouts(unit);
    const requestMs = Math.max(ioMs, noPathMs);
    let problem = "it has no path";
    for (const { found } of unit.paths.values()) {
      if (found === null) continue;
      const isEmulated = emulatedPort(found.device) !== null;
      const transport = isEmulated ? emulatedTransport(this.#context.reactor) : nativeTransport;
      try {
        return { pages: await unitPages(transport, found.device, PAGE_MS_MAX), requestMs };
      } catch (thrown) {
        problem = reasonOf(thrown);
      }
    }
    throw new Error(`who the unit is cannot be read over any path: ${problem}`);
  }

  /** This control begins: what an earlier one was asked and did not answer is asked again by its initiators. */
  async begin(): Promise<void> {
    const { reactor } = this.#context;
    await Promise.all(reactor.present.map((one) => this.asked(one, true)));
  }

  /** A reactor has commands about reservations. Never rejects. */
  async asked(reactor: number, isNew = false): Promise<void> {
    const { reactor: client } = this.#context;
    try {
      const asked = await client.scsiAsked(reactor, isNew);
      // Units have queues of their own: one that is slow does not delay others.
      await Promise.all(
        asked.map(async ({ tag, serial, name, cdb, data }) => {
          const { status, sense, data: read } = await this.#reply(name, cdb, data);
          await client.scsiReply(reactor, { tag, serial, status, sense: sense ?? NO_BYTES, data: read ?? null });
        }),
      );
    } catch (thrown) {
      this.#warn(`a SCSI device's command about reservations is not answered: ${reasonOf(thrown)}`);
    }
  }

  async #reply(number: number, cdb: Uint8Array, data: Uint8Array): ReturnType<typeof reservationReply> {
    const { inventory, reservations } = this.#context;
    const unit = inventory.units().find((one) => one.number === number);
    if (unit === undefined) return { status: STATUS_BUSY };
    const told = new DataView(cdb.buffer, cdb.byteOffset, cdb.byteLength).getUint32(5);
    return reservationReply(reservations, unit, cdb, data.subarray(0, told), (problem) =>
      this.#warn(`the SCSI device of LogicalUnit #${number}: ${problem}`),
    );
  }
}
