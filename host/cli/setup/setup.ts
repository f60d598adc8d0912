// `pathctl setup`: the way from an installed package to block devices. It looks at the disks, proposes what to take, asks, writes the
// configuration file, and has it used. It changes nothing in a file that selects something already.

import { spawnSync } from "node:child_process";
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { setTimeout } from "node:timers/promises";
import { CONFIGURATION_FILE } from "../../control/schemas/constants.ts";
import type { Output } from "../../control/schemas/routes.ts";
import { checkConfiguration, mistakeText } from "../../control/settings/configuration.ts";
import { keptProbe } from "../../discovery/kernel-pages.ts";
import { listSgDevices } from "../../discovery/sysfs.ts";
import { Uses } from "../../discovery/uses.ts";
import { type Client, CommandError } from "../api-client.ts";
import type { Context, Result } from "../pathctl/context.ts";
import { pluralText } from "../text.ts";
import { edited, linesOf, propose, type Disk, type Proposal } from "./proposal.ts";
import { counted } from "../../wording.ts";

const SERVICE = "pathmanagerd.service";
/** Whether systemd runs this machine. */
const SYSTEMD = "/run/systemd/system";
/** Whether udev runs, which makes the lasting names. */
const UDEV = "/run/udev/control";
const FILE_MODE = 0o644;
/** How long block devices may take to appear. */
const DEVICES_MS_MAX = 60_000;
const LOOK_MS = 200;

/** Where a machine's facts are; a test lays out its own. */
export interface Places {
  readonly sysfs: string;
  readonly proc: string;
  readonly dev: string;
}

const PLACES: Places = { sysfs: "/sys", proc: "/proc", dev: "/dev" };

export interface SetupOptions {
  readonly config?: string;
  /** Writes without asking. */
  readonly yes?: boolean;
}

/** The disks, by what the kernel has kept of them: none is asked anything. */
async function disksOf({ sysfs, proc }: Places): Promise<Disk[]> {
  const uses = new Uses({ sysfs, proc });
  const found = listSgDevices(sysfs).filter(({ type, blockDevice }) => type === 0 && blockDevice !== null);
  return Promise.all(
    found.map(async (device): Promise<Disk> => {
      const probe = await keptProbe(device, sysfs);
      return {
        device: `/dev/${device.blockDevice}`,
        number: device.number,
        vendor: probe?.vendor ?? device.vendor,
        product: probe?.product ?? device.product,
        identity: probe?.identity.text ?? null,
        use: device.blockDevice === null ? null : uses.why(device.blockDevice),
      };
    }),
  );
}

function textOf(file: string): string {
  try {
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  } catch (thrown) {
    throw cannot("read", file, thrown);
  }
}

const cannot = (what: string, file: string, thrown: unknown): CommandError =>
  new CommandError("CONFIGURATION", `cannot ${what} ${file} (${(thrown as NodeJS.ErrnoException).code})`, {
    parameter: file,
    remedy: "run it as root, or name another file with --config",
  });

/** Refuses a file that has mistakes, or that says already what is to be served. */
function mustBeOpen(text: string, file: string): void {
  const checked = checkConfiguration(text, file);
  if (!checked.ok) {
    const [mistake] = checked.mistakes;
    const problem = mistake === undefined ? `${file} has a mistake` : mistakeText(mistake);
    throw new CommandError("CONFIGURATION", problem, { parameter: file, remedy: "correct the file first" });
  }
  const { devices, emulated } = checked.configuration;
  const what = emulated ? "serves the emulated array" : devices.length > 0 ? "selects devices already" : null;
  if (what === null) return;
  throw new CommandError("CONFIGURATION", `${file} ${what}: setup changes nothing`, {
    parameter: file,
    remedy: "edit it, and check it with pathctl config check",
  });
}

/** The file as it is to be: what it says must be what was proposed. */
function nextText(text: string, file: string, { selectors }: Proposal): string {
  const lines = linesOf(selectors);
  const next = edited(text, lines);
  const checked = checkConfiguration(next, file);
  if (checked.ok && isDeepStrictEqual(checked.configuration.devices, selectors)) return next;
  throw new CommandError("CONFIGURATION", `${file} cannot be edited by itself`, {
    parameter: file,
    remedy: `put these lines into it: ${lines.join("; ")}`,
  });
}

