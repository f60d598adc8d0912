// SCSI devices that are units of this program (host/export/scsi-devices.ts): they have the arrays' identities, and must never be taken for
// paths. The kernel's target says which they are.

import { join } from "node:path";
import { readNames, readText } from "./attributes.ts";

/** World-wide names of our loopback targets. */
const TARGET = /^naa\.5001405504d[0-9a-f]{5}$/;
const STORE = "pathmanager_";

/**
 * Their numbers: host:channel:target:lun.
 * @param sysfs where sysfs is, normally `/sys`
 */
export function ownTargets(sysfs = "/sys"): ReadonlySet<string> {
  const loopback = join(sysfs, "kernel/config/target/loopback");
  const found = new Set<string>();
  // There are files as well.
  for (const name of readNames(loopback).filter((one) => one.includes("."))) {
    const group = join(loopback, name, "tpgt_1");
    const address = readText(join(group, "address"));
    if (address === null || !/^\d+:\d+:\d+$/.test(address)) continue;
    if (TARGET.test(name) || hasStore(group)) found.add(`${address}:0`);
  }
  return found;
}

/** Whether it has a store of ours, whatever its name: an administrator may have linked it to a target of his own. */
function hasStore(group: string): boolean {
  return readNames(join(group, "lun/lun_0")).some((name) => name.startsWith(STORE));
}
