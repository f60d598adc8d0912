// An operator has the hosts scanned: the kernel looks for new devices and new sizes, then the daemon for new paths.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readNames } from "../../discovery/attributes.ts";
import type { Context } from "../devices/operation-context.ts";
import { ControlError } from "../ground/control-errors.ts";
import { isShown } from "../inventory/inventory.ts";
import type { HostScan, RescanReport } from "../schemas/path-schema.ts";

/** How long a scan of the kernel is waited for; it goes on by itself. */
const SCAN_MS_MAX = 30_000;
const HOSTS = "/sys/class/scsi_host";
/** Transports to arrays: their hosts are scanned although no path is known there yet. */
const TRANSPORTS = ["/sys/class/fc_host", "/sys/class/iscsi_host", "/sys/class/sas_host"];

/** Whether the daemon serves real devices. */
export interface Sources {
  readonly isEmulated: boolean;
}

/**
 * Writes to files of sysfs, one after the other. A driver may take minutes, and the write cannot be ended meanwhile: a process of
 * its own waits for it, not one of the few threads that the daemon shares.
 */
function writeAll(files: readonly (readonly [file: string, text: string])[]): Promise<string | null> {
  const script =
    'while [ $# -gt 1 ]; do { printf "%s\\n" "$2" > "$1"; } 2>/dev/null || failed="$failed $1"; shift 2; done; printf "%s" "$failed"';
  const child = spawn("/bin/sh", ["-c", script, "sh", ...files.flat()], { stdio: ["ignore", "pipe", "ignore"] });
  const { promise, resolve } = Promise.withResolvers<string | null>();
  let failed = "";
  child.stdout.on("data", (chunk: Buffer) => (failed += chunk.toString()));
  const timer = setTimeout(() => {
    child.unref();
    child.stdout.destroy();
    resolve(`the kernel is still scanning after ${SCAN_MS_MAX / 1000} s; new devices are taken as they appear`);
  }, SCAN_MS_MAX);
  child.once("error", (error) => resolve(error.message));
  child.once("close", () => resolve(failed === "" ? null : `the kernel refused to scan:${failed}`));
  void promise.then(() => clearTimeout(timer));
  return promise;
}

function hostsToScan({ inventory }: Context, only: number | undefined): string[] {
  if (only !== undefined) {
    if (existsSync(join(HOSTS, `host${only}`))) return [String(only)];
    throw new ControlError("UNKNOWN_HOST", `there is no SCSI host ${only}`, {
      parameter: "host",
      remedy: "`pathctl show arrays` lists the hosts of the paths, /sys/class/scsi_host all of them",
    });
  }
  const ofPaths = inventory
    .paths()
    .filter(isShown)
    .map(({ number }) => `host${number.split(":")[0]}`);
  const names = new Set([...ofPaths, ...TRANSPORTS.flatMap((folder) => readNames(folder))]);
  return [...names].map((name) => name.replace("host", "")).filter((host) => existsSync(join(HOSTS, `host${host}`)));
}

async function scanHost({ inventory }: Context, host: string): Promise<HostScan> {
  const devices = inventory.paths().filter((path) => isShown(path) && path.number.startsWith(`${host}:`));
  const reason = await writeAll([
    [join(HOSTS, `host${host}`, "scan"), "- - -"],
    // A size that has changed is noticed only on a device that is looked at again.
    ...devices.map(({ number }) => [`/sys/class/scsi_device/${number}/device/rescan`, "1"] as const),
  ]);
  return { host: Number(host), done: reason === null, reason };
}

export async function rescanHosts(
  context: Context,
  only: number | undefined,
  { isEmulated }: Sources,
): Promise<RescanReport> {
  const shown = (): Set<string> =>
    new Set(
      context.inventory
        .paths()
        .filter(isShown)
        .map(({ number }) => number),
    );
  const before = shown();
  const hosts = isEmulated ? [] : hostsToScan(context, only);
  const scans = await Promise.all(hosts.map((host) => scanHost(context, host)));
  await context.rescan();
  const after = shown();
  return {
    hosts: scans,
    pathsAdded: [...after].filter((path) => !before.has(path)),
    pathsRemoved: [...before].filter((path) => !after.has(path)),
    paths: after.size,
  };
}
