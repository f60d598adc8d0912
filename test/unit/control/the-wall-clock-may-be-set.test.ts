// Somebody sets the machine's clock while the daemon runs: what is counted over time goes on.

import test from "ava";
import { statusText } from "../../../host/cli/pathctl/show-status.ts";
import { sampleBetween } from "../../../host/cli/pathctl/top.ts";
import { unpainted, type Style } from "../../../host/cli/style.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const DAY_MS = 86_400_000;
const PLAIN: Style = { strong: unpainted, faint: unpainted, good: unpainted, bad: unpainted, warn: unpainted };

test.serial("uptime and rates are of the monotonic clock, the start goes with the clock as it is now", async (t) => {
  const daemon = await TestDaemon.start(t, "[array]\nunits = 1\npaths = 2\nunit_mib = 1\n");
  const before = await daemon.get<"status">(t, "/v1/status");
  const first = await daemon.get<"statistics">(t, "/v1/statistics");
  const real = Date.now;
  t.teardown(() => (Date.now = real));
  Date.now = () => real() - 3 * DAY_MS;
  const after = await daemon.get<"status">(t, "/v1/status");
  const second = await daemon.get<"statistics">(t, "/v1/statistics");
  const goneBy = after.runningMs - before.runningMs;
  t.true(goneBy >= 0 && goneBy < DAY_MS, String(goneBy));
  const moved = before.startedMs - after.startedMs;
  t.true(Math.abs(moved - 3 * DAY_MS) < DAY_MS, "the daemon started as long before the new time as before the old one");
  t.notRegex(statusText(after, PLAIN), /running +for 0 s/);
  const { seconds } = sampleBetween(first, second);
  t.true(seconds > 0 && seconds < DAY_MS / 1000, String(seconds));
});
