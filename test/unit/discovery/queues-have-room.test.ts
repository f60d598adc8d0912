// How many commands a path's queue takes without making the next one wait, and how room is made and given back. That
// nothing sleeps with it is shown on a real kernel (test/rig/tests/tags.rig.ts).

import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { makeRoom, undoRoom, type QueueSources } from "../../../host/discovery/queue-tags.ts";
import { HostReader, readCommandsMax } from "../../../host/discovery/queue-room.ts";

/** Host 3 with `units` units, each a disk `sd0`, `sd1`, ...; writing a scheduler does what the kernel does. */
class Machine implements QueueSources {
  readonly sysfs = mkdtempSync(join(tmpdir(), "pm-queues-"));
  readonly written: string[] = [];
  readonly #tags: number;

  constructor({ tags = 128, units = 8, queues = 1, scheduler = "[none] mq-deadline kyber", requests = 128 } = {}) {
    this.#tags = tags;
    this.#set(`class/scsi_host/host3`, { can_queue: tags, nr_hw_queues: queues });
    for (let unit = 0; unit < units; unit++) {
      this.#set(`class/scsi_device/3:0:0:${unit}/device`, { state: "running", device_busy: 0 });
      this.#set(this.queue(unit), { scheduler, nr_requests: requests });
    }
  }

  #set(folder: string, files: Readonly<Record<string, string | number>>): void {
    mkdirSync(join(this.sysfs, folder), { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(this.sysfs, folder, name), `${text}\n`);
  }

  queue = (unit: number): string => `class/scsi_device/3:0:0:${unit}/device/block/sd${unit}/queue`;

  text = (file: string): string => readFileSync(join(this.sysfs, file), "utf8").trim();

  busy(unit: number, commands: number): void {
    this.#set(`class/scsi_device/3:0:0:${unit}/device`, { device_busy: commands });
  }

  commandsMax(unit: number): number | null {
    return readCommandsMax(join(this.sysfs, this.queue(unit)), new HostReader(this.sysfs).read("3"));
  }

  readonly write = (file: string, text: string): Promise<void> => {
    this.written.push(`${file.slice(file.lastIndexOf("/") + 1)}=${text}`);
    const queue = file.slice(0, file.lastIndexOf("/"));
    if (file.endsWith("/nr_requests")) writeFileSync(file, `${text}\n`);
    else {
      const names = this.text(`${queue.slice(this.sysfs.length + 1)}/scheduler`).replaceAll(/[[\]]/g, "");
      writeFileSync(file, `${names.replace(text, `[${text}]`)}\n`);
      writeFileSync(join(queue, "nr_requests"), `${text === "none" ? this.#tags : 2 * Math.min(this.#tags, 128)}\n`);
    }
    return Promise.resolve();
  };
}

const make = (machine: QueueSources, commands: number) => makeRoom("3:0:0:0", "sd0", commands, machine);

test("without a scheduler the units of a host share its tags, one part kept for a unit that is just looked for", (t) => {
  t.is(new Machine({ tags: 128, units: 8 }).commandsMax(0), 13);
  t.is(new Machine({ tags: 32, units: 4 }).commandsMax(0), 5);
  t.is(new Machine({ tags: 4, units: 64 }).commandsMax(0), 1, "never none");
});

test("with a scheduler a queue has nr_requests of its own, some of them left to others", (t) => {
  t.is(new Machine({ scheduler: "none [mq-deadline]", requests: 64 }).commandsMax(0), 56);
  t.is(new Machine({ scheduler: "none [bfq]", requests: 2 }).commandsMax(0), 1);
});

test("a kernel that tells nothing limits nothing; a device without a disk has its part of the host's tags", (t) => {
  const machine = new Machine();
  t.is(readCommandsMax(null, new HostReader(machine.sysfs).read("4")), null);
  t.is(readCommandsMax(null, new HostReader(machine.sysfs).read("3")), 13);
});

test("room is made by a scheduler, and the queue is as it was afterwards", async (t) => {
  const machine = new Machine();
  const change = await make(machine, 64);
  t.is(change?.commandsMax, 248);
  t.deepEqual(machine.written, ["scheduler=mq-deadline"]);
  t.is(machine.commandsMax(1), 13, "the other units' queues are left alone");
  if (change !== null) await undoRoom(change, machine);
  t.is(machine.text(`${machine.queue(0)}/scheduler`), "[none] mq-deadline kyber");
  t.is(machine.text(`${machine.queue(0)}/nr_requests`), "128");
});

test("a scheduler that has too few tags gets more of them, and only they are taken back", async (t) => {
  const machine = new Machine({ scheduler: "none [kyber]", requests: 32 });
  const change = await make(machine, 64);
  t.is(change?.commandsMax, 64);
  if (change !== null) await undoRoom(change, machine);
  t.deepEqual(machine.written, ["nr_requests=72", "nr_requests=32"]);
});

test("a queue is not touched while commands are in it: a change would wait for them", async (t) => {
  const machine = new Machine();
  machine.busy(0, 1);
  t.is(await make(machine, 64), null);
  machine.busy(0, 0);
  const change = await make(machine, 64);
  machine.busy(0, 3);
  if (change !== null) await undoRoom(change, machine);
  t.deepEqual(machine.written, ["scheduler=mq-deadline"]);
});

test("room is not made where it cannot be written, nor at the price of much memory, nor without a scheduler", async (t) => {
  const refused = new Machine();
  t.is(await makeRoom("3:0:0:0", "sd0", 64, { ...refused, write: () => Promise.reject(new Error("EROFS")) }), null);
  t.is(await make(new Machine({ queues: 64 }), 64), null);
  t.is(await make(new Machine({ scheduler: "none" }), 64), null);
});
