// The peer: the kernel's dm-multipath with multipathd, configured as an administrator would. It needs udev, so udev is
// started, too.

import { existsSync, writeFileSync } from "node:fs";
import { until } from "../../until.ts";
import { attempt, run, start } from "./command.ts";

/** Its path selector. */
export type Selector = "service-time" | "queue-length" | "round-robin";

/** The settings for a fair comparison; everything else is Debian's default for the device. */
const settings = (selector: Selector, more: string): string => `
defaults {
  user_friendly_names yes
  find_multipaths no
  path_checker tur
  path_selector "${selector} 0"
  no_path_retry queue
  failback immediate
${more}`;

export const MULTIPATH_DEVICE = "/dev/mapper/mpatha";

/** Starts udev, from which multipath-tools gets its devices. */
export function startUdev(): void {
  run("/lib/systemd/systemd-udevd", "--daemon");
  run("udevadm", "trigger");
  run("udevadm", "settle");
}

/**
 * Starts udev and multipathd and waits for the device with `paths` active paths.
 * @param more settings, and sections after them; it ends the section of defaults
 */
export async function startMultipath(paths: number, selector: Selector, more = "}\n"): Promise<void> {
  run("modprobe", "-a", "dm-multipath", `dm-${selector}`);
  // Only an array with ALUA needs it, and it may be built into the kernel.
  attempt("modprobe", ["scsi_dh_alua"]);
  startUdev();
  writeFileSync("/etc/multipath.conf", settings(selector, more));
  void start("multipathd", "-d");
  await until(
    `${MULTIPATH_DEVICE} has ${paths} active paths`,
    () => {
      if (!existsSync(MULTIPATH_DEVICE)) return undefined;
      const active = run("multipath", "-ll").match(/active ready/g);
      return active !== null && active.length >= paths;
    },
    30_000,
  );
}
