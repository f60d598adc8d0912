// `pathctl array`: injects faults into the emulated array, which stands in for real devices.

import type { Command } from "commander";

import type { Output } from "../../control/schemas/routes.ts";
import type { FaultRequest } from "../../control/schemas/fault-schema.ts";
import { CommandError } from "../api-client.ts";
import { numberValue, pathValue, wholeValue, wordValue } from "../values.ts";
import { branch, leaf, perform, type CommonOptions, type Runner } from "./context.ts";
import { counted } from "../../wording.ts";

const FAULT_KINDS = [
  "error",
  "no-answer",
  "queued",
  "slow",
  "late",
  "flapping",
  "unit-attention",
  "busy",
  "port-down",
  "short-data",
  "corrupt-sense",
  "nonsense-pages",
  "vpd-page",
  "alua",
  "remap",
  "capacity",
  "write-protect",
  "reservation",
  "power-loss",
] as const satisfies readonly FaultRequest["fault"]["kind"][];

/** ALUA access states by name (SPC-4 table 307). */
const ALUA_STATES: Readonly<Record<string, number>> = {
  optimized: 0,
  "non-optimized": 1,
  standby: 2,
  unavailable: 3,
  offline: 14,
  transitioning: 15,
};

const COMMANDS = ["all", "io", "reads", "writes", "other", "inquiry"] as const;
const NUMBER_MAX = Number.MAX_SAFE_INTEGER;

type FaultOptions = CommonOptions &
  Partial<
    Record<
      | "path"
      | "unit"
      | "controller"
      | "targetPort"
      | "initiatorPort"
      | "commands"
      | "opcode"
      | "bits"
      | "page"
      | "times"
      | "after"
      | "for",
      string
    >
  >;

/** `delayMs=200`, `state=standby`, `silent=true`, `unit=null`. */
function parameterOf(text: string): readonly [string, unknown] {
  const [key = "", value] = text.split(/=(.*)/s);
  if (value === undefined || value === "") {
    throw new CommandError("INVALID_ARGUMENT", `${text} is no parameter: write name=value, for example delayMs=200`);
  }
  if (value === "true" || value === "false") return [key, value === "true"];
  if (value === "null") return [key, null];
  const aluaState = key === "state" ? ALUA_STATES[value] : undefined;
  if (aluaState !== undefined) return [key, aluaState];
  if (key === "page") return [key, hexByte("page", value)];
  return [key, key !== "payload" && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value];
}

/** Operation codes and page codes are hexadecimal, as usually written. */
function hexByte(name: string, text: string): number {
  const digits = /^(?:0x)?([0-9a-f]{1,2})$/i.exec(text)?.[1];
  if (digits !== undefined) return Number.parseInt(digits, 16);
  throw new CommandError("INVALID_ARGUMENT", `${name}: ${text} is no byte in hexadecimal digits, for example 83`);
}

const whole = (name: string, text: string, min = 0): number => wholeValue(name, text, min, NUMBER_MAX);

