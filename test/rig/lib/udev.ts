// The real systemd-udevd in the guest, with the rules of an installation.

import { copyFileSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { run } from "./command.ts";

const RULES = "59-pathmanager.rules";

/** Installs our rules and their helper where a package puts them. */
export function installRules(): void {
  copyFileSync(join("host/cli/packaging/system", RULES), join("/usr/lib/udev/rules.d", RULES));
  copyFileSync("build/udev/pathmanager_id", "/usr/lib/udev/pathmanager_id");
}

/** Starts udev, and waits until it has seen every disk; the guest's other devices would only take their time. */
export function startUdev(): void {
  run("modprobe", "nbd", "nbds_max=2");
  run("/lib/systemd/systemd-udevd", "--daemon");
  run("udevadm", "trigger", "--action=add", "--sysname-match=sd*", "--sysname-match=nbd*");
  settle();
}

export const settle = (): string => run("udevadm", "settle", "--timeout=60");

/** The udev properties of a device. */
export function propertiesOf(device: string): Map<string, string> {
  const lines = run("udevadm", "info", "--query=property", `--name=${device}`).trim().split("\n");
  return new Map(lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
}

/** Links below a folder of /dev, and the kernel's names of what they lead to. */
export function linksIn(folder: string): Map<string, string> {
  const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isSymbolicLink());
  return new Map(names.map(({ name }) => [name, readlinkSync(join(folder, name)).split("/").at(-1) ?? ""] as const));
}
