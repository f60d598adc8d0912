// dm-multipath set up with dmsetup alone: no udev and no multipathd, whose start takes minutes where instructions are translated.

import { run } from "./command.ts";
import type { Selector } from "./multipath.ts";
import { scsiDevices } from "./scsi.ts";

const NAME = "bare";

/** All paths in one priority group, as multipathd would make it for paths that are alike. Returns the device. */
export function bareMultipath(selector: Selector, mode: "rq" | "bio", mib: number): string {
  const disks = scsiDevices().flatMap(({ sd }) => sd ?? []);
  run("modprobe", "-a", "dm-multipath", `dm-${selector}`);
  const sectors = (mib * 2 ** 20) / 512;
  const counts = selector === "service-time" ? "1 1" : "1";
  const paths = disks.map((disk) => `${disk} ${counts}`).join(" ");
  const argumentCount = selector === "service-time" ? 2 : 1;
  const table = `0 ${sectors} multipath 2 queue_mode ${mode} 0 1 1 ${selector} 0 ${disks.length} ${argumentCount} ${paths}`;
  run("dmsetup", "create", NAME, "--noudevsync", "--table", table);
  return `/dev/dm-${run("dmsetup", "info", "-c", "--noheadings", "-o", "minor", NAME).trim()}`;
}

export const removeBareMultipath = (): void => void run("dmsetup", "remove", "--noudevsync", "--retry", NAME);
