// `pathctl mode`, `patrol`, `config`, `doctor`, `setup`, `import`: the system as a whole.

import type { Command } from "commander";

import type { Output } from "../../control/schemas/routes.ts";
import type { Mode, ModePatch, Patrol, PatrolPatch } from "../../control/schemas/mode-schema.ts";
import { pluralText } from "../text.ts";
import { wholeValue, wordValue } from "../values.ts";
import {
  branch,
  leaf,
  perform,
  type CommonOptions,
  type Context,
  type Result,
  type Runner,
  localLeaf,
} from "./context.ts";

const PATROL_MODES = ["none", "health", "recovery", "both"] as const;
const modeText = (mode: Mode): string =>
  `failback  ${mode.failback}\ncluster   ${mode.cluster ? "on" : "off"}\n${patrolText(mode.patrol)}`;

const patrolText = (patrol: Patrol): string =>
  `patrol    ${PATROL_MODES[patrol.mode] ?? patrol.mode}, every ${patrol.intervalS} s, ` +
  `paths idle for ${patrol.thresholdS} s, answer within ${patrol.timeoutS} s\n`;

function addModeCommands(program: Command, runner: Runner): void {
  leaf(
    program,
    "mode",
    "show or set the system's failback mode and cluster mode",
    "pathctl mode\npathctl mode --failback standby",
    "Mode",
  )
    .option("--failback <mode>", "active: a recovered path is used again; standby: it stays disabled")
    .option("--cluster <on|off>", "cluster mode (MSCS): on excludes dynamic balancing")
    .action((options: CommonOptions & { failback?: string; cluster?: string }) =>
      perform(runner, options, async ({ client }) => {
        const body: ModePatch = {};
        if (options.failback !== undefined) {
          body.failback = wordValue("--failback", options.failback, ["active", "standby"]);
        }
        if (options.cluster !== undefined) {
          body.cluster = wordValue("--cluster", options.cluster, ["on", "off"]) === "on";
        }
        const change = Object.keys(body).length > 0;
        const mode = await client.call<Mode>(change ? "PATCH" : "GET", "/v1/mode", change ? body : undefined);
        return { json: mode, text: modeText(mode) };
      }),
    );
  leaf(
    program,
    "patrol",
    "show or set path patrol: which checks run, how often, and their timeout",
    "pathctl patrol\npathctl patrol --mode both --interval 5 --threshold 5 --timeout 10",
    "Patrol",
  )
    .option("--mode <mode>", PATROL_MODES.join(", "))
    .option("--interval <seconds>", "seconds between checks of a path, 1 to 3600")
    .option("--threshold <seconds>", "check only paths without I/O for this long, 1 to 3600")
    .option("--timeout <seconds>", "a check without an answer for this long has failed, 1 to 3600")
    .action((options: CommonOptions & Partial<Record<"mode" | "interval" | "threshold" | "timeout", string>>) =>
      perform(runner, options, async ({ client }) => {
        const body: PatrolPatch = {};
        if (options.mode !== undefined) {
          body.mode = PATROL_MODES.indexOf(wordValue("--mode", options.mode, PATROL_MODES));
        }
        if (options.interval !== undefined) body.intervalS = wholeValue("--interval", options.interval, 1, 3600);
        if (options.threshold !== undefined) body.thresholdS = wholeValue("--threshold", options.threshold, 1, 3600);
        if (options.timeout !== undefined) body.timeoutS = wholeValue("--timeout", options.timeout, 1, 3600);
        const change = Object.keys(body).length > 0;
        const patrol = await client.call<Patrol>(change ? "PATCH" : "GET", "/v1/patrol", change ? body : undefined);
        return { json: patrol, text: patrolText(patrol) };
      }),
    );
}

function addAcceptCommand(config: Command, runner: Runner): void {
  leaf(
    config,
    "accept",
    "accept the settings as complete after some were lost to damage (reported by `pathctl show`)",
    "pathctl config accept",
    "{accepted}",
  ).action((options: CommonOptions) =>
    perform(runner, options, async ({ client }) => {
      const acceptance = await client.call<Output<"acceptSettings">>("POST", "/v1/config/accept");
      const lines = acceptance.accepted.map((sentence) => `accepted: ${sentence}\n`);
      return { json: acceptance, text: lines.length === 0 ? "nothing was in doubt\n" : lines.join("") };
    }),
  );
}

