// What the API asks of a unit's reservations.

import { NO_KEY } from "../../discovery/persistent-reservations.ts";
import type { Inventory } from "../inventory/inventory.ts";
import type { Input, Output } from "../schemas/routes.ts";
import type { Reservations } from "./unit-reservations.ts";

export interface ReservationContext {
  readonly inventory: Inventory;
  readonly reservations: Reservations;
}

/** Carries out PERSISTENT RESERVE OUT; a key that is left out is the one this host has. */
export async function orderReservation(
  { inventory, reservations }: ReservationContext,
  { params, body }: Input<"orderReservation">,
): Promise<Output<"orderReservation">> {
  const unit = inventory.unit(params.n);
  const own = reservations.registrationOf(unit);
  const { action, serviceActionKey, type, aptpl, allTargetPorts } = body;
  await reservations.order(unit, {
    action,
    key: body.key ?? (own?.state === "registered" ? own.key : NO_KEY),
    ...(serviceActionKey === undefined ? {} : { serviceActionKey }),
    ...(type === undefined ? {} : { type }),
    ...(aptpl === undefined ? {} : { aptpl }),
    ...(allTargetPorts === undefined ? {} : { allTargetPorts }),
  });
  return reservations.view(unit);
}

export async function askReservation(
  { inventory, reservations }: ReservationContext,
  { params, query }: Input<"askReservation">,
): Promise<Output<"askReservation">> {
  const data = await reservations.ask(inventory.unit(params.n), query.action, query.bytes);
  return { data: Buffer.from(data).toString("hex") };
}
