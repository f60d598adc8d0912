// Who says something does not know who listens: listeners subscribe by the name of a channel, and each daemon has its own.

import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { Said, Stored } from "../../../host/control/events/channels.ts";
import { SINGLES_MAX } from "../../../host/liaison/storms.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const ARRAY = "[array]\nunits = 1\npaths = 2\nunit_mib = 1\n";

/** What comes over a channel while the test runs. */
function heardOn<T>(t: ExecutionContext, name: string): T[] {
  const heard: T[] = [];
  const hear = (what: unknown): void => void heard.push(what as T);
  subscribe(name, hear);
  t.teardown(() => void unsubscribe(name, hear));
  return heard;
}

const lines = ({ folder }: TestDaemon): string => readFileSync(join(folder, "spsevent.log"), "utf8");

test.serial("a listener that only knows the channels hears everything, as the API tells it", async (t) => {
  const said = heardOn<Said>(t, "pathmanager:said");
  const stored = heardOn<Stored>(t, "pathmanager:stored");
  const daemon = await TestDaemon.start(t, ARRAY);
  await daemon.change(t, "POST", "/v1/paths/4:0:0:0/disable");
  const { events } = await daemon.get<"events">(t, "/v1/events?limit=1000");
  t.true(events.some(({ message }) => message === 275));
  // What is said while the API answers comes after these.
  t.deepEqual(stored.flatMap((batch) => batch.events).slice(0, events.length), events);
  t.deepEqual(
    said.map(({ message }) => message.kind).slice(0, events.length),
    events.map(({ kind }) => kind),
  );
  t.true(said.every(({ isSummedUp }) => !isSummedUp));
});

test.serial("a storm is said in full, and stored as its sum", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  const said = heardOn<Said>(t, "pathmanager:said");
  const { hub } = daemon.daemon;
  for (let count = 0; count < SINGLES_MAX + 50; count++) hub.say("path-error-io", { unit: 0, path: "4:0:0:0" });
  hub.end();
  const of = said.filter(({ message }) => message.kind === "path-error-io");
  t.is(of.length, SINGLES_MAX + 50);
  t.is(of.filter(({ isSummedUp }) => isSummedUp).length, 50);
  const { events } = await daemon.get<"events">(t, "/v1/events?limit=1000");
  t.is(events.filter(({ kind }) => kind === "path-error-io").length, SINGLES_MAX);
  t.is(events.find(({ kind }) => kind === "messages-repeated")?.detail["repeats"], 50);
});

test.serial("two daemons in a process do not write into each other's logs", async (t) => {
  const daemons = [await TestDaemon.start(t, ARRAY), await TestDaemon.start(t, ARRAY)] as const;
  await daemons[0].change(t, "POST", "/v1/paths/4:0:0:0/disable");
  for (const { daemon } of daemons) daemon.hub.flush();
  t.regex(lines(daemons[0]), / 275 /);
  t.notRegex(lines(daemons[1]), / 275 /);
});
