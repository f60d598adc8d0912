// The kernel's driver disconnects a device whoever uses it, and their I/O fails at once. So who uses it is asked before.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UnitConnections } from "../../../host/control/operations/unit-connections.ts";
import test from "ava";
import { ConnectionRoom } from "../../../host/export/connection-limit.ts";
import { RememberedAttachments } from "../../../host/control/operations/attachments.ts";
import { Inventory } from "../../../host/control/inventory/inventory.ts";
import { State } from "../../../host/control/state/state.ts";
import type { ReactorClient } from "../../../host/reactor/reactor-client.ts";
import { unitRow } from "./fixtures/unit-row.ts";

test("a device that is swap space, mapped, mounted or held is not detached, and none of the unit's others before it", async (t) => {
  const state = new State(mkdtempSync(join(tmpdir(), "pm-detach-")), 100);
  t.teardown(() => state.close());
  state.saveUnits([unitRow(0)]);
  // Device numbers that no machine has, so that the driver would be asked in vain.
  for (const index of [9001, 9002]) state.saveAttachment({ index, unit: 0, options: {}, sinceMs: 1 });
  const inventory = new Inventory(state.units(), []);
  const asked: string[] = [];
  let reason = "";
  const attachments = new RememberedAttachments(
    {} as ReactorClient,
    new UnitConnections({} as ReactorClient, inventory),
    new ConnectionRoom({ connections: 4, remote: 3 }),
    state,
    inventory,
    {
      report: () => undefined,
      why: (device) => {
        asked.push(device);
        return Promise.resolve(device === "nbd9002" ? reason : null);
      },
    },
  );
  for (const [use, remedy] of [
    ["/dev/nbd9002 is swap space; run swapoff /dev/nbd9002", "run swapoff /dev/nbd9002"],
    ["/dev/nbd9002p1 is used by dm-0 (data); remove that first", "remove that first"],
    ["/dev/nbd9002 is in exclusive use by another program", "end that program first"],
  ] as const) {
    reason = use;
    const error = await t.throwsAsync(attachments.detach(inventory.unit("0"), undefined));
    t.like(error, { code: "BUSY", parameter: "/dev/nbd9002", remedy, message: use.split(";")[0] });
  }
  t.deepEqual(asked.slice(0, 2), ["nbd9001", "nbd9002"]);
  t.is(state.attachments().length, 2);
});
