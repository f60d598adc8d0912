// `pathctl unit`, and `attach` and `detach` as short forms: a logical unit's settings and its block devices.

import type { Command } from "commander";

import type { Output } from "../../control/schemas/routes.ts";
import type { UnitPatch, UnitView } from "../../control/schemas/unit-schema.ts";
import { REACTORS_MAX } from "../../settings/daemon-settings.ts";
import { CommandError } from "../api-client.ts";
import { numberValue, pathValue, POLICY_NAMES, unitKey, wholeValue } from "../values.ts";
import { policyText } from "./show.ts";
import { branch, leaf, perform, type CommonOptions, type Context, type Result, type Runner } from "./context.ts";

interface PolicyOptions extends CommonOptions {
  readonly ios?: string;
  readonly bytes?: string;
  readonly history?: string;
  readonly paths?: string;
  readonly weights?: string;
}

interface AttachOptions extends CommonOptions {
  readonly readOnly?: boolean;
  readonly another?: boolean;
  readonly connections?: string;
  readonly deadTimeout?: string;
  readonly nbd?: boolean;
  readonly ublk?: boolean;
  readonly scsi?: boolean;
}

const unitText = (unit: UnitView): string =>
  `#${unit.number} ${unit.name}: ${unit.state}, policy ${policyText(unit)}` +
  `${unit.hedgeBudgetPercent > 0 ? `, hedged reads up to ${unit.hedgeBudgetPercent} %` : ""}\n`;

async function patch(context: Context, key: string, body: UnitPatch): Promise<Result> {
  const unit = await context.client.call<UnitView>("PATCH", `/v1/units/${unitKey(key)}`, body);
  return { json: unit, text: unitText(unit) };
}

/** `4:0:0:1=3,5:0:1:1=1`. */
function weightsValue(text: string): Record<string, number> {
  const weights = text.split(",").map((item) => {
    const [path = "", weight = ""] = item.split("=");
    return [pathValue(path), wholeValue(`weight of ${path}`, weight, 1, 65_535)] as const;
  });
  return Object.fromEntries(weights);
}

function policyPatch(policy: string, options: PolicyOptions): UnitPatch {
  const found = POLICY_NAMES.find((name) => name === policy.toLowerCase());
  if (found === undefined) {
    throw new CommandError("UNKNOWN_POLICY", `unknown policy ${policy}; there are ${POLICY_NAMES.join(", ")}`);
  }
  const parameters: NonNullable<UnitPatch["parameters"]> = {};
  if (options.ios !== undefined) parameters.ios = wholeValue("--ios", options.ios, 1, 1_000_000);
  if (options.bytes !== undefined) parameters.bytes = wholeValue("--bytes", options.bytes, 512, 4_294_967_295);
  if (options.history !== undefined) parameters.historyPercent = wholeValue("--history", options.history, 1, 99);
  if (options.paths !== undefined) parameters.paths = options.paths.split(",").map(pathValue);
  if (options.weights !== undefined) parameters.weights = weightsValue(options.weights);
  return Object.keys(parameters).length === 0 ? { policy: found } : { policy: found, parameters };
}

async function attach(
  context: Context,
  key: string,
  device: string | undefined,
  options: AttachOptions,
): Promise<Result> {
  const drivers = (["nbd", "ublk", "scsi"] as const).filter((driver) => options[driver] === true);
  if (drivers.length > 1)
    throw new CommandError("BAD_OPTION", `--${drivers.join(" and --")} exclude each other; give one of them`);
  const body = {
    device,
    driver: drivers[0],
    readOnly: options.readOnly,
    another: options.another,
    connections:
      options.connections === undefined ? undefined : wholeValue("--connections", options.connections, 1, 16),
    deadConnectionTimeoutS:
      options.deadTimeout === undefined ? undefined : wholeValue("--dead-timeout", options.deadTimeout, 0, 3600),
  };
  const route = `/v1/units/${unitKey(key)}/attach`;
  const attachment = await context.client.call<Output<"attachUnit">>("POST", route, body);
  return { json: attachment, text: `${attachment.device}\n` };
}

/**
 * No daemon serves the device, and what uses it waits: it is given up.
 * @returns false when it is no ublk device of this program; then nothing was done
 */
async function giveUp(device: string): Promise<boolean> {
  const index = /^\/dev\/ublkb(\d{1,4})$/.exec(device)?.[1];
  if (index === undefined) return false;
  // Only here: the other commands work where there is no addon.
  const { ublkDelete, ublkStatus } = await import("../../native/index.ts");
  const status = await ublkStatus(Number(index));
  if (status === null || status.owner === undefined || status.state === "live") return false;
  await ublkDelete(Number(index));
  return true;
}

/** Detaches a device from whatever unit it belongs to; a device still waiting for its unit is not shown as attached. */
async function detachDevice(context: Context, device: string): Promise<Output<"detachUnit">> {
  const { units } = await context.client.call<Output<"units">>("GET", "/v1/units");
  const has = (unit: UnitView): boolean => unit.attachments.some((attachment) => attachment.device === device);
  for (const unit of units.toSorted((a, b) => Number(has(b)) - Number(has(a)))) {
    try {
      return await context.client.call<Output<"detachUnit">>("POST", `/v1/units/${unit.number}/detach`, { device });
    } catch (thrown) {
      if (!(thrown instanceof CommandError) || thrown.code !== "NOT_ATTACHED") throw thrown;
    }
  }
  return { attachments: [] };
}

