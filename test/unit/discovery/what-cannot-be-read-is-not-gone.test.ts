// A device that is not listed is taken out. So a list that cannot be read is no empty list: it is an error, and the paths stay.

import { mkdirSync, mkdtempSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { listSgDevices, readSgDevice } from "../../../host/discovery/sysfs.ts";

const root = (): string => mkdtempSync(join(tmpdir(), "pm-sysfs-"));

/** What cannot be read, whoever reads it: a link that leads to itself. */
function unreadable(path: string): void {
  mkdirSync(join(path, ".."), { recursive: true });
  symlinkSync(path, path);
}

test("without the sg driver there is no device", (t) => {
  t.deepEqual(listSgDevices(root()), []);
});

test("a list of devices that cannot be read is an error, not an empty list", (t) => {
  const sysfs = root();
  unreadable(join(sysfs, "class/scsi_generic"));
  t.throws(() => listSgDevices(sysfs), { message: /scsi_generic/ });
});

test("a device that cannot be looked at is an error, one that has just gone is none", (t) => {
  const sysfs = root();
  unreadable(join(sysfs, "class/scsi_generic/sg0/device"));
  t.throws(() => listSgDevices(sysfs), { message: /sg0/ });
  t.is(readSgDevice(sysfs, "sg1"), null);
});
