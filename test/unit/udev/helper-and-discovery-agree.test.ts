// udev's helper decides who a device is by rules of its own, in Rust: on whatever pages they agree with those of discovery.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import fc from "fast-check";
import { keptProbe } from "../../../host/discovery/kernel-pages.ts";
import type { SgDevice } from "../../../host/discovery/sysfs.ts";
import { designator, naa6, standard, vpd } from "../discovery/pages.ts";

const HELPER = "build/udev/pathmanager_id";
/** Disks that the helper is asked about at once: each start of a program takes its time. */
const DISKS = 150;
const numberOf = (disk: number): string => `4:0:0:${disk}`;

/** A tree like /sys with so many disks; the kernel keeps the pages of each in its folder. */
function layOut(sysfs: string): string[] {
  mkdirSync(join(sysfs, "block"), { recursive: true });
  return Array.from({ length: DISKS }, (_, disk) => {
    const device = join(sysfs, "class/scsi_device", numberOf(disk), "device");
    mkdirSync(device, { recursive: true });
    mkdirSync(join(sysfs, "block", `sd${disk}`));
    symlinkSync(device, join(sysfs, "block", `sd${disk}`, "device"));
    return device;
  });
}

function byHelper(sysfs: string): Map<string, string> {
  const { stdout, error } = spawnSync(HELPER, ["--list", "--sysfs", sysfs], { encoding: "utf8" });
  if (error !== undefined) throw error;
  const lines = stdout.split("\n").filter((line) => line !== "");
  return new Map(lines.map((line) => [line.slice(0, line.indexOf("\t")), line.slice(line.indexOf("\t") + 1)]));
}

const bytes = (max: number): fc.Arbitrary<Uint8Array> =>
  fc
    .array(fc.constantFrom(0, 0x20, 0x30, 0x41, 0x78, 0x3a, 0xff, 0xe4), { maxLength: max })
    .map((array) => Uint8Array.from(array));
const binary = (length: number, first: readonly number[]): fc.Arbitrary<Uint8Array> =>
  fc
    .tuple(
      fc.constantFrom(...first),
      fc.array(fc.constantFrom(0, 1, 0xff, 0x5a), { minLength: length - 1, maxLength: length - 1 }),
    )
    .map(([head, tail]) => Uint8Array.of(head, ...tail));
const ASSOCIATION = fc.constantFrom(0, 0, 0, 1, 2);
const oneOf = (
  type: number,
  content: fc.Arbitrary<Uint8Array>,
  codeSets: readonly number[],
): fc.Arbitrary<Uint8Array> =>
  fc
    .tuple(ASSOCIATION, content, fc.constantFrom(...codeSets))
    .map(([association, data, codeSet]) => designator(type, association, data, codeSet));
const joined = (head: string, tail: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  tail.map((data) => Uint8Array.of(...Buffer.from(head), ...data));

const anyDesignator = fc.oneof(
  oneOf(1, joined("VENDOR  ", bytes(8)), [1, 2, 3]),
  oneOf(1, bytes(10), [2]),
  oneOf(2, fc.oneof(binary(8, [0, 0xff, 0x12]), binary(12, [0x12, 0]), binary(16, [0, 0xff, 1]), bytes(9)), [1, 2]),
  oneOf(3, fc.oneof(binary(16, [0x60, 0x6f, 0x50]), binary(8, [0x50, 0x2f, 0x20, 0x30, 0x3f, 0x41])), [1, 2]),
  oneOf(8, fc.oneof(joined("iqn.a", bytes(4)), joined("naa.6", bytes(3)), joined("x", bytes(3))), [3]),
  oneOf(
    10,
    binary(18, [0x10, 0x20]).map((data) => Uint8Array.of(data[0] ?? 0, 0, ...data.subarray(2))),
    [1, 2],
  ),
  fc.constant(designator(3, 0, naa6(1))),
);
const cut = (page: Uint8Array, by: number): Uint8Array => page.subarray(0, page.length - by);
const identification = fc
  .tuple(
    fc.array(anyDesignator, { maxLength: 4 }),
    fc.constantFrom(0, 0, 0, 0, 1, 5),
    fc.constantFrom(0x83, 0x83, 0x80),
  )
  .map(([designators, lost, page]) => cut(vpd(page, Buffer.concat(designators)), lost));
const serial = bytes(12).map((data) => vpd(0x80, data));

const device = fc.record({
  vpd_pg83: fc.option(identification),
  vpd_pg80: fc.option(serial),
  inquiry: fc.constantFrom("VENDOR", "V:", "0x41", "é").map((vendor) => standard(vendor, "PRODUCT")),
});

test("helper and discovery name the same unit, or none", async (t) => {
  const sysfs = mkdtempSync(join(tmpdir(), "pathmanager-udev-"));
  t.teardown(() => rmSync(sysfs, { recursive: true, force: true }));
  const folders = layOut(sysfs);
  let named = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(device, { minLength: DISKS, maxLength: DISKS }), async (devices) => {
      for (const [disk, pages] of devices.entries()) {
        for (const [name, data] of Object.entries(pages)) {
          const file = join(folders[disk] ?? "", name);
          if (data === null) rmSync(file, { force: true });
          else writeFileSync(file, data);
        }
      }
      const told = byHelper(sysfs);
      named += told.size;
      // Side by side: discovery asks again where a page makes no sense.
      const asked = devices.map((_, disk) =>
        keptProbe({ device: "/dev/sg1", number: numberOf(disk) } as SgDevice, sysfs),
      );
      for (const [disk, probe] of (await Promise.all(asked)).entries()) {
        t.is(told.get(`sd${disk}`), probe?.identity.text, JSON.stringify(devices[disk]));
      }
    }),
    { numRuns: 4, endOnFailure: true },
  );
  t.true(named > DISKS, "most of the pages name a unit");
});
