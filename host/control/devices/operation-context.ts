// What operations act on. One of each, made by the daemon.

import type { ReceiverStatus } from "../../liaison/receivers/receiver.ts";
import type { ReactorClient } from "../../reactor/reactor-client.ts";
import type { BringUp } from "./bring-up.ts";
import type { Effective } from "../settings/effective.ts";
import type { EventHub } from "../events/event-hub.ts";
import type { Inventory, Unit } from "../inventory/inventory.ts";
import type { Output } from "../schemas/routes.ts";
import type { Snapshots } from "../core/snapshots.ts";
import type { Attachment, AttachRequest } from "../schemas/unit-schema.ts";
import type { State } from "../state/state.ts";
import type { ViewSources } from "../views/views.ts";

/** The kernel's block devices that units are attached to. */
export interface Attachments {
  of(unit: Unit): Attachment[];
  attach(unit: Unit, request: AttachRequest): Promise<Attachment>;
  /** Detaches one device, or all devices of the unit. */
  detach(unit: Unit, device: string | undefined): Promise<{ left: Attachment[]; detached: string[] }>;
  /** The unit's size has changed. */
  resize(unit: Unit): Promise<void>;
}

/** Who else is told of events. */
interface Receivers {
  readonly statuses: ReceiverStatus[];
  /** Sends a test message at once: to the named one, or to all. */
  test(name: string | undefined): Promise<Output<"testReceivers">>;
}

export interface Context {
  readonly reactor: ReactorClient;
  readonly inventory: Inventory;
  readonly state: State;
  readonly hub: EventHub;
  readonly snapshots: Snapshots;
  readonly bringUp: BringUp;
  readonly attachments: Attachments;
  readonly receiving: Receivers;
  readonly effective: Effective;
  /** Sources of views over the newest copy of the tables. */
  readonly views: ViewSources;
  /** Runs one change at a time: the next begins when this one has ended. */
  change<T>(work: () => Promise<T>): Promise<T>;
  /** Units were added, removed, renamed or resized: updates what is offered. */
  offer(): void;
  /** Rescans the devices. Not to be called within a change. */
  rescan(): Promise<void>;
}
