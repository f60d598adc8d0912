// What a device can do is not forgotten because it was too busy, once, to say so again.
import test from "ava";
import { capabilitiesOf } from "../../../host/control/inventory/unit-facts.ts";
import { discover } from "../../../host/discovery/discover.ts";
import type { Probe } from "../../../host/discovery/probe.ts";
import type { ScsiTransport } from "../../../host/discovery/transport.ts";
import * as abi from "../../../host/abi.ts";
import { candidate, disk, standard, transportOf } from "./pages.ts";

const ALL = { devices: "all", exclude: [], budgetMs: 1000 } as const;
const FUA = 0x10;
const PROTECTED = 0x80;

/** MODE SENSE(6) data: device-specific parameter and a caching page. */
const mode = (specific: number, writeCache: boolean): Uint8Array =>
  Uint8Array.of(15, 0, specific, 0, 0x08, 10, writeCache ? 4 : 0, ...new Uint8Array(9));

/** The device's answer to what `refuses` says is BUSY. */
async function look(answers: ReturnType<typeof disk>, refuses = (_operation: number) => false): Promise<Probe> {
  const device = transportOf({ sg0: answers });
  const transport: ScsiTransport = {
    command: (name, cdb, bytes, timeoutMs) =>
      refuses(cdb[0] ?? 0)
        ? Promise.resolve({ status: 8, hostStatus: 0, sense: new Uint8Array(0), data: new Uint8Array(0) })
        : device.command(name, cdb, bytes, timeoutMs),
  };
  const [path] = (await discover(transport, [candidate("sg0", "1:0:0:0")], ALL)).paths;
  if (path === undefined) throw new Error("the device was not found");
  return path.probe;
}

test("FUA and write protection stay known when MODE SENSE is answered BUSY; the cache is assumed to be on", async (t) => {
  const through = disk(1, { mode: mode(FUA | PROTECTED, false) });
  const known = capabilitiesOf(await look(through), 0);
  t.is(known, abi.UNIT_CAN_FUA | abi.UNIT_CAN_NOT_WRITE);
  const busy = capabilitiesOf(await look(through, (operation) => operation === 0x1a), known);
  t.is(busy, known | abi.UNIT_CAN_CACHE_WRITES | abi.UNIT_CAN_ASSUMED_CACHE);
  t.is(capabilitiesOf(await look(through), busy), known, "and what it says then holds");
});

test("a device that says nothing of a cache is assumed to have one, which is not the same as to say so", async (t) => {
  const said = capabilitiesOf(await look(disk(1, { mode: mode(0, true) })), 0);
  t.is(said, abi.UNIT_CAN_CACHE_WRITES);
  const silent = disk(1, { mode: Uint8Array.of(3, 0, FUA, 0) });
  const assumed = capabilitiesOf(await look(silent), 0);
  t.is(assumed, abi.UNIT_CAN_FUA | abi.UNIT_CAN_CACHE_WRITES | abi.UNIT_CAN_ASSUMED_CACHE);
  t.is(capabilitiesOf(await look(silent, (operation) => operation === 0x1a), said), said, "too busy to say it again");
  t.is(capabilitiesOf(await look(silent), said), assumed, "it says so no longer");
});

test("what a device has ceased to do is believed", async (t) => {
  const known = capabilitiesOf(await look(disk(1, { mode: mode(FUA | PROTECTED, true) })), 0);
  const now = capabilitiesOf(await look(disk(1, { mode: mode(0, true) })), known);
  t.is(now, abi.UNIT_CAN_CACHE_WRITES);
});

test("UNMAP and WRITE SAME stay known when no path of the unit answers in time", async (t) => {
  const probe = await look(disk(1, { mode: mode(FUA, true) }));
  const known = abi.UNIT_CAN_UNMAP | abi.UNIT_CAN_WRITE_SAME | abi.UNIT_CAN_FUA | abi.UNIT_CAN_CACHE_WRITES;
  t.is(capabilitiesOf({ ...probe, details: null }, known), known);
  t.is(capabilitiesOf(probe, known), abi.UNIT_CAN_FUA | abi.UNIT_CAN_CACHE_WRITES);
});

test("MODE SENSE is the last that is asked, so that no later command takes an attention that its answer has changed", async (t) => {
  const asked: number[] = [];
  const answers = disk(1, { inquiry: standard("LIO-ORG", "lu0", { tpgs: 1 }), mode: mode(FUA, true) });
  await look(answers, (operation) => asked.push(operation) === 0);
  t.true(asked.includes(0xa3));
  t.is(asked.at(-1), 0x1a);
});
