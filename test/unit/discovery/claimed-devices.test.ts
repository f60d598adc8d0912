// What is held of the kernel's block devices, and when it is let go. That a held one cannot be mounted is shown on a real
// kernel (test/rig/tests/claims.rig.ts).

import test from "ava";
import { Claims } from "../../../host/discovery/claims.ts";

/** Devices as the kernel gives them: exclusively to one at a time. */
class Devices {
  readonly held = new Set<string>();
  readonly opened: string[] = [];
  forbidden = false;

  readonly open = (device: string) => {
    this.opened.push(device);
    if (this.forbidden) return Promise.resolve("EACCES");
    if (this.held.has(device)) return Promise.resolve("EBUSY");
    this.held.add(device);
    const close = (): Promise<void> => {
      this.held.delete(device);
      return Promise.resolve();
    };
    return Promise.resolve({ close });
  };
}

test("a path's device is opened once, held, and let go with the path", async (t) => {
  const devices = new Devices();
  const claims = new Claims(devices.open);
  const [one, two] = [{}, {}];
  t.is(await claims.claim(one, "sda"), null);
  t.is(await claims.claim(one, "sda"), null);
  t.is(await claims.claim(two, "sdb"), null);
  t.deepEqual(devices.opened, ["/dev/sda", "/dev/sdb"]);
  await claims.release(one);
  t.deepEqual([...devices.held], ["/dev/sdb"]);
  await claims.releaseAll();
  t.is(devices.held.size, 0);
});

test("a device that somebody else has is refused with the reason, and can be had when he is done", async (t) => {
  const devices = new Devices();
  devices.held.add("/dev/sda");
  const claims = new Claims(devices.open);
  const path = {};
  t.is(await claims.claim(path, "sda"), "/dev/sda is in exclusive use by another program");
  devices.held.delete("/dev/sda");
  t.is(await claims.claim(path, "sda"), null);
  t.deepEqual([...devices.held], ["/dev/sda"]);
});

test("a path that has another device now lets the old one go; one without a block device holds none", async (t) => {
  const devices = new Devices();
  const claims = new Claims(devices.open);
  const path = {};
  await claims.claim(path, "sda");
  t.is(await claims.claim(path, "sdc"), null);
  t.deepEqual([...devices.held], ["/dev/sdc"]);
  t.is(await claims.claim(path, null), null);
  t.is(devices.held.size, 0);
});

test("a device that may not be opened is no reason to do without the path, and is tried again", async (t) => {
  const devices = new Devices();
  devices.forbidden = true;
  const claims = new Claims(devices.open);
  const path = {};
  t.is(await claims.claim(path, "sda"), null);
  devices.forbidden = false;
  t.is(await claims.claim(path, "sda"), null);
  t.deepEqual([...devices.held], ["/dev/sda"]);
});