/** Detaches one of a unit's devices, or all. A device alone is enough to identify its unit. */
async function detach(context: Context, what: string, more: string | undefined): Promise<Result> {
  let answer: Output<"detachUnit">;
  try {
    answer =
      what.startsWith("/dev/") && more === undefined
        ? await detachDevice(context, what)
        : await context.client.call<Output<"detachUnit">>("POST", `/v1/units/${unitKey(what)}/detach`, {
            device: more,
          });
  } catch (thrown) {
    const isAlone = thrown instanceof CommandError && thrown.code === "NOT_RUNNING";
    if (!isAlone || !(await giveUp(what))) throw thrown;
    return { json: { attachments: [] }, text: `${what} is removed; what waited for it has failed\n` };
  }
  const left = answer.attachments.map((attachment) => attachment.device).join(" ");
  return { json: answer, text: left === "" ? "" : `still attached: ${left}\n` };
}

/** `#0` begins a comment in a shell, so a unit is written `0`, `'#0'` or by its name. */
const UNIT = "<unit>";

function addAttach(parent: Command, runner: Runner): void {
  const prefix = parent.name() === "unit" ? "pathctl unit" : "pathctl";
  leaf(
    parent,
    `attach ${UNIT} [device]`,
    "make a unit a block device of the kernel (ublk where it has that, else nbd), if it is none yet; prints the device",
    `${prefix} attach '#0'\n${prefix} attach 0 /dev/nbd0\n${prefix} attach 0 --nbd`,
    "Attachment",
  )
    .option("--read-only", "attach it read-only")
    .option("--ublk", "through the kernel's ublk driver: /dev/ublkbN")
    .option("--scsi", "as a SCSI device: /dev/sdX and /dev/sgN, for reservations and programs that send SCSI commands")
    .option("--nbd", "through the kernel's nbd driver: /dev/nbdN")
    .option(
      "--another",
      "attach one more device to a unit that has one; each has its own page cache, so reads may be stale",
    )
    .option("--connections <n>", "nbd: number of connections from the kernel to the daemon, 1 to 16")
    .option("--dead-timeout <seconds>", "how long I/O waits for the next daemon when this one is gone")
    .action((key: string, device: string | undefined, options: AttachOptions) =>
      perform(runner, options, (context) => attach(context, key, device, options)),
    );
  leaf(
    parent,
    `detach ${UNIT} [device]`,
    "detach a unit, or the one with this device, from the kernel",
    `${prefix} detach 0\n${prefix} detach /dev/nbd0`,
    "Attachments",
  ).action((key: string, device: string | undefined, options: CommonOptions) =>
    perform(runner, options, (context) => detach(context, key, device)),
  );
}

function addMove(unit: Command, runner: Runner): void {
  leaf(
    unit,
    `move ${UNIT} <reactor>`,
    "move a unit to another of the daemon's reactors; attached devices go on, other clients connect again",
    "pathctl unit move 0 1",
    "UnitView",
  ).action((key: string, reactor: string, options: CommonOptions) =>
    perform(runner, options, async ({ client }) => {
      const body = { reactor: wholeValue("reactor", reactor, 0, REACTORS_MAX - 1) };
      const moved = await client.call<UnitView>("POST", `/v1/units/${unitKey(key)}/move`, body);
      return { json: moved, text: `#${moved.number} ${moved.name}: on reactor ${moved.reactor}\n` };
    }),
  );
}

/** Adds the commands. */
export function addUnitCommands(program: Command, runner: Runner): void {
  const unit = branch(program, "unit", "set a unit's policy and name, attach it, move it, release it");
  leaf(
    unit,
    `policy ${UNIT} <policy>`,
    `choose how paths are selected: ${POLICY_NAMES.join(", ")}`,
    "pathctl unit policy 0 adaptive\npathctl unit policy 0 weighted --weights 4:0:0:0=3,5:0:1:0=1",
    "UnitView",
  )
    .option("--ios <n>", "round-robin: switch paths after this many I/Os")
    .option("--bytes <n>", "round-robin: switch paths after this many bytes")
    .option("--history <percent>", "historical-service-time: weight of the past in the mean")
    .option("--paths <paths>", "round-robin-subset: the paths, separated by commas")
    .option("--weights <path=n,...>", "weighted, service-time: relative speeds of paths")
    .action((key: string, policy: string, options: PolicyOptions) =>
      perform(runner, options, (context) => patch(context, key, policyPatch(policy, options))),
    );
  leaf(
    unit,
    `rename ${UNIT} <name>`,
    "rename a unit and its NBD export",
    "pathctl unit rename 0 database",
    "UnitView",
  ).action((key: string, name: string, options: CommonOptions) =>
    perform(runner, options, (context) => patch(context, key, { name })),
  );
  leaf(
    unit,
    `hedge ${UNIT} <percent>`,
    "send slow reads a second time on another path, for at most this percentage of them; 0: off",
    "pathctl unit hedge 0 2",
    "UnitView",
  ).action((key: string, percent: string, options: CommonOptions) =>
    perform(runner, options, (context) =>
      patch(context, key, { hedgeBudgetPercent: numberValue("percent", percent, 0, 100) }),
    ),
  );
  leaf(
    unit,
    `reset ${UNIT}`,
    "reset a unit's longest latency and its histograms",
    "pathctl unit reset 0",
    "UnitView",
  ).action((key: string, options: CommonOptions) =>
    perform(runner, options, (context) => patch(context, key, { resetStatistics: true })),
  );
  leaf(
    unit,
    `release ${UNIT}`,
    "fail requests that wait for a path, and new ones until a path is usable",
    "pathctl unit release 0",
    "UnitView",
  ).action((key: string, options: CommonOptions) =>
    perform(runner, options, async ({ client }) => {
      const released = await client.call<UnitView>("POST", `/v1/units/${unitKey(key)}/release`);
      return { json: released, text: unitText(released) };
    }),
  );
  addMove(unit, runner);
  addAttach(unit, runner);
  addAttach(program, runner);
}
