// Hedged reads: the slow ones are answered by another path, at no more than the budget, and never a write.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Disk } from "./fixtures/disk.ts";
import { Host } from "./fixtures/harness.ts";
import { READ, WRITE, replies, request } from "./fixtures/nbd-client.ts";
import type { Scsi } from "./fixtures/scsi.ts";

/** 20,000 requests one after the other, 1 % of the commands 100 times slower. Latencies in us, sorted, and commands sent. */
function latencies(kind: number, budget: bigint): { sorted: number[]; commands: number; host: Host; unit: number } {
  const host = new Host();
  const disk = new Disk(1 << 20);
  disk.media.fill(0x42);
  const { unit } = host.unit({ blocks: 2048n, paths: 4 });
  host.must(host.core.unitSet(unit, abi.UNIT_SET_POLICY, BigInt(abi.POLICY_ROUND_ROBIN)));
  host.must(host.core.unitSet(unit, abi.UNIT_SET_HEDGE_BUDGET, budget));
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  let commands = 0;
  let random = 1;
  const due: { at: bigint; command: Scsi }[] = [];
  host.device = (command) => {
    commands++;
    random = (random * 48271) % 2147483647;
    const us = random % 100 === 0 ? 10_000 : 80 + (random % 41);
    due.push({ at: host.now + BigInt(us) * 1000n, command });
    return undefined;
  };
  const client = host.connect(unit);
  const sorted: number[] = [];
  for (let i = 0; i < 20_000; i++) {
    const start = host.now;
    client.send(request(kind, 2n, 0n, 512), Buffer.alloc(kind === WRITE ? 512 : 0));
    host.settle();
    for (let done = false; !done;) {
      due.sort((a, b) => (a.at < b.at ? -1 : 1));
      const next = due[0]?.at ?? 0n;
      host.now = host.deadline() < next ? host.deadline() : next;
      while (due[0] !== undefined && due[0].at <= host.now) {
        const command = due.shift()?.command;
        if (command !== undefined) host.answer(command, disk.execute(host, command));
      }
      host.settle();
      const [reply] = replies(client.received, new Map([[2n, kind === READ ? 512 : 0]]));
      done = reply !== undefined;
      if (done && (reply?.error !== 0 || (kind === READ && reply.data[511] !== 0x42))) throw new Error("wrong answer");
    }
    sorted.push(Number(host.now - start) / 1000);
  }
  sorted.sort((a, b) => a - b);
  return { sorted, commands, host, unit };
}

const at = (run: { sorted: number[] }): number => run.sorted[Math.floor(run.sorted.length * 0.999)] ?? 0;

test("p99.9 is cut at least five times with at most 2 % more commands", (t) => {
  const plain = latencies(READ, 0n);
  const hedged = latencies(READ, 200n);

  t.true(at(hedged) * 5 <= at(plain), `${at(hedged)} us against ${at(plain)} us`);
  t.true(hedged.commands <= 20_000 * 1.021, `${hedged.commands} commands`);
  t.is(plain.commands, 20_000);
});

test("writes are never hedged", (t) => {
  t.is(latencies(WRITE, 200n).commands, 20_000);
});

test("of a size that nobody has read yet, no read is hedged, though the hedge of another is due", (t) => {
  const host = new Host();
  const disk = new Disk(1 << 20);
  const { unit } = host.unit({ blocks: 2048n, paths: 4 });
  host.must(host.core.unitSet(unit, abi.UNIT_SET_HEDGE_BUDGET, 1000n));
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  const held: Scsi[] = [];
  let isHeld = false;
  host.device = (command) => {
    if (isHeld) held.push(command);
    else host.now += 100_000n;
    return isHeld ? undefined : disk.execute(host, command);
  };
  const client = host.connect(unit);
  for (let cookie = 0n; cookie < 2000n; cookie++) {
    client.send(request(READ, cookie, 0n, 512));
    host.settle();
  }
  isHeld = true;
  client.send(request(READ, 5000n, 0n, 512), request(READ, 5001n, 65_536n, 262_144));
  host.settle();
  t.is(held.length, 2);
  // Less than the stall threshold, so what is sent now is a hedge.
  host.advance(5);
  const sizes = held.map(({ bytes }) => bytes).toSorted((a, b) => a - b);
  t.deepEqual(sizes, [512, 512, 262_144]);
});

/** A unit of which reads of 512 bytes take 0.1 ms, larger ones 1 ms and writes 5 ms; what is sent when `isHeld` is kept. */
function learned(): { send: (...parts: Uint8Array[]) => void; hold: () => void; held: Scsi[]; host: Host } {
  const host = new Host();
  const disk = new Disk(1 << 20);
  const { unit } = host.unit({ blocks: 2048n, paths: 4 });
  host.must(host.core.unitSet(unit, abi.UNIT_SET_HEDGE_BUDGET, 1000n));
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  const held: Scsi[] = [];
  let isHeld = false;
  host.device = (command) => {
    if (isHeld) held.push(command);
    else host.now += command.cdb[0] === 0x8a ? 5_000_000n : command.bytes > 512 ? 1_000_000n : 100_000n;
    return isHeld ? undefined : disk.execute(host, command);
  };
  const client = host.connect(unit);
  const send = (...parts: Uint8Array[]): void => {
    client.send(...parts);
    host.settle();
  };
  for (let cookie = 0n; cookie < 2000n; cookie++) send(request(READ, cookie, 0n, 512));
  return { send, hold: () => void (isHeld = true), held, host };
}

test("when a read is hedged does not depend on how long writes take", (t) => {
  const { send, hold, held, host } = learned();
  for (let cookie = 0n; cookie < 1000n; cookie++) send(request(WRITE, cookie, 0n, 512), Buffer.alloc(512));
  hold();
  send(request(READ, 1n, 0n, 512));
  host.advance(1);
  t.is(held.length, 2);
});

test("a small read is hedged in its own time though a larger one was sent before it", (t) => {
  const { send, hold, held, host } = learned();
  for (let cookie = 0n; cookie < 400n; cookie++) send(request(READ, cookie, 0n, 262_144));
  hold();
  send(request(READ, 1n, 0n, 262_144));
  send(request(READ, 2n, 0n, 512));
  host.advance(0.5);
  t.deepEqual(
    held.map(({ bytes }) => bytes),
    [262_144, 512, 512],
  );
});
