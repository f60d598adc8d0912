// What a collection consists of, part by part. Each part is limited in size and fails on its own: what cannot be read becomes a
// remark in the manifest.

import { execFile } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { hostname, release, uptime, version as kernelVersion } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { bodyText, type Client } from "../api-client.ts";
import { packageVersion } from "../io.ts";
import type { DaemonPlaces } from "./daemon-places.ts";
import { linesOf, readLog } from "./log-lines.ts";
import { redactCommandLine, redactToml, redactValue } from "./redact.ts";
import { storedState } from "./stored-state.ts";

export interface SourceContext {
  readonly client: Client;
  readonly places: DaemonPlaces;
  readonly sinceMs: number | undefined;
  readonly sys: string;
  readonly proc: string;
}

/** One part: the files it yields, by name. */
export interface Source {
  readonly what: string;
  readonly read: (context: SourceContext) => Promise<Readonly<Record<string, string>>>;
}

const API_MS_MAX = 10_000;
const COMMAND_MS_MAX = 15_000;
const COMMAND_BYTES_MAX = 8 * 1024 * 1024;
const DEVICES_MAX = 4096;

const json = (value: unknown): string => `${JSON.stringify(value, null, 1)}\n`;

/** A file's text; null when there is none. */
function text(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}

/** Those files that there are, by the names they get. */
function existing(files: Readonly<Record<string, string>>): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, file] of Object.entries(files)) {
    const content = text(file);
    if (content !== null) found[name] = content;
  }
  return found;
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder).slice(0, DEVICES_MAX);
  } catch {
    return [];
  }
}

/** Attributes of sysfs that are worth knowing; reading any of them has no effect. */
const DEVICE_FACTS = [
  "vendor",
  "model",
  "rev",
  "type",
  "state",
  "queue_depth",
  "timeout",
  "iorequest_cnt",
  "iodone_cnt",
  "ioerr_cnt",
  "iotmo_cnt",
];
const HOST_FACTS = ["proc_name", "state", "can_queue", "cmd_per_lun", "host_busy", "unique_id"];
const PORT_FACTS = ["port_name", "node_name", "port_state", "port_type", "speed", "fabric_name", "sas_address"];

function facts(folder: string, wanted: readonly string[]): Record<string, string> {
  const found = wanted.map((name) => [name, text(join(folder, name))?.trim()] as const);
  return Object.fromEntries(found.filter((pair): pair is readonly [string, string] => pair[1] !== undefined));
}

function linkOf(file: string): string | null {
  try {
    return readlinkSync(file);
  } catch {
    return null;
  }
}

function sysfsFacts(sys: string): unknown {
  const generic = join(sys, "class/scsi_generic");
  const devices = names(generic).map((name) => {
    const device = join(generic, name, "device");
    const place = { device: linkOf(join(generic, name)), block: names(join(device, "block")) };
    return { name, place, facts: facts(device, DEVICE_FACTS) };
  });
  const hosts = ["scsi_host", "fc_host", "sas_phy", "iscsi_host"].flatMap((kind) =>
    names(join(sys, "class", kind)).map((name) => ({
      name,
      kind,
      facts: facts(join(sys, "class", kind, name), PORT_FACTS.concat(HOST_FACTS)),
    })),
  );
  return { devices, hosts };
}

/** What a program prints, its end if it is long. */
async function output(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, {
    timeout: COMMAND_MS_MAX,
    maxBuffer: COMMAND_BYTES_MAX,
    env: { ...process.env, LC_ALL: "C" },
  });
  return stdout;
}

const API_PARTS = ["status", "units", "arrays", "statistics", "mode", "config"] as const;

const api: readonly Source[] = API_PARTS.map((name) => ({
  what: `the daemon's ${name}`,
  read: async ({ client }) => {
    const answer = await client.call<unknown>("GET", `/v1/${name}`, undefined, API_MS_MAX);
    return { [`daemon/${name}.json`]: json(redactValue(answer)) };
  },
}));

const isoOf = (ms: number): string => `@${Math.floor(ms / 1000)}`;

/** Every part, the most telling first: what comes late may find no time left. */
export const SOURCES: readonly Source[] = [
  {
    what: "versions",
    read: async ({ proc }) => {
      const machine = {
        host: hostname(),
        kernel: release(),
        kernelVersion: kernelVersion(),
        uptimeS: Math.round(uptime()),
      };
      const versions = { pathmanager: packageVersion(), node: process.version, ...machine };
      const system = text("/etc/os-release") ?? "";
      return {
        "machine/versions.json": json({ ...versions, os: system }),
        "machine/cmdline": redactCommandLine(text(join(proc, "cmdline")) ?? ""),
        "machine/meminfo": text(join(proc, "meminfo")) ?? "",
        "machine/modules": text(join(proc, "modules")) ?? "",
      };
    },
  },
  {
    what: "the event log",
    read: async ({ places, sinceMs }) => {
      if (sinceMs !== undefined) {
        const lines = linesOf(readLog(places.eventLog), { fromMs: sinceMs });
        return { "log/spsevent.log": lines.map(({ line }) => `${line}\n`).join("") };
      }
      readLog(places.eventLog);
      return existing({ "log/spsevent.log.old": `${places.eventLog}.old`, "log/spsevent.log": places.eventLog });
    },
  },
  {
    what: "the last reactor trap",
    read: async ({ places }) => existing({ "state/running.json": join(places.stateDirectory, "running.json") }),
  },
  {
    what: "events and settings",
    read: async ({ places, sinceMs }) => storedState(places.stateDirectory, sinceMs),
  },
  {
    what: "the configuration",
    read: async ({ places }): Promise<Record<string, string>> => {
      const file = text(places.configurationFile);
      return file === null ? {} : { "configuration/pathmanager.toml": redactToml(file) };
    },
  },
  ...api,
  {
    what: "metrics and latency histograms",
    read: async ({ client }) => {
      const response = await client.open("GET", "/metrics", undefined, API_MS_MAX);
      const body = await bodyText(response);
      if ((response.statusCode ?? 0) >= 400) throw new Error(`status ${response.statusCode}`);
      return { "daemon/metrics.txt": body };
    },
  },
  { what: "devices in sysfs", read: async ({ sys }) => ({ "machine/sysfs.json": json(sysfsFacts(sys)) }) },
  {
    what: "SCSI generic",
    read: async ({ proc }) => {
      const wanted = ["scsi/scsi", "scsi/sg/debug", "scsi/sg/devices", "scsi/sg/device_strs"];
      return existing(
        Object.fromEntries(wanted.map((name) => [`machine/proc/${name.replaceAll("/", "-")}`, join(proc, name)])),
      );
    },
  },
  { what: "kernel messages", read: async () => ({ "machine/dmesg": await output("dmesg", ["--time-format", "iso"]) }) },
  {
    what: "the unit's journal",
    read: async ({ sinceMs }) => {
      const since = sinceMs === undefined ? [] : [`--since=${isoOf(sinceMs)}`];
      const args = ["--unit=pathmanagerd", "--no-pager", "--output=short-iso-precise", "--lines=20000", ...since];
      return { "machine/journal": await output("journalctl", args) };
    },
  },
];
