// The small image in a virtual machine: kernel, busybox, C host, real SCSI generic devices.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { buildSmall } from "../../host/embedding/images/build-images.ts";
import type { Image } from "../../host/embedding/images/small.ts";
import { Machine, emptyDisk, type Disk } from "./machine.ts";

/** Budget of docs/embedding.md. */
const INITIAL_BYTES_MAX = 3 << 20;
const DISK_BYTES = 16 << 20;
const NAA = "5000c50015ea71ad";

function start(image: Image, disks: readonly Disk[], ...words: string[]): Machine {
  return new Machine({ ...image, megabytes: 192, words, disks });
}

export function smallTests(scratch: string): Record<string, () => Promise<void>> {
  let made: Image | undefined;
  const image = (): Image => (made ??= buildSmall());
  const four = (name: string): Disk[] => {
    const file = emptyDisk(scratch, name, DISK_BYTES);
    return [0, 1, 2, 3].map(() => ({ file, naa: NAA }));
  };
  return {
    "small: two makings are the same, byte by byte, and small": async () => {
      const digest = (): string => createHash("sha256").update(readFileSync(image().initial)).digest("hex");
      const first = digest();
      made = undefined;
      assert.equal(digest(), first);
      const { size } = statSync(image().initial);
      console.log(`# initial file system ${size} bytes, kernel ${statSync(image().kernel).size} bytes`);
      assert.ok(size <= INITIAL_BYTES_MAX, `${size} bytes, ${INITIAL_BYTES_MAX} are allowed`);
    },

    "small: serves verified data while two of four paths go off and come back": async () => {
      const machine = start(image(), four("one.disk"), "pathmanager.seconds=6", "pathmanager.faults");
      const said = await machine.ends();
      const outcome = /(\d+) I\/Os, 0 wrong or failed; paths failed 2 times and came back 2 times; 4 of 4 usable/.exec(
        said,
      );
      assert.ok(Number(outcome?.[1]) > 0, said);
      assert.match(said, /the appliance ended with status 0/);
      const first = /first block (\d+) ms after the kernel's start/.exec(said)?.[1];
      assert.ok(first !== undefined, said);
      console.log(`# first block ${first} ms after the kernel's start, ${outcome?.[1]} I/Os`);
    },

    "small: a disk that does not keep what was written is noticed": async () => {
      // Two disks that call themselves one.
      const disks = [
        { file: emptyDisk(scratch, "two.disk", DISK_BYTES), naa: NAA },
        { file: emptyDisk(scratch, "three.disk", DISK_BYTES), naa: NAA },
      ];
      const said = await start(
        image(),
        disks,
        "pathmanager.seconds=1",
        "pathmanager.ios=3000",
        "pathmanager.paths=2",
      ).ends();
      assert.match(said, /or wrong data/);
      assert.match(said, /the appliance ended with status 1/);
    },

    "small: a host that stands still is ended by the watchdog": async () => {
      const machine = start(image(), four("four.disk"), "pathmanager.stop=1", "pathmanager.watchdog=3");
      await machine.says(/init: the appliance stands still/);
      assert.match(await machine.ends(), /Initiating system reboot/);
    },
  };
}
