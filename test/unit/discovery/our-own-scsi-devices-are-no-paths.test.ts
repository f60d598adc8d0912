// A unit that is a SCSI device of this machine has the array's identity: it must be neither a path of itself, nor a use of the unit.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { ownTargets } from "../../../host/discovery/own-targets.ts";

test("our loopback targets and our stores are recognised; those of others are not, files are none", (t) => {
  const sysfs = mkdtempSync(join(tmpdir(), "pathmanager-own-"));
  t.teardown(() => rmSync(sysfs, { recursive: true, force: true }));
  t.deepEqual([...ownTargets(sysfs)], [], "no target at all");
  const loopback = join(sysfs, "kernel/config/target/loopback");
  const target = (name: string, address: string, store: string): void => {
    mkdirSync(join(loopback, name, "tpgt_1/lun/lun_0", store), { recursive: true });
    writeFileSync(join(loopback, name, "tpgt_1/address"), `${address}\n`);
  };
  mkdirSync(loopback, { recursive: true });
  writeFileSync(join(loopback, "version"), "x");
  writeFileSync(join(loopback, "v.2"), "x");
  target("naa.6001405000000001", "3:0:1", "lu0");
  target("naa.5001405504d00002", "4:0:1", "pathmanager_2");
  target("naa.6001405000000003", "5:0:1", "pathmanager_7");
  target("naa.5001405504d00004", "", "pathmanager_4");
  t.deepEqual([...ownTargets(sysfs)].toSorted(), ["4:0:1:0", "5:0:1:0"]);
});
