import { mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mock } from "node:test";
import test from "ava";
import { EventLog, logLine } from "../../../host/liaison/event-log.ts";
import { sentence, type Message } from "../../../host/liaison/messages.ts";
import { ServiceManager } from "../../../host/liaison/notify.ts";
import { SystemLog, syslogDatagram } from "../../../host/liaison/system-log.ts";

const message = (more: Partial<Message> = {}): Message => ({
  kind: "failover-done",
  timeMs: Date.UTC(2026, 10, 22, 16, 15, 3, 120),
  unit: 0,
  path: "5:0:0:0",
  detail: { from: "4:0:0:0" },
  ...more,
});

test("a message is one sentence with the unit, the path and the detail", (t) => {
  t.is(sentence(message()), "Failover was done: LogicalUnit #0, path 5:0:0:0 (from 4:0:0:0)");
  t.is(sentence(message({ kind: "daemon-stopping", unit: null, path: null, detail: {} })), "PathManager is stopping");
  t.is(sentence(message({ path: null, detail: { from: null } })), "Failover was done: LogicalUnit #0");
});

test("a line of the log has time, source, number, level; text with line ends stays one line", (t) => {
  t.is(
    logLine(message()),
    "2026-11-22T16:15:03.120Z pathmanager 258 warning Failover was done: LogicalUnit #0, path 5:0:0:0 (from 4:0:0:0)\n",
  );
  t.is(logLine(message({ detail: { reason: "a\nb\r\nc" } })).split("\n").length, 2);
});

test("a full log becomes the old one, of which there is one", (t) => {
  const file = join(mkdtempSync(join(tmpdir(), "pm-log-")), "logs/spsevent.log");
  const bytes = Buffer.byteLength(logLine(message()));
  const log = new EventLog(file, (problem) => t.fail(problem), bytes * 10);
  for (let i = 0; i < 25; i++) log.write([message()]);
  t.is(statSync(file).size, bytes * 5);
  t.is(statSync(`${file}.old`).size, bytes * 10);
  const again = new EventLog(file, (problem) => t.fail(problem), bytes * 10);
  for (let i = 0; i < 6; i++) again.write([message()]);
  t.is(statSync(file).size, bytes);
});

test("a log that cannot be written is told once and stops nothing", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "pm-log-"));
  writeFileSync(join(folder, "file"), "");
  const problems: string[] = [];
  const log = new EventLog(join(folder, "file/below/spsevent.log"), (problem) => problems.push(problem));
  log.write([message()]);
  log.write([message()]);
  t.is(problems.length, 1);
  t.regex(problems[0] ?? "", /spsevent\.log/);
  t.is(readFileSync(join(folder, "file"), "utf8"), "");
});

test("the system's log gets the important messages with facility, severity and source", (t) => {
  const text = Buffer.from(syslogDatagram(message(), 7)).toString();
  t.regex(text, /^<28>Nov 22 \d\d:\d\d:03 pathmanager\[7\]: 258 Failover was done/);
  const sent: string[] = [];
  const log = new SystemLog((path, bytes) => sent.push(`${path} ${Buffer.from(bytes).toString()}`));
  log.write([message(), message({ kind: "path-state" }), message({ kind: "failover-failed" })]);
  t.is(sent.length, 2);
  t.regex(sent[1] ?? "", /^\/dev\/log <27>.* 259 Failover failed/);
});

test("a machine without a system log is no error", (t) => {
  const log = new SystemLog(() => {
    throw new Error("nobody listens");
  });
  t.notThrows(() => log.write([message()]));
});

test("the service manager hears ready, reloading and stopping; the watchdog is fed only while the reactor answers", (t) => {
  mock.timers.enable({ apis: ["setInterval"] });
  t.teardown(() => mock.timers.reset());
  const sent: string[] = [];
  const fed = (): number => sent.filter((text) => text.endsWith("WATCHDOG=1")).length;
  let alive = true;
  const environment = { NOTIFY_SOCKET: "/run/notify", WATCHDOG_USEC: "20000", WATCHDOG_PID: String(process.pid) };
  const manager = new ServiceManager(
    (path, bytes) => sent.push(`${path} ${Buffer.from(bytes).toString()}`),
    environment,
  );
  manager.ready("2 logical units", () => alive);
  t.regex(sent[0] ?? "", /^\/run\/notify READY=1\nSTATUS=2 logical units\nMAINPID=\d+$/);
  mock.timers.tick(9);
  t.is(fed(), 0);
  mock.timers.tick(41);
  t.is(fed(), 5, "twice in each of its times");
  alive = false;
  mock.timers.tick(1000);
  t.is(fed(), 5);
  alive = true;
  mock.timers.tick(10);
  t.is(fed(), 6);
  manager.reloading();
  manager.reloaded();
  manager.stopping();
  t.regex(sent.at(-3) ?? "", /RELOADING=1\nMONOTONIC_USEC=\d+$/);
  mock.timers.tick(1000);
  t.true(sent.at(-1)?.endsWith("STOPPING=1"), "nothing after it");
});

test("without a service manager nothing is sent", (t) => {
  const sent: string[] = [];
  const manager = new ServiceManager((path) => sent.push(path), {});
  manager.ready("", () => true);
  manager.stopping();
  t.deepEqual(sent, []);
});
