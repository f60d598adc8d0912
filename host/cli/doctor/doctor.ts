// `pathctl doctor`: checks the machine, whether or not a daemon is running. Each finding comes with its remedy.

import { existsSync } from "node:fs";

import type { Output } from "../../control/schemas/routes.ts";
import type { Mistake } from "../../control/settings/configuration.ts";
import { CommandError } from "../api-client.ts";
import type { Context, Result } from "../pathctl/context.ts";
import { unpainted, type Style } from "../style.ts";
import { unitList } from "../pathctl/show.ts";
import { schedulingText } from "../pathctl/show-status.ts";
import { pluralText } from "../text.ts";
import { checkAddon } from "./addon.ts";
import { checkDevices, checkQueues, checkSgLimits } from "./device-findings.ts";
import { error, note, ok, warning, type Finding, type Level, type Machine } from "./finding.ts";
import {
  checkCapabilities,
  checkClock,
  checkLimits,
  checkModules,
  checkMultipathd,
  checkNode,
  checkUringSwitch,
} from "./kernel.ts";
import { counted } from "../../wording.ts";

/** This machine. */
const thisMachine = (): Machine => ({
  sys: "/sys",
  proc: "/proc",
  dev: "/dev",
  nodeVersion: process.versions.node,
  uid: process.getuid?.() ?? 0,
});

/** Reads the configuration file as the daemon would. */
async function checkConfigurationFile(file: string | undefined): Promise<Finding[]> {
  const { CONFIGURATION_FILE } = await import("../../control/schemas/constants.ts");
  const { checkConfiguration } = await import("../pathctl/config-check.ts");
  const { mistakeText } = await import("../../control/settings/configuration.ts");
  const wanted = file ?? CONFIGURATION_FILE;
  if (file === undefined && !existsSync(wanted)) {
    return [
      note("configuration", `there is no ${wanted}: defaults hold, and an emulated array`, "see pathmanager.toml(5)"),
    ];
  }
  try {
    const result = checkConfiguration(wanted);
    if (result.status === 0) {
      const { nothing, notes } = result.json as { nothing: string | null; notes: readonly Mistake[] };
      const former = notes.map((found) => warning("configuration", mistakeText(found), "give it its name of today"));
      const fine = [ok("configuration", `${wanted} has no mistake`), ...former];
      if (nothing === null) return fine;
      const [problem = nothing, remedy] = nothing.split("; ");
      return [...fine, warning("configuration", problem, remedy ?? "see pathmanager.toml(5)")];
    }
    return result.text
      .trimEnd()
      .split("\n")
      .map((line) => error("configuration", line, "correct the file; pathctl config check looks at it again"));
  } catch (thrown) {
    if (!(thrown instanceof CommandError)) throw thrown;
    return [error("configuration", thrown.message, "name a file that can be read")];
  }
}

/** Two programs that write to one unit destroy its data. */
function inUseFinding({ device, number, reason }: Output<"status">["refused"][number]): Finding {
  const what = number === null ? device : `${device} (${number})`;
  return error("in use", `${what} is not used: ${reason}`, "end that use, then pathctl config reload");
}

/** Redundancy that ends at one component. */
function singlePointFinding({ component, units }: Output<"status">["health"]["singlePoints"][number]): Finding {
  return warning(
    "cabling",
    `${component} carries every path of ${pluralText(units.length, "unit")} (${unitList(units)}): if it fails, they are lost`,
    "cable paths of these units over another one; pathctl show arrays lists the ports",
  );
}

/** Those that do not turn, and the only one. */
function reactorFindings({ reactor, reactors }: Output<"status">): Finding[] {
  if (reactors.length === 1) {
    if (reactor.answering) return [];
    return [error("daemon", "its reactor does not answer", "see its log; systemctl restart pathmanagerd")];
  }
  return reactors.flatMap(({ problem, units }) =>
    problem === null
      ? []
      : [
          error(
            "daemon",
            `${problem}: no I/O goes on for its units (${units})`,
            "see messages 669 and 696 (pathctl events): one that stands still is ended after two minutes and started again",
          ),
        ],
  );
}

/** Sentences about anything but a reactor. */
const otherAttention = ({ attention, reactors }: Output<"status">): string[] =>
  attention.filter((text) => !reactors.some(({ problem }) => problem !== null && text.startsWith(problem)));

/** The daemon, if it is running. */
async function checkDaemon({ client }: Context): Promise<Finding[]> {
  try {
    const status = await client.call<Output<"status">>("GET", "/v1/status");
    const paths = `${status.pathsUsable} of ${pluralText(status.paths, "path")} usable`;
    return [
      ok(
        "daemon",
        `version ${status.version} answers on ${client.socket}; ${pluralText(status.units, "unit")}, ${paths}`,
      ),
      ok("scheduling", `the daemon runs with ${schedulingText(status)} (process.nice, process.slice_us)`),
      ...reactorFindings(status),
      ...status.refused.filter((device) => device.inUse).map(inUseFinding),
      ...status.health.singlePoints.map(singlePointFinding),
      ...otherAttention(status).map((text) => warning("daemon", text, "pathctl show says which paths it is about")),
    ];
  } catch (thrown) {
    if (!(thrown instanceof CommandError)) throw thrown;
    return [note("daemon", thrown.message, thrown.remedy ?? null)];
  }
}

const MARKS: Readonly<Record<Level, string>> = { ok: "ok", note: "note", warning: "WARNING", error: "ERROR" };

function findingText(finding: Finding, style: Style): string {
  const paints = { ok: style.good, note: unpainted, warning: style.warn, error: style.bad };
  const mark = paints[finding.level](MARKS[finding.level].padEnd(7));
  const remedy = finding.remedy === null ? "" : `${" ".repeat(9)}${style.faint("->")} ${finding.remedy}\n`;
  return `${mark}  ${finding.check}: ${finding.text}\n${remedy}`;
}

/** Runs every check; exits with status 1 when something does not work. */
export async function doctor(context: Context, file?: string, machine: Machine = thisMachine()): Promise<Result> {
  const [addon, configuration, daemon] = await Promise.all([
    checkAddon(),
    checkConfigurationFile(file),
    checkDaemon(context),
  ]);
  const findings = [
    ...checkNode(machine),
    ...addon,
    ...checkUringSwitch(machine),
    ...checkModules(machine),
    ...checkCapabilities(machine),
    ...checkLimits(machine),
    ...checkClock(machine),
    ...checkDevices(machine),
    ...checkSgLimits(machine),
    ...checkQueues(machine),
    ...checkMultipathd(machine),
    ...configuration,
    ...daemon,
  ];
  const errors = findings.filter((finding) => finding.level === "error").length;
  const warnings = findings.filter((finding) => finding.level === "warning").length;
  const summary = `\n${counted(errors, "error")}, ${counted(warnings, "warning")}\n`;
  return {
    json: { findings },
    text: findings.map((finding) => findingText(finding, context.style)).join("") + summary,
    status: errors > 0 ? 1 : 0,
  };
}
