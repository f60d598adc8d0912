// `pathctl reservation`: persistent reservations of a unit as a whole.

import type { Command } from "commander";

import type { ReservationOrder, ReservationView } from "../../control/schemas/reservation-schema.ts";
import { keyOf, RESERVATION_TYPES } from "../../discovery/persistent-reservations.ts";
import { CommandError } from "../api-client.ts";
import { unitKey, wholeValue } from "../values.ts";
import { branch, leaf, perform, type CommonOptions, type Context, type Result, type Runner } from "./context.ts";

interface RegisterOptions extends CommonOptions {
  readonly ignore?: boolean;
  readonly aptpl?: boolean;
  readonly allTargetPorts?: boolean;
}

interface PreemptOptions extends CommonOptions {
  readonly abort?: boolean;
  readonly type?: string;
}

const TYPES = [...RESERVATION_TYPES].map(([type, name]) => `${type} ${name}`).join("; ");

function keyValue(name: string, text: string): string {
  const key = keyOf(text);
  if (key !== null && key !== "0x0") return key;
  const rule = "a key is 1 to 16 hexadecimal digits, not all of them 0, with or without 0x in front";
  throw new CommandError("INVALID_REQUEST", `${name}: ${rule}, not ${text}`);
}

function typeValue(text: string): number {
  const type = wholeValue("type", text, 1, 8);
  if (RESERVATION_TYPES.has(type)) return type;
  throw new CommandError("INVALID_REQUEST", `type: there is no type ${text}; the types are ${TYPES}`);
}

function reservationText(view: ReservationView): string {
  const { device } = view;
  const own = view.state === "none" ? "not registered" : `${view.state} with key ${view.key ?? ""}`;
  const power = view.persistsThroughPowerLoss ? ", kept through power loss" : "";
  const lines = [`#${view.unit}  this host: ${own}${power}`];
  if (view.type !== null) {
    lines.push(
      `    holds: ${RESERVATION_TYPES.get(view.type) ?? ""} (type ${view.type}), by path ${view.holder ?? "unknown"}`,
    );
  }
  const without = view.paths.filter(({ registered }) => !registered).map(({ number }) => number);
  if (view.state === "registered" && without.length > 0) lines.push(`    not registered yet: ${without.join(" ")}`);
  if (view.state === "preempted")
    lines.push("    another host removed the key: no I/O until you register again, or unregister");
  if (device === null) return `${lines.join("\n")}\n    device: ${view.problem ?? ""}\n`;
  const counts = [...Map.groupBy(device.keys, (key) => key)].map(([key, all]) => `${key} x ${all.length}`);
  lines.push(
    `    keys at the device: ${counts.length === 0 ? "none" : counts.join(", ")} (generation ${device.generation})`,
  );
  const { held } = device;
  const by = held?.key === "0x0" ? "all registrants" : held?.key;
  const name =
    held === null ? "" : `${RESERVATION_TYPES.get(held.type) ?? "unknown"} (type ${held.type}), by ${by ?? ""}`;
  lines.push(`    reservation at the device: ${held === null ? "none" : name}`);
  return `${lines.join("\n")}\n`;
}

async function order({ client }: Context, unit: string, body: ReservationOrder): Promise<Result> {
  const view = await client.call<ReservationView>("POST", `/v1/units/${unitKey(unit)}/reservation`, body);
  return { json: view, text: reservationText(view) };
}

const UNIT = "<unit>";
const SCHEMA = "ReservationView";

function addRegistering(parent: Command, runner: Runner): void {
  leaf(
    parent,
    `register ${UNIT} <key>`,
    "register this host's key on every path of a unit, or change it",
    "pathctl reservation register 0 0x123abc",
    SCHEMA,
  )
    .option("--ignore", "whatever key the paths are registered with now")
    .option("--no-aptpl", "forget the registration when the array loses power")
    .option("--all-target-ports", "register for target ports that no path leads to, too, if the array can")
    .action((unit: string, key: string, options: RegisterOptions) =>
      perform(runner, options, (context) =>
        order(context, unit, {
          action: options.ignore === true ? "register-ignore" : "register",
          serviceActionKey: keyValue("key", key),
          ...(options.aptpl === false ? { aptpl: false } : {}),
          ...(options.allTargetPorts === true ? { allTargetPorts: true } : {}),
        }),
      ),
    );
  leaf(
    parent,
    `unregister ${UNIT}`,
    "remove this host's key from every path of a unit; a unit that was preempted may be used again",
    "pathctl reservation unregister 0",
    SCHEMA,
  ).action((unit: string, options: CommonOptions) =>
    perform(runner, options, (context) => order(context, unit, { action: "register", serviceActionKey: "0x0" })),
  );
}

/** Adds the commands. */
export function addReservationCommands(program: Command, runner: Runner): void {
  const parent = branch(program, "reservation", "persistent reservations of a unit, on all of its paths");
  leaf(
    parent,
    `show ${UNIT}`,
    "this host's registration, and the keys and the reservation that the device has",
    "pathctl reservation show 0",
    SCHEMA,
  ).action((unit: string, options: CommonOptions) =>
    perform(runner, options, async ({ client }) => {
      const view = await client.call<ReservationView>("GET", `/v1/units/${unitKey(unit)}/reservation`);
      return { json: view, text: reservationText(view) };
    }),
  );
  addRegistering(parent, runner);
  leaf(parent, `reserve ${UNIT} <type>`, `reserve a unit: ${TYPES}`, "pathctl reservation reserve 0 5", SCHEMA).action(
    (unit: string, type: string, options: CommonOptions) =>
      perform(runner, options, (context) => order(context, unit, { action: "reserve", type: typeValue(type) })),
  );
  leaf(
    parent,
    `release ${UNIT} <type>`,
    "release this host's reservation of that type",
    "pathctl reservation release 0 5",
    SCHEMA,
  ).action((unit: string, type: string, options: CommonOptions) =>
    perform(runner, options, (context) => order(context, unit, { action: "release", type: typeValue(type) })),
  );
  leaf(
    parent,
    `clear ${UNIT}`,
    "remove the reservation and the registrations of all hosts; only a registered host may",
    "pathctl reservation clear 0",
    SCHEMA,
  ).action((unit: string, options: CommonOptions) =>
    perform(runner, options, (context) => order(context, unit, { action: "clear" })),
  );
  leaf(
    parent,
    `preempt ${UNIT} <key>`,
    "remove another host's registrations, and take over its reservation",
    "pathctl reservation preempt 0 0x456 --abort --type 5",
    SCHEMA,
  )
    .option("--abort", "abort the commands of that host, too")
    .option("--type <type>", "type of the reservation; needed if the other host holds it")
    .action((unit: string, key: string, options: PreemptOptions) =>
      perform(runner, options, (context) =>
        order(context, unit, {
          action: options.abort === true ? "preempt-abort" : "preempt",
          serviceActionKey: keyValue("key", key),
          ...(options.type === undefined ? {} : { type: typeValue(options.type) }),
        }),
      ),
    );
}
