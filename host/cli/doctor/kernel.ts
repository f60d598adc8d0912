// What the kernel and Node offer: Node's version, io_uring, modules, clocks, limits, capabilities.

import { existsSync } from "node:fs";
import { join } from "node:path";

import { readNames, readText } from "../../discovery/sysfs.ts";
import { error, note, ok, warning, type Finding, type Machine } from "./finding.ts";
import { counted } from "../../wording.ts";

const NODE_MAJOR_MIN = 24;

/** Node's version. */
export function checkNode(machine: Machine): Finding[] {
  const major = Number(machine.nodeVersion.replace(/^v/, "").split(".")[0]);
  const text = `Node ${machine.nodeVersion}`;
  return major >= NODE_MAJOR_MIN
    ? [ok("node", text)]
    : [error("node", `${text} is too old`, `install Node ${NODE_MAJOR_MIN} or later`)];
}

/** Whether a sysctl or the sandbox forbids io_uring; whether a ring can be created is tried in addon.ts. */
export function checkUringSwitch(machine: Machine): Finding[] {
  const disabled = readText(join(machine.proc, "sys/kernel/io_uring_disabled"));
  if (disabled === "2" || (disabled === "1" && machine.uid !== 0)) {
    return [
      warning(
        "io_uring",
        `switched off (kernel.io_uring_disabled = ${disabled}); the slower epoll way is used`,
        "sysctl kernel.io_uring_disabled=0",
      ),
    ];
  }
  return [];
}

const load = (name: string): string =>
  `modprobe ${name}; for every start: echo ${name} > /etc/modules-load.d/${name}.conf`;

/** nbd for block devices, sg for SCSI devices. */
export function checkModules(machine: Machine): Finding[] {
  const present = (name: string, trace: string): boolean =>
    existsSync(join(machine.sys, "module", name)) || existsSync(join(machine.sys, trace));
  return [
    present("sg", "class/scsi_generic")
      ? ok("sg", "SCSI generic devices are there")
      : warning("sg", "the module sg is not loaded: there are no /dev/sg* to use", load("sg")),
    present("nbd", "block/nbd0")
      ? ok("nbd", "the kernel's nbd driver is there")
      : warning("nbd", "the module nbd is not loaded: units cannot become /dev/nbdN", load("nbd")),
    existsSync(join(machine.sys, "module", "ublk_drv"))
      ? ok("ublk", "the kernel's ublk driver is there")
      : note(
          "ublk",
          "the module ublk_drv is not loaded: units become /dev/nbdN, not the faster /dev/ublkbN",
          load("ublk_drv"),
        ),
    existsSync(join(machine.sys, "module", "target_core_user")) && existsSync(join(machine.sys, "kernel/config/target"))
      ? ok("target", "the kernel's SCSI target is there, with stores in user space")
      : note(
          "target",
          "the module target_core_user is not loaded, or configfs is not mounted: units cannot become SCSI devices (--scsi)",
          load("target_core_user"),
        ),
  ];
}

const CAPABILITIES: readonly (readonly [string, number, string])[] = [
  ["CAP_SYS_RAWIO", 17, "every SCSI command on /dev/sg*"],
  ["CAP_SYS_ADMIN", 21, "attaching /dev/nbdN, /dev/ublkbN and SCSI devices, resets"],
  ["CAP_SYS_RESOURCE", 24, "no waiting for memory that has to be written through the daemon"],
];

/** The capabilities of this process; they equal the daemon's when root or the service's user runs both. */
export function checkCapabilities(machine: Machine): Finding[] {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readText(join(machine.proc, "self/status")) ?? "")?.[1];
  if (effective === undefined) return [];
  const held = BigInt(`0x${effective}`);
  const missing = CAPABILITIES.filter(([, bit]) => ((held >> BigInt(bit)) & 1n) === 0n);
  if (missing.length === 0) {
    return [ok("permissions", `${CAPABILITIES.map(([name]) => name).join(", ")} are held`)];
  }
  const names = missing.map(([name, , use]) => `${name} (${use})`).join(", ");
  return [
    note("permissions", `this user lacks ${names}`, "the daemon needs them: start it as root or by its systemd unit"),
  ];
}

const FILES_MIN = 4096;

/** Open files: 8 descriptors per path at depth 128. */
export function checkLimits(machine: Machine): Finding[] {
  const limits = readText(join(machine.proc, "self/limits")) ?? "";
  const files = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1];
  if (files === undefined) return [];
  if (files !== "unlimited" && Number(files) < FILES_MIN) {
    return [
      warning(
        "limits",
        `at most ${counted(Number(files), "open file")}: enough for ${counted(Math.floor(Number(files) / 8), "path")} at depth 128`,
        "raise LimitNOFILE in the service, or ulimit -n",
      ),
    ];
  }
  return [ok("limits", `${counted(Number(files), "open file")}`)];
}

const SLOW_CLOCKS = new Set(["hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit"]);

/** Every I/O reads the clock; a slow clock costs a microsecond each time. */
export function checkClock(machine: Machine): Finding[] {
  const folder = join(machine.sys, "devices/system/clocksource/clocksource0");
  const current = readText(join(folder, "current_clocksource"));
  if (current === null) return [note("clock", "the kernel does not say which clock it reads")];
  if (!SLOW_CLOCKS.has(current)) return [ok("clock", `clock source ${current}`)];
  const available = (readText(join(folder, "available_clocksource")) ?? "").split(/\s+/);
  const better = available.find((name) => !SLOW_CLOCKS.has(name) && name !== "");
  return [
    warning(
      "clock",
      `clock source ${current} is slow to read`,
      better === undefined
        ? "see the kernel's log for why tsc was given up (dmesg | grep -i clocksource)"
        : `echo ${better} > /sys/devices/system/clocksource/clocksource0/current_clocksource`,
    ),
  ];
}

/** multipathd claims the same disks, unless it is configured not to. */
export function checkMultipathd(machine: Machine): Finding[] {
  const running = readNames(machine.proc).some(
    (name) => /^\d+$/.test(name) && readText(join(machine.proc, name, "comm")) === "multipathd",
  );
  if (!running) return [];
  return [
    warning(
      "multipathd",
      "multipathd is running: it takes devices that PathManager could use",
      "blacklist the devices in /etc/multipath.conf, or systemctl disable --now multipathd (pathctl import takes its settings over)",
    ),
  ];
}