/** The old text or the new, whenever the machine stops. */
function replace(file: string, text: string): void {
  try {
    const beside = `${file}.new`;
    const descriptor = openSync(beside, "w", existsSync(file) ? statSync(file).mode & 0o777 : FILE_MODE);
    try {
      writeFileSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(beside, file);
  } catch (thrown) {
    throw cannot("write", file, thrown);
  }
}

function proposalText({ units, left, selectors }: Proposal, file: string): string {
  const paths = units.reduce((sum, unit) => sum + unit.paths.length, 0);
  const taken = units.map(
    ({ identity, vendor, product, paths: numbers }) =>
      `  ${vendor} ${product}  ${identity}\n    ${counted(numbers.length, "path")}: ${numbers.join(" ")}\n`,
  );
  const others = left.map(({ device, number, reason }) => `  ${device} (${number}): ${reason}\n`);
  return [
    `${pluralText(units.length, "unit")} over ${pluralText(paths, "path")}:\n`,
    ...taken,
    ...(others.length === 0 ? [] : ["Left alone:\n", ...others]),
    `${file} will say:\n`,
    ...linesOf(selectors).map((line) => `${line.replaceAll(/^/gm, "  ")}\n`),
  ].join("");
}

/** Has the daemon use the file: one that runs reads it again, otherwise it is started. */
async function use(client: Client, file: string): Promise<string | null> {
  try {
    await client.call<Output<"reloadConfig">>("POST", "/v1/config/reload");
    return null;
  } catch (thrown) {
    if (!(thrown instanceof CommandError) || thrown.code !== "NOT_RUNNING") throw thrown;
  }
  if (file !== CONFIGURATION_FILE || !existsSync(SYSTEMD)) return `start the daemon: pathmanagerd --config ${file}\n`;
  const { status, stderr } = spawnSync("systemctl", ["start", SERVICE], { encoding: "utf8" });
  if (status === 0) return null;
  throw new CommandError("NOT_RUNNING", `systemctl cannot start ${SERVICE}: ${stderr.trim()}`, {
    remedy: `see journalctl --unit ${SERVICE}`,
  });
}

/** Waits until each unit is a block device; the name by which it lasts where udev makes one. */
async function devicesText(client: Client, wanted: ReadonlySet<string>, { dev }: Places): Promise<string> {
  const end = Date.now() + DEVICES_MS_MAX;
  for (;;) {
    const { units } = await client.call<Output<"units">>("GET", "/v1/units");
    const ours = units.filter(({ identity }) => wanted.has(identity.text));
    const named = ours.map(({ name, attachments }) => ({ name, lasting: `pathmanager/${name}`, attachments }));
    const isThere = named.every(
      ({ lasting, attachments }) => attachments.length > 0 && (!existsSync(UDEV) || existsSync(`${dev}/${lasting}`)),
    );
    if ((isThere && ours.length === wanted.size) || Date.now() > end) {
      const lines = named.map(({ name, lasting, attachments: [first] }) => {
        const device = existsSync(`${dev}/${lasting}`) ? `/dev/${lasting}` : first?.device;
        return `${name}: ${device ?? "not yet a block device; pathctl show says why"}\n`;
      });
      return lines.join("");
    }
    await setTimeout(LOOK_MS);
  }
}

/** Runs the command. */
export async function setup(context: Context, options: SetupOptions, places: Places = PLACES): Promise<Result> {
  const { client, io, json } = context;
  const file = options.config ?? CONFIGURATION_FILE;
  const before = textOf(file);
  mustBeOpen(before, file);
  const proposal = propose(await disksOf(places));
  const { units, left } = proposal;
  const result = (written: boolean, text: string, status = 0): Result => ({
    json: { file, units, left, toml: linesOf(proposal.selectors).join("\n"), written },
    text,
    status,
  });
  if (units.length === 0) {
    const others = left.map(({ device, number, reason }) => `  ${device} (${number}): ${reason}\n`).join("");
    return result(false, `there is no unit that several free paths lead to\n${others}`, 1);
  }
  const after = nextText(before, file, proposal);
  const told = proposalText(proposal, file);
  if (options.yes !== true) {
    const answer = json ? undefined : await io.ask?.(`${told}Write this, and use these paths from now on? [y/N] `);
    if (answer === undefined) return result(false, `${told}Nothing was written; with --yes it is.\n`);
    if (!/^y(es)?$/i.test(answer.trim())) return result(false, "Nothing was written.\n", 1);
  }
  replace(file, after);
  const next = await use(client, file);
  const wanted = new Set(units.map(({ identity }) => identity));
  const rest = next ?? (await devicesText(client, wanted, places));
  return result(true, `${options.yes === true ? told : ""}${rest}`);
}