function addConfigCommands(program: Command, runner: Runner): void {
  const config = branch(program, "config", "check, show, reload the configuration");
  localLeaf(
    config,
    "check [file]",
    "check a configuration file without using it",
    "pathctl config check /etc/pathmanager/pathmanager.toml",
    "{file, valid, mistakes, notes, nothing}",
  ).action((file: string | undefined, options: CommonOptions) =>
    perform(runner, options, async () => {
      const { checkConfiguration } = await import("./config-check.ts");
      return checkConfiguration(file);
    }),
  );
  leaf(
    config,
    "show",
    "show the configuration in force, defaults included",
    "pathctl config show",
    "ConfigurationView",
  ).action((options: CommonOptions) =>
    perform(runner, options, async ({ client }) => {
      const view = await client.call<Output<"config">>("GET", "/v1/config");
      const { tomlOf } = await import("./config-show.ts");
      const restart = view.restartNeeded.map((key) => `# needs a restart to take effect: ${key}\n`).join("");
      const source = view.file === null ? "# defaults; no configuration file\n" : `# ${view.file}\n`;
      return { json: view, text: `${source}${restart}${await tomlOf(view.configuration)}` };
    }),
  );
  const revert = (options: CommonOptions): Promise<void> =>
    perform(runner, options, async ({ client }) => {
      const report = await client.call<Output<"revertConfig">>("POST", "/v1/config/revert");
      const lines = report.reverted.map((key) => `${key}: as configured\n`);
      return { json: report, text: lines.length === 0 ? "no command has set anything\n" : lines.join("") };
    });
  leaf(
    config,
    "revert",
    "drop what commands have set in place of the configuration: modes, patrol, policies, hedging budgets",
    "pathctl config revert",
    "{reverted}",
  ).action(revert);
  leaf(
    config,
    "reload",
    "make the daemon read its file again, without interrupting I/O",
    "pathctl config reload",
    "ReloadReport",
  ).action((options: CommonOptions) =>
    perform(runner, options, async ({ client }) => {
      const report = await client.call<Output<"reloadConfig">>("POST", "/v1/config/reload");
      const lines = [
        ...report.applied.map((key) => `${key}: applied`),
        ...report.kept.map(
          (key) => `${key}: a command has set it; its value stays (give it up with \`pathctl config revert\`)`,
        ),
        ...report.restartNeeded.map((key) => `${key}: needs a restart of the daemon`),
      ];
      return { json: report, text: lines.length === 0 ? "nothing changed\n" : `${lines.join("\n")}\n` };
    }),
  );
  addAcceptCommand(config, runner);
}

function rescanText({ hosts, pathsAdded, pathsRemoved, paths }: Output<"rescan">): string {
  const lines = hosts.map(({ host, reason }) => `host ${host}: ${reason ?? "scanned"}`);
  for (const path of pathsAdded) lines.push(`path ${path}: new`);
  for (const path of pathsRemoved) lines.push(`path ${path}: gone`);
  return [...lines, pluralText(paths, "path"), ""].join("\n");
}

async function importMultipath(context: Context, file: string, folder: string | undefined): Promise<Result> {
  const { importFile } = await import("../multipath/import.ts");
  return importFile(file, context.io, folder);
}

/** Adds the commands. */
export function addSystemCommands(program: Command, runner: Runner): void {
  addModeCommands(program, runner);
  addConfigCommands(program, runner);
  leaf(
    program,
    "rescan [host]",
    "make the kernel scan for new devices and sizes on the hosts of arrays (or on one host), then take the new paths",
    "pathctl rescan\npathctl rescan 4",
    "RescanReport",
  ).action((host: string | undefined, options: CommonOptions) =>
    perform(runner, options, async ({ client }) => {
      const body = host === undefined ? {} : { host: wholeValue("the host", host.replace(/^host/, ""), 0, 65_535) };
      const report = await client.call<Output<"rescan">>("POST", "/v1/rescan", body);
      return { json: report, text: rescanText(report), status: report.hosts.every(({ done }) => done) ? 0 : 1 };
    }),
  );
  localLeaf(
    program,
    "doctor",
    "check this machine for what is missing, and say how to fix it",
    "pathctl doctor",
    "{findings: [{check, level, text, remedy}]}",
  )
    .option("-c, --config <file>", "the daemon's configuration file")
    .action((options: CommonOptions & { config?: string }) =>
      perform(runner, options, async (context) => {
        const { doctor } = await import("../doctor/doctor.ts");
        return doctor(context, options.config);
      }),
    );
  localLeaf(
    program,
    "setup",
    "propose which disks to take, write that into the configuration, and make block devices of them",
    "pathctl setup",
    "{file, units, left, toml, written}",
  )
    .option("-c, --config <file>", "the daemon's configuration file")
    .option("-y, --yes", "write it without asking")
    .action((options: CommonOptions & { config?: string; yes?: boolean }) =>
      perform(runner, options, async (context) => {
        const { setup } = await import("../setup/setup.ts");
        return setup(context, options);
      }),
    );
  localLeaf(
    branch(program, "import", "take settings over from dm-multipath"),
    "multipath.conf <file>",
    "print a pathmanager.toml made from a multipath.conf; settings that are not taken over are listed with the reason",
    "pathctl import multipath.conf /etc/multipath.conf > pathmanager.toml",
    "{toml, taken, ignored, errors}",
  )
    .option(
      "--config-dir <folder>",
      "folder of further files, read after it (default: multipath/conf.d beside it, if it exists)",
    )
    .action((file: string, options: CommonOptions & { configDir?: string }) =>
      perform(runner, options, (context) => importMultipath(context, file, options.configDir)),
    );
}
