// Debian packages that the rig needs: each with the program it is needed for; installed by name where permitted.

import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { join } from "node:path";

/** A Debian package and the program it is needed for; null when it has none, but a library. */
export interface DebianPackage {
  readonly package: string;
  readonly program: string | null;
}

/** Needed to boot. */
export const BOOT_PACKAGES: readonly DebianPackage[] = [
  { package: "user-mode-linux", program: "linux.uml" },
  { package: "gcc", program: "cc" },
  { package: "kmod", program: "modprobe" },
];

/** Needed to boot the virtual machine. Its kernel is fetched for each tree (ublk-kernel.ts). */
export const VIRTUAL_PACKAGES: readonly DebianPackage[] = [
  { package: "qemu-system-x86", program: "qemu-system-x86_64" },
  { package: "kmod", program: "modprobe" },
  { package: "xz-utils", program: "xz" },
];

/** Needed by the tests in addition. */
export const TEST_PACKAGES: readonly DebianPackage[] = [
  ...BOOT_PACKAGES,
  { package: "sg3-utils", program: "sg_rtpg" },
  { package: "lsscsi", program: "lsscsi" },
  { package: "fio", program: "fio" },
  { package: "stress-ng", program: "stress-ng" },
  { package: "nbd-client", program: "nbd-client" },
  { package: "libnbd-bin", program: "nbdcopy" },
  { package: "qemu-utils", program: "qemu-img" },
  { package: "multipath-tools", program: "multipathd" },
  { package: "dmsetup", program: "dmsetup" },
  { package: "mdadm", program: "mdadm" },
  { package: "e2fsprogs", program: "mkfs.ext4" },
  { package: "systemd", program: "systemctl" },
  { package: "udev", program: "udevadm" },
  { package: "udisks2", program: "udisksctl" },
  { package: "fdisk", program: "sfdisk" },
  { package: "lvm2", program: "pvcreate" },
  { package: "bcache-tools", program: "make-bcache" },
  { package: "rsyslog", program: "rsyslogd" },
  { package: "snmptrapd", program: "snmptrapd" },
  { package: "fence-agents", program: "fence_mpath" },
  { package: "resource-agents", program: "ocf-tester" },
  { package: "pacemaker-cli-utils", program: "crm_resource" },
  { package: "pcs", program: "pcs" },
  { package: "libxml2-utils", program: "xmllint" },
  { package: "libiscsi-bin", program: "iscsi-test-cu" },
  { package: "open-iscsi", program: "iscsiadm" },
  { package: "iproute2", program: "ip" },
];

/** Where the programs of daemons may be, even if an ordinary user's PATH does not include it. */
const FOLDERS = [
  ...(process.env["PATH"] ?? "").split(":"),
  "/usr/local/sbin",
  "/usr/sbin",
  "/sbin",
  "/usr/bin",
  "/bin",
];

/** The absolute path of a program, or undefined. */
export function findProgram(program: string): string | undefined {
  return FOLDERS.filter((folder) => folder !== "")
    .map((folder) => join(folder, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

const isThere = ({ package: name, program }: DebianPackage): boolean =>
  program === null ? existsSync(`/var/lib/dpkg/info/${name}.list`) : findProgram(program) !== undefined;

function aptGet(args: readonly string[]): boolean {
  const result = spawnSync("apt-get", ["-q", "-y", ...args], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  return result.status === 0;
}

/**
 * Installs missing packages by name, if this process may.
 *
 * @returns the packages that are still missing; empty when all are there
 */
export function ensurePackages(wanted: readonly DebianPackage[]): readonly DebianPackage[] {
  const missing = (): readonly DebianPackage[] => wanted.filter((one) => !isThere(one));
  const names = missing().map((entry) => entry.package);
  if (names.length === 0) return [];
  if (process.getuid?.() === 0 && findProgram("apt-get") !== undefined) {
    process.stderr.write(`rig: installing the Debian packages ${names.join(" ")}\n`);
    const install = ["install", "--no-install-recommends", ...names];
    // On a new machine the package lists are empty or old: the first attempt then fails, the second has new lists.
    if (!aptGet(install) && aptGet(["update"])) aptGet(install);
  }
  return missing();
}

/** One sentence that names what is missing and what to do about it. */
export function missingSentence(missing: readonly DebianPackage[], who = "rig"): string {
  const names = missing.map((entry) => entry.package).join(" ");
  return `${who}: missing Debian packages: ${names} (install them: sudo apt-get install ${names})`;
}
