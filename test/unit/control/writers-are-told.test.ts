// Nobody can be kept from opening an sg device, so whoever has one of ours open for writing is named: once in a message, and
// wherever one looks as long as he has it.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { writersOf } from "../../../host/discovery/writers.ts";
import { WritersWatch } from "../../../host/control/events/writers-watch.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

/** A character device that every machine has; it stands for an sg device. */
const DEVICE = "/dev/zero";

function addProcess(proc: string, pid: string, name: string, device: string, flags: string): void {
  const folder = join(proc, pid);
  for (const part of ["fd", "fdinfo"]) mkdirSync(join(folder, part), { recursive: true });
  writeFileSync(join(folder, "comm"), `${name}\n`);
  symlinkSync(device, join(folder, "fd/3"));
  writeFileSync(join(folder, "fdinfo/3"), `pos:\t0\nflags:\t${flags}\nmnt_id:\t26\n`);
}

const emptyProc = (): string => mkdtempSync(join(tmpdir(), "pm-proc-"));

test("who has a device open for writing is found; who reads, has another one, or is ourselves, is not", (t) => {
  const proc = emptyProc();
  addProcess(proc, "812", "sg_dd", DEVICE, "0104002");
  addProcess(proc, "813", "tee", DEVICE, "0100001");
  addProcess(proc, "814", "sg_inq", DEVICE, "0104000");
  addProcess(proc, "815", "other", "/dev/null", "0100002");
  addProcess(proc, String(process.pid), "node", DEVICE, "0104002");
  t.deepEqual([...writersOf([DEVICE, "/dev/none"], proc)], [[DEVICE, ["process 812 (sg_dd)", "process 813 (tee)"]]]);
});

test("each process is said once, shown as long as it is there, and said again when it comes again", async (t) => {
  const { daemon } = await TestDaemon.start(t, "[array]\nunits = 1\npaths = 2\nunit_mib = 1\n");
  const { inventory } = daemon;
  const [path] = inventory.paths();
  const found = path?.found ?? null;
  if (path === undefined || found === null) return t.fail();
  path.found = { ...found, device: DEVICE };
  const proc = emptyProc();
  const said: unknown[] = [];
  const watch = new WritersWatch(
    { say: (kind, about) => void said.push([kind, about?.unit, about?.path, about?.detail?.["by"]]) },
    proc,
  );
  t.true(watch.check(inventory));
  addProcess(proc, "812", "sg_dd", DEVICE, "0104002");
  t.false(watch.check(inventory));
  t.false(watch.check(inventory));
  t.deepEqual(said, [["device-open-elsewhere", 0, path.number, "process 812 (sg_dd)"]]);
  t.regex(
    watch.attention.join("\n"),
    /^\/dev\/zero .*LogicalUnit #0\) is open for writing by process 812 \(sg_dd\).*end that/,
  );
  rmSync(join(proc, "812"), { recursive: true });
  t.true(watch.check(inventory));
  t.deepEqual(watch.attention, []);
  addProcess(proc, "812", "sg_dd", DEVICE, "0104002");
  watch.check(inventory);
  t.is(said.length, 2);
});
