// The mark for a large system: 1024 units with 8 paths each below 300 MB. How long that start takes is measured by
// `npm run bench -- start`, because a test may not depend on how fast the machine is.

import test from "ava";

import type { Status } from "../../../host/control/schemas/status-schema.ts";
import { until } from "../../until.ts";
import { RealDaemon } from "./daemon.ts";

const BYTES_MAX = 300e6;

test("1024 units with 8 paths each are brought up below 300 MB, and stay there while they are shown", async (t) => {
  t.timeout(120_000);
  await using daemon = await RealDaemon.start("[array]\nunits = 1024\npaths = 8\n");
  const status = (): Promise<Status> => daemon.client.call<Status>("GET", "/v1/status");
  await until("every path is usable", async () => (await status()).pathsUsable === 8192);
  t.like(await status(), { units: 1024, paths: 8192 });
  await daemon.client.call("GET", "/v1/units");
  const bytes = await daemon.peakBytes();
  t.log(`largest resident memory: ${Math.round(bytes / 1e6)} MB`);
  t.true(bytes < BYTES_MAX, `${bytes} bytes`);
});
