import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { isDriverUnused, leftoversIn, parseUnderWay } from "../../../host/discovery/leftovers.ts";

/** As drivers/scsi/sg.c prints it. */
const LIST = `max_active_device=3  def_reserved_size=32768
 >>> device=sg0 4:0:0:1   em=0 sg_tablesize=256 excl=0 open_cnt=0
   FD(1): timeout=60000ms bufflen=32768 (res)sgat=8 low_dma=0
   cmd_q=1 f_packid=0 k_orphan=0 closed=0
     act: id=7 blen=4096 t_o/elap=30001/12340ms sgat=1 op=0x8a
     rb>> act: id=8 blen=4096 t_o/elap=30001/12000ms sgat=1 op=0x88
     rcv: id=9 blen=4096 dur=3ms sgat=1 op=0x8a
 >>> device=sg1 detaching pending close    FD(1): timeout=60000ms bufflen=32768 (res)sgat=8 low_dma=0
     act: id=1 blen=512 t_o/elap=30001/50000ms sgat=1 op=0x93
 >>> device=sg2 11:0:3:255   em=0 sg_tablesize=256 excl=0 open_cnt=8
   FD(1): timeout=60000ms bufflen=32768 (res)sgat=8 low_dma=0
   cmd_q=1 f_packid=0 k_orphan=0 closed=0
     No requests active
   FD(2): timeout=60000ms bufflen=32768 (res)sgat=8 low_dma=0
     dio>> act: id=0 blen=0 t_o/elap=30001/20ms sgat=0 op=0x42
`;

test("commands under way are found with path, operation and age; answered ones and unknown lines are passed over", (t) => {
  t.deepEqual(parseUnderWay(LIST), [
    { path: "4:0:0:1", operation: 0x8a, elapsedMs: 12_340, timeoutMs: 30_001 },
    { path: "4:0:0:1", operation: 0x88, elapsedMs: 12_000, timeoutMs: 30_001 },
    { path: "11:0:3:255", operation: 0x42, elapsedMs: 20, timeoutMs: 30_001 },
  ]);
  t.deepEqual(parseUnderWay(""), []);
  t.deepEqual(parseUnderWay("act: t_o/elap=1/2ms op=0x8a\nnonsense"), []);
});

const paths = (sinceMs: number): string[] => leftoversIn(LIST, sinceMs).map(({ path }) => path);

test("what is left is what changes the medium and is older than the daemon", (t) => {
  t.deepEqual(paths(0), ["4:0:0:1", "11:0:3:255"]);
  t.deepEqual(paths(5000), ["4:0:0:1"]);
  t.deepEqual(paths(20_000), []);
});

test("each descriptor of a device has its own command, as one that carries one at a time leaves them", (t) => {
  const descriptors = Array.from(
    { length: 128 },
    (_, one) => `   FD(${one + 1}): timeout=60000ms bufflen=32768 (res)sgat=1 low_dma=0
   cmd_q=1 f_packid=0 k_orphan=0 closed=1
     rb>> act: id=${one} blen=4096 t_o/elap=30001/${one}000ms sgat=1 op=0x8a
`,
  );
  const list = ` >>> device=sg0 4:0:0:1   em=0 sg_tablesize=256 excl=0 open_cnt=0\n${descriptors.join("")}`;
  t.is(leftoversIn(list, 0).length, 128);
  t.is(leftoversIn(list, 100_100).length, 28);
});

test("the driver is unused where its count of users is nought; where there is no count that is not known", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "pm-leftovers-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "refcnt");
  t.false(isDriverUnused(file));
  for (const [text, isUnused] of [
    ["0\n", true],
    ["3\n", false],
    ["-1\n", false],
  ] as const) {
    writeFileSync(file, text);
    t.is(isDriverUnused(file), isUnused);
  }
});