function placeOf(options: FaultOptions): FaultRequest["where"] {
  const where: NonNullable<FaultRequest["where"]> = {};
  if (options.path !== undefined) where.path = pathValue(options.path);
  if (options.unit !== undefined) where.unit = whole("--unit", options.unit.replace(/^#/, ""));
  if (options.controller !== undefined) where.controller = whole("--controller", options.controller);
  if (options.targetPort !== undefined) where.targetPort = whole("--target-port", options.targetPort);
  if (options.initiatorPort !== undefined) where.initiatorPort = whole("--initiator-port", options.initiatorPort);
  if (Object.keys(where).length === 0) {
    throw new CommandError(
      "INVALID_ARGUMENT",
      "say where: --path, --unit, --controller, --target-port or --initiator-port",
    );
  }
  return where;
}

function faultBody(kind: string, parameters: readonly string[], options: FaultOptions): unknown {
  const when: NonNullable<FaultRequest["when"]> = {};
  if (options.commands !== undefined) when.commands = wordValue("--commands", options.commands, COMMANDS);
  if (options.opcode !== undefined) when.opcode = hexByte("--opcode", options.opcode);
  if (options.bits !== undefined) when.bits = hexByte("--bits", options.bits);
  if (options.page !== undefined) when.page = hexByte("--page", options.page);
  if (options.times !== undefined) when.times = whole("--times", options.times, 1);
  const found = wordValue("the kind of fault", kind, FAULT_KINDS);
  return {
    fault: { ...Object.fromEntries(parameters.map(parameterOf)), kind: found },
    where: placeOf(options),
    when: Object.keys(when).length === 0 ? undefined : when,
    afterMs: options.after === undefined ? undefined : numberValue("--after", options.after, 0, NUMBER_MAX),
    forMs: options.for === undefined ? undefined : numberValue("--for", options.for, 0, NUMBER_MAX),
  };
}

const wordsOf = (table: object): string =>
  Object.entries(table)
    .filter(([key]) => key !== "kind")
    .map(([key, value]) => `${key} ${String(value)}`)
    .join(", ");

function faultText(view: Output<"faults">["faults"][number]): string {
  const details = [wordsOf(view.where ?? {}), wordsOf(view.fault), wordsOf(view.when ?? {})];
  const words = details.filter((text) => text !== "").join(", ");
  return `fault ${view.id}: ${view.fault.kind}, ${words}, ${view.state}, strikes ${counted(view.ports, "port")}\n`;
}

/** Adds the commands. */
export function addArrayCommands(program: Command, runner: Runner): void {
  const array = branch(program, "array", "control the emulated array, which stands in for real devices");
  const fault = branch(array, "fault", "inject faults");
  leaf(
    fault,
    "add <kind> [parameter...]",
    `add a fault: ${FAULT_KINDS.join(", ")}`,
    "pathctl array fault add port-down --controller 1\n" +
      "pathctl array fault add no-answer --path 4:0:0:0 --for 5000\n" +
      "pathctl array fault add slow delayMs=20 --path 4:0:0:0",
    "{id}",
  )
    .option("--path <path>", "on this path")
    .option("--unit <n>", "on every path to this unit of the array")
    .option("--controller <n>", "on every path through this controller")
    .option("--target-port <n>", "on every path through this target port")
    .option("--initiator-port <n>", "on every path through this initiator port")
    .option("--commands <which>", COMMANDS.join(", "))
    .option("--opcode <hex>", "only commands with this operation code")
    .option("--bits <hex>", "only commands with these bits in byte 1 of the CDB (08: FUA)")
    .option("--page <hex>", "only INQUIRY for this VPD page")
    .option("--times <n>", "apply only this many times")
    .option("--after <ms>", "start after this many milliseconds")
    .option("--for <ms>", "end after this many milliseconds")
    .action((kind: string, parameters: string[], options: FaultOptions) =>
      perform(runner, options, async ({ client }) => {
        const body = faultBody(kind, parameters, options);
        const added = await client.call<Output<"addFault">>("POST", "/v1/array/faults", body);
        return { json: added, text: `fault ${added.id}\n` };
      }),
    );
  leaf(fault, "list", "list the faults", "pathctl array fault list", "FaultList").action((options: CommonOptions) =>
    perform(runner, options, async ({ client }) => {
      const list = await client.call<Output<"faults">>("GET", "/v1/array/faults");
      return { json: list, text: list.faults.length === 0 ? "no fault\n" : list.faults.map(faultText).join("") };
    }),
  );
  leaf(
    fault,
    "clear [id]",
    "remove one fault, or all; prints those that remain",
    "pathctl array fault clear\npathctl array fault clear 2",
    "FaultList",
  ).action((id: string | undefined, options: CommonOptions) =>
    perform(runner, options, async ({ client }) => {
      const query = id === undefined ? "" : `?id=${whole("id", id)}`;
      const list = await client.call<Output<"removeFaults">>("DELETE", `/v1/array/faults${query}`);
      return { json: list, text: list.faults.map(faultText).join("") };
    }),
  );
}
