// An appliance's core is small: what its limits take besides the buffers of data, whose sizes its maker chooses.

import test from "ava";
import { Core } from "../../../host/reactor/core-loader.ts";

const MIB = 1 << 20;
/** What WebAssembly grows by. */
const PAGE_BYTES = 65_536;
/** 8 units with 4 paths each, 64 requests. */
const APPLIANCE = { requests: 64, commands: 128, poolBytes: MIB, units: 8, paths: 32, events: 256, payloadBytes: MIB };
const BUDGET_BYTES = 2.5 * MIB;
const withoutPool = (core: Core): number => core.exports.memory.buffer.byteLength - MIB;

test("8 units, 32 paths and 64 requests take 2.5 MiB at most besides their pool, with the block door", (t) => {
  const core = new Core({ limits: { ...APPLIANCE, connections: 0 } });
  t.is(core.exports.blockInit(8, 64, 0), 0);
  t.true(withoutPool(core) <= BUDGET_BYTES, `${withoutPool(core)} bytes`);
});

test("the same with NBD: so much more as its connections' buffers take", (t) => {
  const without = withoutPool(new Core({ limits: { ...APPLIANCE, connections: 0 } }));
  const withNbd = withoutPool(new Core({ limits: { ...APPLIANCE, connections: 8 } }));
  t.true(withNbd - without <= 8 * 2 * PAGE_BYTES + PAGE_BYTES, `${withNbd - without} bytes for 8 connections`);
});

test("the memory grows with the pool byte by byte, up to a page, and with nothing else", (t) => {
  const small = new Core({ limits: { ...APPLIANCE, connections: 0 } }).exports.memory.buffer.byteLength;
  const large = new Core({ limits: { ...APPLIANCE, connections: 0, poolBytes: 9 * MIB } }).exports.memory.buffer
    .byteLength;
  // 12 bytes of bookkeeping for each 4 KiB.
  const more = 8 * MIB + (8 * MIB * 12) / 4096;
  t.true(Math.abs(large - small - more) <= PAGE_BYTES, `${large - small} bytes more`);
});
