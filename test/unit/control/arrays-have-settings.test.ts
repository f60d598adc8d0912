// Settings of all units of an array: between those of a unit and the general ones. What is known of an array counts where the file is
// silent.

import test from "ava";
import { KNOWN_ARRAYS } from "../../../host/settings/known-arrays.ts";
import { Effective } from "../../../host/control/settings/effective.ts";
import { Inventory, type Unit } from "../../../host/control/inventory/inventory.ts";
import { Configuration, type ConfigurationInput } from "../../../host/control/schemas/configuration-schema.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

function unitOf(vendor: string, product: string, revision = "1.0", identity = "naa.6001"): Unit {
  const facts = { identityType: "naa", vendor, product, revision, serial: "", bytes: 0, blockBytes: 512 } as const;
  return new Inventory([], []).addUnit({
    number: 0,
    identity: { type: "naa", text: identity },
    name: "lu0",
    facts,
    policy: null,
    hedgeBudgetPercent: null,
  });
}

const effective = (input: ConfigurationInput): Effective => new Effective(Configuration.parse(input), () => ({}));

const NEC = unitOf("NEC", "DISK ARRAY", "2.5");

test("an array's settings hold for its units and no others", (t) => {
  const settings = effective({
    timeouts: { io_ms: 7000 },
    arrays: [
      { vendor: "NEC", product: "DISK*", policy: "round-robin", timeouts: { no_path_ms: 1000 }, alua_explicit: true },
    ],
  });
  t.like(settings.timeouts(NEC), { noPathMs: 1000, ioMs: 7000 });
  t.is(settings.policy(NEC).name, "round-robin");
  t.is(settings.inCore("alua.explicit", NEC), 1);
  const other = unitOf("NEX", "DISK ARRAY");
  t.is(settings.timeouts(other).noPathMs, 30_000);
  t.is(settings.policy(other).name, "adaptive");
});

test("the unit's own setting wins, then the first array entry that has it", (t) => {
  const settings = effective({
    arrays: [
      { revision: { regex: "^2" }, timeouts: { io_ms: 2000 } },
      { vendor: "NEC", policy: "static", timeouts: { io_ms: 3000, no_path_ms: 4000 } },
      { vendor: "*", policy: "round-robin" },
    ],
    units: [{ identity: "naa.6001", timeouts: { no_path_ms: 5000 } }],
  });
  t.like(settings.timeouts(NEC), { ioMs: 2000, noPathMs: 5000 });
  t.is(settings.policy(NEC).name, "static");
  t.like(settings.timeouts(unitOf("NEC", "x", "1", "naa.6002")), { ioMs: 3000, noPathMs: 4000 });
});

test("what is known of an array holds unless the file says something", (t) => {
  const vnx = unitOf("DGC", "VRAID");
  t.is(effective({}).timeouts(vnx).noPathMs, 300_000);
  t.is(effective({}).timeouts(NEC).noPathMs, 30_000);
  t.is(effective({ timeouts: { no_path_ms: 0 } }).timeouts(vnx).noPathMs, 0);
  t.is(effective({ arrays: [{ vendor: "DGC", timeouts: { no_path_ms: 30_000 } }] }).timeouts(vnx).noPathMs, 30_000);
  t.is(effective({}).timeouts(unitOf("HPE", "MSA 2050 SAN")).noPathMs, 90_000);
  t.is(effective({}).timeouts(unitOf("HITACHI", "OPEN-V")).noPathMs, 50_000);
  // Only what the general value does not do already is worth an entry.
  for (const { name, noPathMs } of KNOWN_ARRAYS) t.true(noPathMs > 30_000, name);
});

test("an entry that names no array, and settings that contradict each other, are mistakes", (t) => {
  t.false(Configuration.safeParse({ arrays: [{ policy: "static" }] }).success);
  t.false(Configuration.safeParse({ arrays: [{ vendor: "NEC", name: "x" }] }).success);
  t.true(Configuration.safeParse({ arrays: [{ revision: "1.*" }] }).success);
});

test("a daemon applies them, also at a reload", async (t) => {
  const array = "[array]\nunits = 1\npaths = 2\nunit_mib = 1\n";
  const entry = (policy: string): string => `[[arrays]]\nvendor = "PATHMGR"\npolicy = "${policy}"\n${array}`;
  const daemon = await TestDaemon.start(t, entry("round-robin"));
  t.is((await daemon.get<"unit">(t, "/v1/units/0")).policy.name, "round-robin");
  TestDaemon.configure(daemon.folder, entry("static"));
  const report = await daemon.change<{ applied: string[] }>(t, "POST", "/v1/config/reload");
  t.deepEqual(report.applied, ["arrays"]);
  t.is((await daemon.get<"unit">(t, "/v1/units/0")).policy.name, "static");
});
