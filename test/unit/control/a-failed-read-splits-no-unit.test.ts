// What could not be read for a moment makes no second unit, and takes no path from a unit that is known.

import test from "ava";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const ONE = "[array]\nunits = 1\npaths = 4\nunit_mib = 1\n";
const PATHS = ["4:0:0:0", "4:0:1:0", "5:0:2:0", "5:0:3:0"];
const aborted = { kind: "error", senseKey: 0x0b, asc: 0x4b, ascq: 3 };

for (const [title, fault] of Object.entries({
  "0B/4B/03": aborted,
  BUSY: { kind: "error", status: 8 },
  "02/04/0A": { kind: "error", senseKey: 2, asc: 4, ascq: 0x0a },
  "GOOD without data": { kind: "short-data", missingBytes: 65536 },
})) {
  for (const [name, when] of Object.entries({ "page 83": { page: 0x83 }, INQUIRY: { commands: "inquiry" } })) {
    test(`${name} of a known unit answered once with ${title} on each path: no path is called another unit's`, async (t) => {
      const daemon = await TestDaemon.start(t, `patrol.mode = "none"\n${ONE}`);
      const before = (await daemon.get<"units">(t, "/v1/units")).units.length;
      await daemon.change(t, "POST", "/v1/array/faults", { fault, when: { ...when, times: 1 } });
      // Each path has reason to ask who is there: discovery and the core.
      await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "unit-attention", asc: 0x29, ascq: 7 } });
      await daemon.daemon.rescan();
      const units = (await daemon.get<"units">(t, "/v1/units")).units;
      t.is(units.length, before);
      const { paths } = await daemon.get<"unit">(t, "/v1/units/0");
      t.is(paths.length, PATHS.length);
      for (const path of paths) {
        t.is(path.symbol, ">", path.number);
        t.is(path.foreignIdentity, null);
        t.false(path.conditions.includes("wrong unit"));
      }
      const kinds = (await daemon.get<"events">(t, "/v1/events")).events.map(({ kind }) => kind);
      t.false(kinds.includes("wrong-unit"));
      t.deepEqual(daemon.daemon.rescans.refused, []);
    });
  }
}

test("a known path whose page 83 cannot be read stays in use, and is asked again soon", async (t) => {
  const daemon = await TestDaemon.start(t, `patrol.mode = "none"\n${ONE}`);
  const [number] = PATHS;
  const { id } = await daemon.change<{ id: number }>(t, "POST", "/v1/array/faults", {
    fault: aborted,
    where: { path: number },
    when: { page: 0x83 },
  });
  await daemon.daemon.rescan();
  const { paths } = await daemon.get<"unit">(t, "/v1/units/0");
  t.is(paths.length, PATHS.length);
  t.true(paths.every(({ symbol, foreignIdentity }) => symbol === ">" && foreignIdentity === null));
  t.regex(daemon.daemon.rescans.refused[0]?.reason ?? "", /cannot be read now/);
  const events = (await daemon.get<"events">(t, "/v1/events")).events;
  t.deepEqual(
    events.filter(({ kind }) => kind === "identity-unread").map(({ path }) => path),
    [number],
  );
  t.false(events.some(({ kind }) => kind === "wrong-unit" || kind === "device-refused"));
  await daemon.change(t, "DELETE", `/v1/array/faults?id=${id}`);
  await until("it was asked again", () => Promise.resolve(daemon.daemon.rescans.refused.length === 0));
});
