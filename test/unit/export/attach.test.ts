// Attachment to the kernel's nbd driver, as far as it can be seen without the driver: what is refused, and that nothing
// is left behind. The rig has the driver. One after another: descriptors are counted.

import { readdirSync } from "node:fs";
import test from "ava";
import { deviceIndex, KernelAttachments } from "../../../host/export/attach.ts";
import { ExportError } from "../../../host/export/export-errors.ts";
import { closeDescriptor } from "../../../host/native/index.ts";

const LU0 = { unit: 0, number: 0, bytes: 1n << 20n, blockBytes: 512, capabilities: 0 };
/** No machine has that many; where there is no driver it is refused as well. */
const NOBODYS_DEVICE = "/dev/nbd9999";

test.serial("only /dev/nbdN is a device of the driver", (t) => {
  t.is(deviceIndex("/dev/nbd12"), 12);
  for (const device of ["/dev/nbd", "/dev/sda", "nbd0", "/dev/nbd0p1", "/dev/nbd-1", "/dev/nbd 0", ""]) {
    const error = t.throws(() => deviceIndex(device), { instanceOf: ExportError });
    t.is(error.code, "EXPORT_ATTACH_FAILED");
    t.true(error.message.includes("/dev/nbdN"));
  }
});

test.serial(
  "a refused attachment names device and unit, and closes every descriptor of the driver's side",
  async (t) => {
    const taken: number[] = [];
    const attachments = new KernelAttachments((descriptor) => Promise.resolve(taken.push(descriptor)));
    const before = readdirSync("/proc/self/fd").length;
    // A size that is no multiple of the block is refused before the driver is asked, wherever this runs.
    const error = await t.throwsAsync(
      attachments.attach({ ...LU0, bytes: 513n }, { device: NOBODYS_DEVICE, connections: 3 }),
      { instanceOf: ExportError },
    );
    t.is(error.code, "EXPORT_ATTACH_FAILED");
    t.true(error.message.includes("#0") && error.message.includes(NOBODYS_DEVICE), error.message);
    t.is(taken.length, 3);
    for (const descriptor of taken) closeDescriptor(descriptor);
    t.is(readdirSync("/proc/self/fd").length, before);
    t.deepEqual(attachments.list, []);
  },
);

test.serial("a reactor that takes no connection is the reason, and nothing is left behind", async (t) => {
  const attachments = new KernelAttachments((descriptor) => {
    closeDescriptor(descriptor);
    return Promise.reject(new Error("no room for another connection"));
  });
  const before = readdirSync("/proc/self/fd").length;
  const error = await t.throwsAsync(attachments.attach(LU0, { connections: 2 }), { instanceOf: ExportError });
  t.true(error.message.includes("no room for another connection"));
  t.is(readdirSync("/proc/self/fd").length, before);
});

test.serial("the number of connections is checked", async (t) => {
  const attachments = new KernelAttachments(() => Promise.reject(new Error("asked for nothing")));
  for (const connections of [0, 17, 1.5, Number.NaN]) {
    const error = await t.throwsAsync(attachments.attach(LU0, { connections }), { instanceOf: ExportError });
    t.true(error.message.includes("1 to 16"), error.message);
  }
});
