// What is made of a device's pages has changed: a unit that the state file knows by what an earlier version made of them is
// the same unit, with its number, name and settings, and whoever names it by its former identity still means it.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { exportsOf } from "../../../host/control/operations/offering.ts";
import { State, type UnitRow } from "../../../host/control/state/state.ts";
import { ExportDirectory } from "../../../host/export/directory.ts";
import { TestDaemon } from "./fixtures/daemon.ts";
import { unitRow } from "./fixtures/unit-row.ts";

const LOCAL = "naa.3303030303030303";
const EUI = "eui.0014050000000001";
/** A page 83 with a locally assigned NAA name and an EUI-64. */
const BOTH = `01030008${LOCAL.slice(4)}01020008${EUI.slice(4)}`;
const VENDOR = { vendor: "PATHMGR", product: "EMULATED DISK" };

function arrayOf(units: number, more = ""): string {
  return `[array]\nunits = ${units}\npaths = 2\nunit_mib = 1\n${more}`;
}

/** A daemon on a state file that an earlier version wrote, whose devices come with what `faults` makes of their pages. */
async function upgraded(
  t: ExecutionContext,
  known: UnitRow,
  faults: readonly object[],
  array: string,
  head = "",
): Promise<TestDaemon> {
  const folder = mkdtempSync(join(tmpdir(), "pm-former-"));
  const state = new State(join(folder, "state"), 100);
  state.saveUnits([known]);
  state.savePaths([
    {
      id: 1,
      number: "4:0:0:0",
      nexus: null,
      unit: known.number,
      priority: 9,
      enabled: true,
      enabling: "known",
      priorityLost: false,
      isMarginal: false,
      goneSinceMs: null,
    },
  ]);
  state.close();
  TestDaemon.configure(folder, `exclude = [{ vendor = "*" }]\n${array}`);
  const daemon = await TestDaemon.start(t, "", folder);
  for (const fault of faults) await daemon.change(t, "POST", "/v1/array/faults", fault);
  TestDaemon.configure(folder, `${head}${array}`);
  await daemon.change(t, "POST", "/v1/config/reload");
  await daemon.daemon.rescan();
  return daemon;
}

const known = (identity: string, type: UnitRow["facts"]["identityType"]): UnitRow => ({
  ...unitRow(7, "database"),
  identity,
  facts: { ...unitRow(7).facts, ...VENDOR, identityType: type, serial: "" },
});

test("a unit known by a weaker designator is the same under a better one, with what was set for it", async (t) => {
  const head = `[[units]]\nidentity = "${LOCAL}"\ntimeouts.io_ms = 12345\n`;
  const daemon = await upgraded(
    t,
    known(LOCAL, "naa"),
    [{ fault: { kind: "vpd-page", page: 0x83, payload: BOTH } }],
    arrayOf(1),
    head,
  );
  const { units } = await daemon.get<"units">(t, "/v1/units");
  t.deepEqual(
    units.map(({ number, name, identity }) => [number, name, identity.type, identity.text]),
    [[7, "database", "eui-64", EUI]],
  );
  const unit = await daemon.get<"unit">(t, "/v1/units/7");
  t.is(unit.timeouts.ioMs, 12_345);
  t.is(unit.paths.find(({ number }) => number === "4:0:0:0")?.priority, 9);
  t.deepEqual(daemon.daemon.rescans.refused, []);
  const { events } = await daemon.get<"events">(t, "/v1/events");
  const told = events.filter(({ kind }) => kind === "identity-rewritten");
  t.deepEqual(
    told.map(({ unit: number, detail }) => [number, detail["from"], detail["to"]]),
    [[7, LOCAL, EUI]],
  );
  t.false(events.some(({ kind }) => kind === "unit-added" || kind === "wrong-unit"));
  const directory = new ExportDirectory();
  directory.replace(exportsOf(daemon.daemon.inventory));
  for (const name of [LOCAL, EUI, "database"]) t.is(directory.find(name)?.number, 7, name);
  t.deepEqual(
    daemon.daemon.state.units().map(({ identity, facts }) => [identity, facts.formerIdentity]),
    [[EUI, LOCAL]],
  );
  // Another rescan finds nothing to do.
  await daemon.daemon.rescan();
  t.is((await daemon.get<"units">(t, "/v1/units")).units.length, 1);
});

test("a unit that is excluded by its former identity stays excluded", async (t) => {
  const head = `exclude = [{ identity = "${LOCAL}" }]\n`;
  const fault = { fault: { kind: "vpd-page", page: 0x83, payload: BOTH } };
  const daemon = await upgraded(t, known(LOCAL, "naa"), [fault], arrayOf(1), head);
  t.is(daemon.daemon.inventory.unit("7").handle, null);
  t.is(daemon.daemon.inventory.unitCount, 1);
});

test("a serial number that was made a question mark of is the same unit when one device claims it", async (t) => {
  const former = "serial.PATHMGR:EMULATED DISK:DISK-??";
  const fault = { fault: { kind: "vpd-page", page: 0x80, payload: Buffer.from("DISK-ä").toString("hex") } };
  const daemon = await upgraded(t, known(former, "serial"), [fault], arrayOf(1, 'identification = "serial-only"\n'));
  t.deepEqual(
    daemon.daemon.inventory.units().map(({ number, identity }) => [number, identity.text]),
    [[7, "serial.PATHMGR:EMULATED DISK:0x4449534b2dc3a4"]],
  );
});

test("of two devices that an earlier version took for one unit none inherits it", async (t) => {
  const former = "serial.PATHMGR:EMULATED DISK:DISK-??";
  const faults = ["DISK-ä", "DISK-ö"].map((serial, unit) => ({
    fault: { kind: "vpd-page", page: 0x80, payload: Buffer.from(serial).toString("hex") },
    where: { unit },
  }));
  const daemon = await upgraded(t, known(former, "serial"), faults, arrayOf(2, 'identification = "serial-only"\n'));
  t.is(daemon.daemon.inventory.unit("7").identity.text, former);
  t.is(daemon.daemon.inventory.unit("7").handle, null);
  t.false((await daemon.get<"events">(t, "/v1/events")).events.some(({ kind }) => kind === "identity-rewritten"));
});
