// A path that refuses what others carry out counts its errors, and is avoided after a few.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { READ, WRITE, replies, request } from "./fixtures/nbd-client.ts";
import { read, scene, type Scene } from "./fixtures/scene.ts";
import { check } from "./fixtures/scsi.ts";

const EIO = 5;
const FAILED = abi.PATH_FLAG_FAILED;
const isIo = (operation: number | undefined): boolean => operation === 0x88 || operation === 0x8a;

/** Port 0 ends I/O with this sense; TEST UNIT READY and the identity are as ever. */
function refuses(s: Scene, key = 4, asc = 0x44, port = 0): void {
  s.faults.set(port, (command) => (isIo(command.cdb[0]) ? check(key, asc, 0) : undefined));
}

function write(s: Scene): number | undefined {
  const client = s.host.connect(s.unit);
  client.send(request(WRITE, 1n, 4096n, 512), Buffer.alloc(512, 1));
  s.host.advance(1);
  const error = replies(client.received)[0]?.error;
  client.ended = true;
  s.host.settle();
  return error;
}

for (const [name, key, asc] of [
  ["a HARDWARE ERROR", 4, 0x44],
  ["wrong protection information", 0x0b, 0x10],
  ["a vendor's own key", 9, 0x80],
] as const) {
  test(`a path whose every I/O ends with ${name} counts, and has failed after a few; the client sees nothing of it`, (t) => {
    const s = scene();
    s.host.settle();
    refuses(s, key, asc);
    const [first = -1, second = -1] = s.paths;
    for (let i = 0; i < 8; i++) t.is(i % 2 === 0 ? read(s.host, s.unit) : write(s), 0);
    t.truthy(s.host.flags(first) & FAILED);
    t.is(s.host.pathCount64(first, abi.PATH_ERRORS), 3n);
    t.is(s.seen.filter(({ port, operation }) => port === 0 && isIo(operation)).length, 3, "it is asked no more");
    t.is(s.host.flags(second) & FAILED, 0);
    t.is(s.host.pathCount64(second, abi.PATH_ERRORS), 0n);
    const told = s.host.events.filter(({ kind }) => kind === abi.EVENT_PATH_ERROR_IO);
    t.is(told.length, 1);
    t.is((told[0]?.sense ?? 0) >>> 8, key | (asc << 8), "with the sense data behind it");
  });
}

test("it comes back when it carries a READ out, not when it is merely ready", (t) => {
  const s = scene();
  s.host.settle();
  refuses(s);
  const [first = -1] = s.paths;
  for (let i = 0; i < 4; i++) t.is(read(s.host, s.unit), 0);
  t.truthy(s.host.flags(first) & FAILED);
  s.host.advance(30_000);
  t.truthy(s.host.flags(first) & FAILED);
  s.host.must(s.host.core.pathSet(first, abi.PATH_SET_FAILED, 0n));
  s.host.advance(100);
  t.truthy(s.host.flags(first) & FAILED, "nor by order of an operator");
  s.faults.clear();
  s.host.advance(12_000);
  t.is(s.host.flags(first) & FAILED, 0);
});

test("an I/O that is carried out in between clears the path; what every path refuses is the device's answer", (t) => {
  const s = scene();
  s.host.settle();
  const [first = -1, second = -1] = s.paths;
  let count = 0;
  s.faults.set(0, (command) => (isIo(command.cdb[0]) && ++count % 3 !== 0 ? check(4, 0x44, 0) : undefined));
  for (let i = 0; i < 12; i++) t.is(read(s.host, s.unit), 0);
  t.is(s.host.flags(first) & FAILED, 0);
  t.is(s.host.pathCount64(first, abi.PATH_ERRORS), 8n, "each counts");
  const broken = scene();
  broken.host.settle();
  for (const port of [0, 1]) refuses(broken, 4, 0x44, port);
  const client = broken.host.connect(broken.unit);
  for (let i = 0; i < 6; i++) {
    client.send(request(READ, 1n, 0n, 512));
    broken.host.advance(500);
    t.is(replies(client.received)[0]?.error, EIO);
  }
  for (const path of [first, second]) {
    t.is(broken.host.flags(path) & FAILED, 0);
    t.is(broken.host.pathCount64(path, abi.PATH_ERRORS), 0n);
  }
});

test("a path that refuses I/O time and again, and is well in between, is found marginal", (t) => {
  const s = scene();
  s.host.settle();
  const [first = -1] = s.paths;
  for (let i = 0; i < 4; i++) {
    refuses(s);
    t.is(read(s.host, s.unit), 0);
    s.faults.clear();
    t.is(read(s.host, s.unit), 0);
    s.host.advance(2000);
  }
  t.truthy(s.host.flags(first) & abi.PATH_FLAG_MARGINAL);
});

test("a path that has come back may refuse as often as any other before it fails again", (t) => {
  const s = scene();
  s.host.settle();
  refuses(s);
  const [first = -1] = s.paths;
  for (let i = 0; i < 4; i++) t.is(read(s.host, s.unit), 0);
  t.truthy(s.host.flags(first) & FAILED);
  s.faults.clear();
  s.host.must(s.host.core.pathSet(first, abi.PATH_SET_FAILED, 0n));
  s.host.advance(100);
  t.is(s.host.flags(first) & FAILED, 0);
  refuses(s);
  for (let i = 1; i <= 3; i++) {
    t.is(s.host.flags(first) & FAILED, 0, `before refusal ${i}`);
    t.is(read(s.host, s.unit), 0);
  }
  t.truthy(s.host.flags(first) & FAILED);
});
