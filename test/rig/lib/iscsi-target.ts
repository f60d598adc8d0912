// The kernel's iSCSI target on this machine, which exports what the kernel's SCSI target has.

import { mkdirSync, rmdirSync, symlinkSync, unlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { run } from "./command.ts";
import { writeText } from "./files.ts";

const FABRIC = "/sys/kernel/config/target/iscsi";
const PORTAL = "127.0.0.1:3260";
const OPEN = { authentication: 0, demo_mode_write_protect: 0, generate_node_acls: 1, cache_dynamic_acls: 1 };

/** Exports a store (a folder below /sys/kernel/config/target/core) to every initiator. Returns its URL, and what takes it back. */
export function exportStore(name: string, store: string): { readonly url: string; readonly remove: () => void } {
  run("modprobe", "iscsi_target_mod");
  const target = join(FABRIC, name);
  const group = join(target, "tpgt_1");
  mkdirSync(FABRIC, { recursive: true });
  mkdirSync(group, { recursive: true });
  for (const [attribute, value] of Object.entries(OPEN)) writeText(join(group, "attrib", attribute), value);
  const lun = join(group, "lun/lun_0");
  mkdirSync(lun);
  symlinkSync(store, join(lun, basename(store)));
  mkdirSync(join(group, "np", PORTAL));
  writeText(join(group, "enable"), 1);
  const remove = (): void => {
    writeText(join(group, "enable"), 0);
    rmdirSync(join(group, "np", PORTAL));
    unlinkSync(join(lun, basename(store)));
    for (const folder of [lun, group, target]) rmdirSync(folder);
  };
  return { url: `iscsi://${PORTAL}/${name}/0`, remove };
}
