// Ten thousand events a second, scaled down to a second of them: logs and receivers stay small, nothing is uncounted, and the API
// answers meanwhile.

import { createServer } from "node:http";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import test from "ava";
import { SINGLES_MAX } from "../../../host/liaison/storms.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const EVENTS = 10_000;
const AT_ONCE = 500;
const QUEUE_MAX = 20;

test("ten thousand events: counted, summed up, and no receiver drowns in them", async (t) => {
  const silent = createServer(() => undefined);
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  t.teardown(() => {
    silent.close();
    silent.closeAllConnections();
  });
  const { port } = silent.address() as AddressInfo;
  const receiver = `[[receivers]]\nname = "silent"\nkind = "webhook"\nurl = "http://127.0.0.1:${port}/"\nqueue_max = ${QUEUE_MAX}\n`;
  const daemon = await TestDaemon.start(t, `[array]\nunits = 4\npaths = 2\nunit_mib = 1\n${receiver}`);
  const { hub } = daemon.daemon;
  let answers = 0;
  for (let sent = 0; sent < EVENTS; sent += AT_ONCE) {
    for (let index = sent; index < sent + AT_ONCE; index++) {
      hub.say("path-error-io", { unit: index % 4, path: `4:0:0:${index % 4}`, detail: { outcome: "\u001b[2J\n" } });
    }
    // The API has its turn in between.
    const { events } = await daemon.get<"events">(t, "/v1/events?limit=1");
    answers += events.length;
    await turn();
  }
  t.is(answers, EVENTS / AT_ONCE);
  hub.end();
  t.is(hub.counts.get("path-error-io"), EVENTS);
  const { events } = await daemon.get<"events">(t, "/v1/events?limit=1000");
  const singles = events.filter(({ kind }) => kind === "path-error-io").length;
  const summaries = events.filter(({ kind }) => kind === "messages-repeated");
  const summed = summaries.reduce((sum, { detail }) => sum + Number(detail["repeats"]), 0);
  t.is(singles + summed, EVENTS);
  // On a busy machine the storm may last for a few windows.
  t.true(singles >= SINGLES_MAX && singles <= SINGLES_MAX * (summaries.length + 1), String(singles));
  const [status] = daemon.daemon.receiving.statuses;
  t.true((status?.queued ?? Infinity) <= QUEUE_MAX);
  t.true((status?.dropped ?? 0) > 0, "what found no room is counted");
  const log = readFileSync(join(daemon.folder, "spsevent.log"), "utf8");
  t.true(log.length < 1_000_000);
  t.regex(log, /^[^\p{Cc}]*$/mu);
  t.false(log.includes("\u001b"));
});
