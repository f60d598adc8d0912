// A path in doubt gets no I/O until an identity check that was asked after the doubt arose has been answered well.
import test from "ava";
import * as abi from "../../../host/reactor/abi.ts";
import { Disk } from "./disk.ts";
import { READ, request } from "./nbd-client.ts";
import type { Scene } from "./scene.ts";
import { INQUIRY, OTHER, TUR, read, scene } from "./scene.ts";
import type { Scsi } from "./scsi.ts";
import { check } from "./scsi.ts";

const MEDIUM_READ = 0x88;
const LUNS_CHANGED = check(6, 0x3f, 0x0e);

const first = (s: Scene): number => s.paths[0] ?? -1;
const onPort0 = (s: Scene): number[] => s.seen.filter((one) => one.port === 0).map((one) => one.operation);
const doubtful = (s: Scene): boolean => (s.host.flags(first(s)) & abi.PATH_FLAG_UNVERIFIED) !== 0;

/** Two reads in flight on port 0, whose first is answered with a unit attention; its INQUIRY is out. */
function doubted(): { s: Scene; reads: Scsi[]; inquiries: Scsi[] } {
  const s = scene();
  s.host.advance(100);
  const reads: Scsi[] = [];
  const inquiries: Scsi[] = [];
  s.faults.set(0, (command) => {
    if (command.check && command.cdb[0] === INQUIRY) inquiries.push(command);
    else if (!command.check) reads.push(command);
    return "hang";
  });
  const client = s.host.connect(s.unit);
  client.send(request(READ, 2n, 0n, 512), request(READ, 4n, 0n, 512));
  s.host.settle();
  const [read1] = reads;
  if (read1 === undefined || reads.length !== 2) throw new Error("two reads were to be on port 0");
  s.host.answer(read1, LUNS_CHANGED);
  s.host.settle();
  return { s, reads, inquiries };
}

test("the answer to an identity check says nothing about a doubt that arose after it was sent", (t) => {
  const { s, reads, inquiries } = doubted();
  const [, read2] = reads;
  const [inquiry1] = inquiries;
  if (read2 === undefined || inquiry1 === undefined) return t.fail();
  s.host.answer(read2, LUNS_CHANGED);
  s.host.settle();
  s.seen.length = 0;
  // The page is that of the mapping before the second step.
  s.host.answer(inquiry1, s.disk.execute(s.host, inquiry1));
  s.host.settle();
  t.true(doubtful(s));
  const [, inquiry2] = inquiries;
  if (inquiry2 === undefined) return t.fail();
  read(s.host, s.unit);
  t.deepEqual(onPort0(s), [INQUIRY]);
  s.host.answer(inquiry2, new Disk(1 << 20, 512, OTHER).execute(s.host, inquiry2));
  s.host.settle();
  t.truthy(s.host.flags(first(s)) & abi.PATH_FLAG_WRONG_UNIT);
  t.false(onPort0(s).includes(MEDIUM_READ));
});

test("a failed path whose identity was asked before it was to come back still has to pass its health check", (t) => {
  const { s, reads, inquiries } = doubted();
  const [, read2] = reads;
  const [inquiry1] = inquiries;
  if (read2 === undefined || inquiry1 === undefined) return t.fail();
  s.host.answer(read2, { hostStatus: 0x0e });
  s.host.settle();
  s.host.must(s.host.core.pathSet(first(s), abi.PATH_SET_FAILED, 0n));
  s.host.answer(inquiry1, s.disk.execute(s.host, inquiry1));
  s.host.settle();
  t.truthy(s.host.flags(first(s)) & abi.PATH_FLAG_FAILED);
  t.is(onPort0(s).at(-1), TUR);
});
