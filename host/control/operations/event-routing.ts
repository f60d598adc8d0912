// Where events go: what the core, its snapshots and the NBD server report reaches the parts that act on it, and the log.

import * as abi from "../../abi.ts";
import type { ConnectionRoom } from "../../export/connection-limit.ts";
import type { NbdServerEvent } from "../../export/server.ts";
import type { CoreEvent } from "../../reactor/decode-records.ts";
import type { Keeper } from "../core/keeper.ts";
import type { Snapshot } from "../core/snapshot.ts";
import type { Snapshots } from "../core/snapshots.ts";
import type { BringUp } from "../devices/bring-up.ts";
import type { PathWatch } from "../devices/path-watch.ts";
import type { Rescans } from "../devices/rescans.ts";
import { messageOf } from "../events/core-events.ts";
import type { EventHub } from "../events/event-hub.ts";
import type { RedundancyWatch } from "../events/redundancy-watch.ts";
import type { ThinThreshold } from "../events/thin-threshold.ts";
import type { Logger } from "../ground/logger.ts";
import type { Inventory } from "../inventory/inventory.ts";
import type { Reservations } from "../reservations/unit-reservations.ts";
import type { UntrustedClients } from "../tls/untrusted.ts";
import type { RememberedAttachments } from "./attachments.ts";
import type { UnitConnections } from "./unit-connections.ts";

/** Who is told. */
export interface Listeners {
  readonly hub: EventHub;
  readonly inventory: Inventory;
  readonly snapshots: Pick<Snapshots, "forDisplay">;
  readonly bringUp: BringUp;
  readonly attachments: RememberedAttachments;
  readonly rescans: Rescans;
  readonly reservations: Pick<Reservations, "asked" | "conflicted" | "check">;
  readonly connections: UnitConnections;
  readonly room: ConnectionRoom;
  readonly redundancy: RedundancyWatch;
  readonly pathWatch: PathWatch;
  readonly thin: ThinThreshold;
  readonly untrusted: UntrustedClients;
  readonly logger: Logger;
  readonly keeper: Keeper | undefined;
}

/** Events after which devices may have changed. */
const CALLS_FOR_RESCAN: ReadonlySet<number> = new Set([
  abi.EVENT_CAPACITY_CHANGED,
  abi.EVENT_INQUIRY_CHANGED,
  abi.EVENT_WRONG_UNIT,
]);

export class EventRouting {
  readonly #to: Listeners;
  /** Events that the core had no room for, as last reported. */
  #eventsLost = 0;
  #isStopped = false;

  constructor(to: Listeners) {
    this.#to = to;
  }

  /** The number that the core had lost before; an earlier control has reported those. */
  startFrom({ eventsLost }: Snapshot): void {
    this.#eventsLost = eventsLost;
  }

  /** The state file takes nothing more of what the core decides about paths. */
  stop(): void {
    this.#isStopped = true;
    this.#to.redundancy.stop();
  }

  lost(events: number, by: "core" | "control"): void {
    this.#to.hub.say("events-lost", { detail: { events, by } });
  }

  onCoreEvents(events: readonly CoreEvent[]): void {
    const { attachments, bringUp, connections, hub, inventory, keeper, rescans, room, snapshots, thin } = this.#to;
    const nowMs = Date.now();
    for (const event of events) {
      if (event.kind === abi.EVENT_CONNECTION_CLOSED) {
        attachments.connectionClosed(event.arg0);
        connections.closed(event.arg0);
        room.closed(event.arg0);
      }
      if (event.kind === abi.EVENT_BLOCK_CLOSED) attachments.clientClosed(event.arg0);
      if (event.kind === abi.EVENT_THIN_THRESHOLD && event.path !== null) {
        thin.toldBy(inventory.pathOfHandle(event.path));
      }
      this.#heedReservations(event);
      const message = bringUp.isLeft(event.unit) ? null : messageOf(event, inventory, nowMs);
      if (message !== null) hub.publish(message);
      if (CALLS_FOR_RESCAN.has(event.kind)) rescans.soon();
    }
    const noted = keeper?.noting();
    if (noted !== undefined) hub.whenStored(noted);
    void snapshots.forDisplay();
  }

  #heedReservations({ kind, path: handle, arg0, arg1 }: CoreEvent): void {
    const path = handle === null ? undefined : this.#to.inventory.pathOfHandle(handle);
    if (path === undefined || this.#isStopped) return;
    if (kind === abi.EVENT_REGISTRATION_ASKED) this.#to.reservations.asked(path, arg1, arg0);
    if (kind === abi.EVENT_RESERVATION_CONFLICT) this.#to.reservations.conflicted(path, arg0);
  }

  onSnapshot(snapshot: Snapshot): void {
    const { bringUp, inventory, pathWatch, redundancy, reservations } = this.#to;
    const lost = snapshot.eventsLost - this.#eventsLost;
    if (lost > 0) this.lost(lost, "core");
    this.#eventsLost = snapshot.eventsLost;
    bringUp.closePorts(snapshot);
    redundancy.check(inventory, snapshot);
    if (this.#isStopped) return;
    bringUp.placement.loads.learn(snapshot);
    pathWatch.check(snapshot);
    reservations.check(snapshot);
  }

  onNbd(event: NbdServerEvent): void {
    const { logger, untrusted } = this.#to;
    if (event.kind === "error") logger.warning(`NBD: ${event.error.message}`);
    else if (event.kind === "untrusted") untrusted.tell(event.peer, event.reason);
    else if (event.kind === "connected") logger.debug(`NBD client ${event.peer}: connection ${event.connection}`);
    else logger.debug(`NBD client ${event.peer}: ${event.reason}`);
  }
}
