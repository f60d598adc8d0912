// How clients get in: NBD on its sockets, and qemu-pr-helper's protocol on one of its own.

import type { ConnectionRoom } from "../../export/connection-limit.ts";
import { NbdServer, type NbdServerOptions } from "../../export/server.ts";
import { duplicate } from "../../native/index.ts";
import type { ReactorClient } from "../../reactor/reactor-client.ts";
import type { Attachments } from "../devices/operation-context.ts";
import type { Descriptors } from "../events/descriptors.ts";
import type { EventHub } from "../events/event-hub.ts";
import type { Keeping } from "../events/keeping.ts";
import { reasonOf } from "../ground/control-errors.ts";
import { listenPlain } from "../ground/listen.ts";
import type { Logger } from "../ground/logger.ts";
import type { Inventory, Unit } from "../inventory/inventory.ts";
import { helperUnits } from "../reservations/helper-units.ts";
import { PrHelper } from "../reservations/pr-helper.ts";
import type { Reservations } from "../reservations/unit-reservations.ts";
import type { Configuration } from "../schemas/configuration-schema.ts";
import { NbdAccess } from "../tls/nbd-access.ts";
import type { TlsSources } from "../tls/sources.ts";
import { exportsOf, handTo, listenNbd } from "./offering.ts";
import type { UnitConnections } from "./unit-connections.ts";

interface DoorParts {
  readonly reactor: ReactorClient;
  readonly connections: UnitConnections;
  readonly room: ConnectionRoom;
  readonly hub: EventHub;
  readonly logger: Logger;
  readonly inventory: Inventory;
  readonly attachments: Pick<Attachments, "of">;
  readonly reservations: Reservations;
  readonly descriptors: Descriptors;
  readonly onNbd: NonNullable<NbdServerOptions["onEvent"]>;
}

interface Openings {
  readonly nbdSocket: string;
  readonly prHelper: string | undefined;
  /** Who may use NBD's socket; null for root alone. */
  readonly group: number | null;
  readonly keeping: Keeping;
}

export class FrontDoors {
  /** NBD's address on TCP; null when there is none. */
  nbdTcp: string | null = null;
  readonly #parts: DoorParts;
  readonly #nbd: NbdServer;
  #access: NbdAccess | null = null;
  #helper: PrHelper<Unit> | null = null;

  constructor(parts: DoorParts) {
    const { reactor, connections, room, hub, descriptors, onNbd } = parts;
    this.#parts = parts;
    this.#nbd = new NbdServer({
      room,
      hand: handTo(connections),
      // Its answer comes behind the news of connections that closed before.
      settled: () => reactor.load(),
      duplicate,
      refusalOf: (socket) => descriptors.refusalOf(socket),
      onEvent: onNbd,
      onRefused: (why, peer) => hub.say("nbd-client-refused", { detail: { why, peer } }),
    });
  }

  /** NBD clients refused for lack of room, by reason. */
  get nbdRefused(): NbdServer["refused"] {
    return this.#nbd.refused;
  }

  /** Reads certificates and keys. @throws ControlError when a file named in the configuration is not usable */
  prepare({ sockets }: Configuration, sources: TlsSources): void {
    if (sockets.nbd_tcp === undefined) return;
    const { hub } = this.#parts;
    this.#access = new NbdAccess(sockets.nbd_tcp, (error) =>
      hub.say("tls-ended", { detail: { reason: error.message } }),
    );
    sources.add(this.#access);
  }

  /** Lets clients in. @throws ControlError SOCKET */
  async open({ nbdSocket, prHelper, group, keeping }: Openings): Promise<void> {
    this.nbdTcp = await listenNbd(this.#nbd, this.#access, nbdSocket, group);
    await keeping.keep({ what: "NBD", path: nbdSocket, again: () => this.#nbd.listenAgain(nbdSocket) });
    if (prHelper === undefined) return;
    this.#helper = new PrHelper(helperUnits(this.#parts), this.#parts.logger.warning);
    await listenPlain(this.#helper.server, { path: prHelper, group: null, who: "owner" });
  }

  /** Offers every unit that the core has. */
  offer(): void {
    try {
      this.#nbd.setExports(exportsOf(this.#parts.inventory));
    } catch (thrown) {
      this.#parts.logger.error(`not everything can be offered: ${reasonOf(thrown)}`);
    }
  }

  /** Lets nobody in any more. Connections of the reactor go on. */
  async close(): Promise<void> {
    await this.closeHelper();
    await this.#nbd.close();
  }

  async closeHelper(): Promise<void> {
    await this.#helper?.stop();
  }

  /** After the reactor's end: nothing is encrypted any more. */
  async end(): Promise<void> {
    await this.#access?.close();
  }
}
