// Alerts for Alertmanager: each ends with the message that its fault is over, with the labels it began with.

import test from "ava";
import { Alerts, isForAlerts } from "../../../host/liaison/receivers/alerts.ts";
import type { Notice, NoticeFilter } from "../../../host/liaison/receivers/notice.ts";
import { kindOf, MESSAGES, receivers, type MessageName } from "../../../host/liaison/messages.ts";

let last = 0;
function notice(kind: MessageName, about: Partial<Notice> = {}): Notice {
  const { number: message, level, text } = kindOf(kind);
  const none = { unit: null, identity: null, array: null, path: null, detail: {} };
  last += 1;
  return { id: last, time: last * 1000, message, kind, level, ...receivers(kind), text, ...none, ...about };
}

/** The alerts of one batch that arrives: kind, path, and whether it ends. */
function sent(alerts: Alerts, ...batch: readonly Notice[]): string[] {
  const made = alerts.of(batch);
  made.taken();
  return made.alerts.map(
    ({ labels, endsAt }) => `${labels["kind"]} ${labels["path"] ?? "-"} ${endsAt === undefined ? "begins" : "ends"}`,
  );
}

test("what a kind ends are kinds that there are, and none of them ends others", (t) => {
  const names = new Set(Object.keys(MESSAGES));
  const all = Object.keys(MESSAGES) as MessageName[];
  const ending = all.filter((name) => kindOf(name).ends !== undefined);
  t.true(ending.length > 4);
  for (const name of ending) {
    for (const ended of kindOf(name).ends ?? []) {
      t.true(names.has(ended), `${name} ends ${ended}`);
      t.is(kindOf(ended as MessageName).ends, undefined, ended);
    }
  }
});

test("a path that comes back ends what was told of it, and of no other path", (t) => {
  const alerts = new Alerts("h");
  const [left, right] = [
    { unit: 0, path: "4:0:0:0" },
    { unit: 0, path: "5:0:0:0" },
  ];
  t.deepEqual(sent(alerts, notice("path-error-check", left), notice("path-error-check", right)), [
    "path-error-check 4:0:0:0 begins",
    "path-error-check 5:0:0:0 begins",
  ]);
  t.deepEqual(sent(alerts, notice("automatic-failback-done", left)), ["path-error-check 4:0:0:0 ends"]);
  t.deepEqual(sent(alerts, notice("automatic-failback-done", left)), [], "it has ended already");
});

test("a message about all units ends what was told of each", (t) => {
  const alerts = new Alerts("h");
  sent(alerts, notice("not-redundant", { unit: 3 }), notice("not-redundant"), notice("wrong-unit", { unit: 3 }));
  t.deepEqual(sent(alerts, notice("redundant")), ["not-redundant - ends", "not-redundant - ends"]);
});

test("an alert ends with the labels and the beginning that it had, never before it", (t) => {
  const alerts = new Alerts("h");
  const first = alerts.of([notice("not-redundant", { unit: 0, identity: "naa.1", time: 5000 })]);
  first.taken();
  const [ended] = alerts.of([notice("redundant", { time: 4000 })]).alerts;
  t.deepEqual(ended, { ...first.alerts[0], endsAt: new Date(5000).toISOString() } as typeof ended);
});

test("a batch that did not arrive is the same when it is sent again", (t) => {
  const alerts = new Alerts("h");
  sent(alerts, notice("not-redundant", { unit: 0 }));
  const batch = [notice("redundant"), notice("not-redundant", { unit: 1 })];
  const lost = alerts.of(batch);
  const again = alerts.of(batch);
  t.is(again.alerts.length, 2);
  t.deepEqual(again.alerts, lost.alerts);
});

test("of very many alerts the newest are remembered", (t) => {
  const alerts = new Alerts("h");
  for (let unit = 0; unit < 1500; unit++) sent(alerts, notice("not-redundant", { unit }));
  const ends = alerts.of([notice("redundant")]).alerts;
  t.is(ends.length, 1000);
  t.is(ends.at(-1)?.labels["unit"], "1499");
});

test("a receiver gets the end of what it got, whatever the level of the end", (t) => {
  const filter: NoticeFilter = { only: "manager", level: "warning" };
  t.true(isForAlerts(notice("not-redundant"), filter));
  t.true(isForAlerts(notice("redundant"), filter));
  // Path errors are of level info, and so is their end.
  t.false(isForAlerts(notice("automatic-failback-done", { path: "4:0:0:0" }), { ...filter, messages: [278] }));
  t.true(isForAlerts(notice("redundant"), { ...filter, messages: [278], units: [4] }));
  t.false(isForAlerts(notice("daemon-started"), filter));
});
