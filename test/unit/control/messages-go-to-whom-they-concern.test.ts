// ALIVE (remote maintenance) and the operators' manager get the messages that the reference's table says (section 9).

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import test from "ava";
import { eventView } from "../../../host/control/events/event-hub.ts";
import { MESSAGES, sentence, type MessageName } from "../../../host/liaison/messages.ts";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

/** Numbers whose ALIVE is "yes". All are for the manager. */
const ALIVE = new Set([258, 259, 273, 274, 278]);

const viewOf = (kind: MessageName) => eventView({ id: 1, kind, timeMs: 0, unit: null, path: null, detail: {} }, null);

test("each message of the original tells whether ALIVE and the manager get it", (t) => {
  const kinds = (Object.keys(MESSAGES) as MessageName[]).filter((kind) => MESSAGES[kind].number <= 278);
  t.is(kinds.length, 20);
  for (const kind of kinds) {
    const { number } = MESSAGES[kind];
    const { alive, manager } = viewOf(kind);
    t.is(alive, ALIVE.has(number), `${number} ALIVE`);
    t.true(manager, `${number} manager`);
  }
});

test("of ours, ALIVE gets what somebody has to repair, and only what the manager gets", (t) => {
  const alive = (Object.keys(MESSAGES) as MessageName[]).filter((kind) => viewOf(kind).alive);
  for (const kind of alive) t.true(viewOf(kind).manager, kind);
  for (const kind of ["wrong-unit", "no-path-failed", "marginal-out", "state-rebuilt"]) {
    t.true(
      alive.some((name) => name === kind),
      kind,
    );
  }
});

test("docs/messages.md is what the daemon says", async (t) => {
  const program = new URL("../../../host/cli/packaging/messages-page.ts", import.meta.url).pathname;
  await t.notThrowsAsync(promisify(execFile)(process.execPath, [program, "--check"]));
});

test("events that found no room inside the core are told as 628", async (t) => {
  const limits = "[limits]\nconnections = 4\nrequests = 32\ncommands = 64\npool_mib = 32\nevents = 64\n";
  const array = "[array]\nunits = 64\npaths = 4\nunit_mib = 1\n";
  const daemon = await TestDaemon.start(t, `policy = "round-robin"\n${limits}${array}`);
  await daemon.change(t, "PATCH", "/v1/mode", { cluster: true });
  await until("some are lost", async () => {
    const { reactor } = await daemon.get<"status">(t, "/v1/status");
    return reactor.eventsLost > 0;
  });
  const { events } = await daemon.get<"events">(t, "/v1/events?limit=1000");
  const lost = events.filter(({ message }) => message === 628).map(({ detail }) => Number(detail["events"]));
  t.is(
    lost.reduce((sum, count) => sum + count, 0),
    (await daemon.get<"status">(t, "/v1/status")).reactor.eventsLost,
  );
});

test("626 says what was applied, and what needs a restart only where something does", async (t) => {
  const array = "[array]\nunits = 1\npaths = 2\nunit_mib = 1\n";
  const daemon = await TestDaemon.start(t, array);
  const texts: string[] = [];
  for (const configuration of [array, `failback = "standby"\n${array}`, array.replace("paths = 2", "paths = 4")]) {
    TestDaemon.configure(daemon.folder, configuration);
    await daemon.change(t, "POST", "/v1/config/reload");
    const { events } = await daemon.get<"events">(t, "/v1/events?limit=1000");
    texts.push(events.findLast(({ message }) => message === 626)?.text ?? "");
  }
  const by = `by uid ${process.getuid?.()}`;
  t.deepEqual(texts, [
    `Configuration was read again (applied nothing, ${by})`,
    `Configuration was read again (applied failback, ${by})`,
    `Configuration was read again (applied failback, needs restart array.paths, ${by})`,
  ]);
});

test("no message has an empty place", (t) => {
  const message = { kind: "configuration-reloaded", timeMs: 0, unit: null, path: null } as const;
  t.is(sentence({ ...message, detail: { a: "", b: null, c: 0 } }), "Configuration was read again (c 0)");
});
