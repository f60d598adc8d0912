// systemd in the guest: the first process of its own PID namespace, as in a container.

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { until } from "../../until.ts";
import { attempt, type Outcome, run, start } from "./command.ts";

const CGROUPS = "/sys/fs/cgroup";
const UNITS = "/run/systemd/system";
const TARGET = "rig.target";
/** Units of a machine's start that the guest has already run or does not need: each would cost seconds here. */
const MASKED = [
  "systemd-udevd.service",
  "systemd-udev-trigger.service",
  "systemd-tmpfiles-setup.service",
  "systemd-tmpfiles-setup-dev.service",
  "systemd-sysusers.service",
  "systemd-sysctl.service",
  "systemd-update-utmp.service",
  "systemd-random-seed.service",
  "systemd-journal-catalog-update.service",
  "systemd-hwdb-update.service",
  "systemd-remount-fs.service",
  "systemd-timesyncd.service",
  "ldconfig.service",
  "proc-sys-fs-binfmt_misc.automount",
  "sys-kernel-debug.mount",
  "sys-kernel-tracing.mount",
  "dev-hugepages.mount",
  "dev-mqueue.mount",
  "swap.target",
  "local-fs.target",
];

/** Its PID in the guest's numbering. */
let pid = 0;

const NAMESPACES = ["--pid", "--mount"];

/** Runs a program within its namespaces: systemd does not answer processes that it cannot see. */
export function inside(program: string, ...args: readonly string[]): Outcome {
  return attempt("nsenter", ["--target", String(pid), ...NAMESPACES, program, ...args]);
}

/** The same, beside the test. */
export const insideBeside = (program: string, ...args: readonly string[]): Promise<Outcome> =>
  start("nsenter", "--target", String(pid), ...NAMESPACES, program, ...args);

export const systemctl = (...args: readonly string[]): Outcome => inside("systemctl", ...args);

/** The journal of a service. */
export const journal = (service: string): string => inside("journalctl", "--no-pager", "--unit", service).stdout;

/** Starts systemd and waits until it accepts commands. */
export async function startSystemd(): Promise<void> {
  run("mount", "-t", "cgroup2", "cgroup2", CGROUPS);
  mkdirSync(UNITS, { recursive: true });
  for (const unit of MASKED) symlinkSync("/dev/null", `${UNITS}/${unit}`);
  writeFileSync(`${UNITS}/${TARGET}`, "[Unit]\nDescription=The guest\n");
  const first = `mount -t proc proc /proc && exec env container=rig /lib/systemd/systemd --unit=${TARGET}`;
  const namespaces = ["--pid", "--fork", "--mount", "--propagation", "private"];
  const systemd = start("unshare", ...namespaces, "bash", "-c", first);
  let ended: Outcome | undefined = undefined;
  void systemd.then((outcome) => (ended = outcome));
  await until(
    "systemd takes orders",
    () => {
      if (ended !== undefined) throw new Error(`systemd ended: ${JSON.stringify(ended)}`);
      pid = Number(readFileSync(`/proc/${systemd.pid}/task/${systemd.pid}/children`, "utf8"));
      return pid !== 0 && systemctl("is-active", TARGET).stdout === "active\n";
    },
    60_000,
  );
}

/** Processes of a service, in the guest's numbering. */
export function processesOf(service: string): number[] {
  return run("cat", `${CGROUPS}/system.slice/${service}/cgroup.procs`).trim().split("\n").map(Number);
}
