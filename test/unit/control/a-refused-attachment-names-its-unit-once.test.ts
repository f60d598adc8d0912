// Why a unit gets no device is said in one sentence: whoever found it out, it names the unit, and no more than once.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { RememberedAttachments } from "../../../host/control/operations/attachments.ts";
import { UnitConnections } from "../../../host/control/operations/unit-connections.ts";
import { Inventory } from "../../../host/control/inventory/inventory.ts";
import { State } from "../../../host/control/state/state.ts";
import { ConnectionRoom } from "../../../host/export/connection-limit.ts";
import type { ReactorClient } from "../../../host/reactor/reactor-client.ts";
import { unitRow } from "./fixtures/unit-row.ts";

test("the unit is named once, by the driver's side or by control", async (t) => {
  const state = new State(mkdtempSync(join(tmpdir(), "pm-refused-")), 100);
  t.teardown(() => state.close());
  const inventory = new Inventory([unitRow(0)], []);
  const unit = inventory.unit("0");
  const attachments = new RememberedAttachments(
    {} as ReactorClient,
    new UnitConnections({} as ReactorClient, inventory),
    new ConnectionRoom({ connections: 0, remote: 0 }),
    state,
    inventory,
    { report: () => undefined },
  );
  const whyNot = async (device: string): Promise<string> =>
    (await t.throwsAsync(attachments.attach(unit, { device }), { code: "ATTACH_FAILED" })).message;
  t.regex(await whyNot("/dev/nbd9999"), /^LogicalUnit #0: it is not offered: /);
  inventory.setUnitHandle(unit, 0);
  for (const device of ["/dev/nbd9999", "/dev/ublkb9999", "/dev/nothing"]) {
    const said = await whyNot(device);
    t.is(said.match(/#0/g)?.length, 1, said);
    t.regex(said, /^LogicalUnit #0\b/);
  }
});
