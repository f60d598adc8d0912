// What is displayed of a path's access state, and used for choosing paths, is what a path of its group has told, from the start on.

import test, { type ExecutionContext } from "ava";
import { removeGone } from "../../../host/control/devices/reconcile.ts";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const APART =
  "patrol.interval_s = 1\n[array]\nunits = 1\npaths = 4\nunit_mib = 1\naccess = 'preferred'\ngroup_reports = 'own'\n";

async function states(t: ExecutionContext, daemon: TestDaemon): Promise<(string | undefined)[][]> {
  const { paths } = await daemon.get<"unit">(t, "/v1/units/0");
  return paths.map(({ number, alua, state }) => [number, alua?.state, state]);
}

test("an array whose ports tell of their own group alone: every state is right from the start on", async (t) => {
  const daemon = await TestDaemon.start(t, APART);
  t.deepEqual(await states(t, daemon), [
    ["4:0:0:0", "optimized", "in use"],
    ["4:0:1:0", "optimized", "in use"],
    ["5:0:2:0", "non-optimized", "active"],
    ["5:0:3:0", "non-optimized", "active"],
  ]);
});

test("a group that tells nothing is unknown, gets no I/O while another is optimized, and is known when it tells", async (t) => {
  const daemon = await TestDaemon.start(t, APART.replace("preferred", "symmetric"));
  const REPORT = 0xa3;
  const fault = { kind: "error", senseKey: 5, asc: 0x24 };
  await daemon.change(t, "POST", "/v1/array/faults", { fault, where: { controller: 1 }, when: { opcode: REPORT } });
  // All of it is found anew.
  await daemon.daemon.change(() => removeGone(daemon.daemon, new Set()));
  await daemon.daemon.rescan();
  t.deepEqual(await states(t, daemon), [
    ["4:0:0:0", "optimized", "in use"],
    ["4:0:1:0", "optimized", "in use"],
    ["5:0:2:0", "unknown", "active"],
    ["5:0:3:0", "unknown", "active"],
  ]);
  await daemon.change(t, "DELETE", "/v1/array/faults");
  await until("every group has told", async () =>
    (await states(t, daemon)).every(([, alua, state]) => alua === "optimized" && state === "in use"),
  );
});
