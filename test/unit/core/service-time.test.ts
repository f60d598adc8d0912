// The record of a path tells how long the path takes for a command, as learned, also when the policy does not use it.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Disk } from "./fixtures/disk.ts";
import { Host } from "./fixtures/harness.ts";
import { READ, replies, request } from "./fixtures/nbd-client.ts";
import type { Scsi } from "./fixtures/scsi.ts";

for (const [name, policy] of [
  ["least in flight", abi.POLICY_LEAST_IN_FLIGHT],
  ["round robin", abi.POLICY_ROUND_ROBIN],
] as const) {
  test(`${name}: each path's record has its own service time`, (t) => {
    const host = new Host();
    const disk = new Disk(1 << 20);
    const { unit } = host.unit({ blocks: 2048n, paths: 2 });
    host.must(host.core.unitSet(unit, abi.UNIT_SET_POLICY, BigInt(policy)));
    host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
    const sent: Scsi[] = [];
    host.device = (command) => {
      sent.push(command);
      return undefined;
    };
    const client = host.connect(unit);
    for (let i = 0; i < 400; i++) {
      client.send(request(READ, 2n, 0n, 512));
      host.settle();
      const command = sent.shift();
      if (command === undefined) throw new Error("nothing was sent");
      host.now += command.port === 0 ? 100_000n : 300_000n;
      host.answer(command, disk.execute(host, command));
      host.settle();
      t.is(replies(client.received, new Map([[2n, 512]])).length, 1);
    }
    const serviceNs = (path: number): number =>
      host.u32(host.core.pathTable() + path * abi.PATH_BYTES + abi.PATH_SERVICE_NS);
    t.true(Math.abs(serviceNs(0) / 100_000 - 1) < 0.05, `${serviceNs(0)} ns`);
    t.true(Math.abs(serviceNs(1) / 300_000 - 1) < 0.05, `${serviceNs(1)} ns`);
  });
}
