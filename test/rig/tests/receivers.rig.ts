// Who is told: a controller dies and comes back, and each of the real receivers (journald, rsyslogd, snmptrapd, a webhook) gets exactly
// the events of the reference, in their order. The journal's entries have their fields, and `journalctl -x` explains them. And the event
// log on a file system that is full, read-only, gone.

import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { connect } from "node:net";
import { QUICK_PATROL } from "../../quick-patrol.ts";
import { EventLog } from "../../../host/liaison/event-log.ts";
import type { Message } from "../../../host/liaison/messages.ts";
import { until } from "../../until.ts";
import { run, start } from "../lib/command.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon } from "../lib/pathmanager.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", paths: 4, timeLimitS: 200, isEssential: true };

const FOLDER = "/tmp/receivers";
const SYSLOG_PORT = 6514;
const TRAP_PORT = 16_200;
const HOOK_PORT = 8080;
const array = new LioArray();

/** A message as a receiver has it. */
type Told = readonly [id: number, message: number];

interface Event {
  readonly id: number;
  readonly message: number;
  readonly kind: string;
  readonly manager: boolean;
  readonly path: string | null;
  readonly text: string;
}

function get<T>(path: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: "/run/pathmanager/api.sock", path }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve(JSON.parse(text) as T));
    });
    sent.on("error", reject).end();
  });
}

const read = (name: string): string => (existsSync(name) ? readFileSync(name, "utf8") : "");

/** About a receiver that was slow, or is well again: not part of the story, and no receiver hears it of itself. */
const ABOUT_RECEIVERS: ReadonlySet<number> = new Set([690, 691]);

/** What the operators' manager is to know. */
async function storyOf(): Promise<Event[]> {
  const { events } = await get<{ events: Event[] }>("/v1/events?limit=1000");
  return events.filter(({ manager, message }) => manager && !ABOUT_RECEIVERS.has(message));
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Runs a server beside the test. */
function serve(program: string, ...args: readonly string[]): void {
  const child = start(program, ...args);
  afterwards(async () => {
    child.kill("SIGKILL");
    await child;
  });
}

async function journald(): Promise<() => Told[]> {
  // It asks which service a message comes from, and does not start where it cannot.
  run("mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup");
  mkdirSync("/run/systemd/journal", { recursive: true });
  if (read("/etc/machine-id").trim() === "") writeFileSync("/etc/machine-id", `${"0123456789abcdef".repeat(2)}\n`);
  serve("/usr/lib/systemd/systemd-journald");
  await until("journald listens", () => existsSync("/run/systemd/journal/socket"));
  return () => {
    const lines = run("journalctl", "--output=json", "--identifier=pathmanager", "--quiet").split("\n").slice(0, -1);
    const entries = lines.map((line) => JSON.parse(line) as Record<string, string>);
    return entries.map((entry): Told => [Number(entry["PATHMANAGER_ID"]), Number(entry["PATHMANAGER_MESSAGE"])]);
  };
}

async function rsyslogd(): Promise<() => Told[]> {
  const log = `${FOLDER}/syslog`;
  writeFileSync(
    `${FOLDER}/rsyslog.conf`,
    `module(load="imtcp")
input(type="imtcp" port="${SYSLOG_PORT}" address="127.0.0.1")
template(name="data" type="string" string="%structured-data%\\n")
action(type="omfile" file="${log}" template="data")
`,
  );
  serve("rsyslogd", "-n", "-f", `${FOLDER}/rsyslog.conf`, "-i", `${FOLDER}/rsyslog.pid`);
  await until("rsyslogd listens", () => listens(SYSLOG_PORT));
  return () =>
    [...read(log).matchAll(/ id="(\d+)" message="(\d+)"/g)].map(([, id, message]): Told => [
      Number(id),
      Number(message),
    ]);
}

async function snmptrapd(): Promise<() => Told[]> {
  const log = `${FOLDER}/traps`;
  writeFileSync(`${FOLDER}/snmptrapd.conf`, `authCommunity log operators\npersistentDir ${FOLDER}\n`);
  writeFileSync(`${FOLDER}/community`, "operators\n", { mode: 0o600 });
  const args = ["-f", "-On", "-m", "", "-C", "-c", `${FOLDER}/snmptrapd.conf`, "-Lf", log];
  serve("snmptrapd", ...args, `udp:127.0.0.1:${TRAP_PORT}`);
  const port = TRAP_PORT.toString(16).toUpperCase();
  await until("snmptrapd listens", () => read("/proc/net/udp").includes(`0100007F:${port} `));
  return () => {
    const told = [...read(log).matchAll(/32473\.1\.0\.(\d+)\s.*32473\.1\.1\.1\.0 = (?:\w+: )?(\d+)/g)];
    // An inform whose confirmation came late is sent again; its id tells.
    return told
      .map(([, message, id]): Told => [Number(id), Number(message)])
      .filter(([id], index, all) => all.findIndex(([first]) => first === id) === index);
  };
}

async function webhook(): Promise<() => Told[]> {
  const told: Told[] = [];
  const server = createServer((asked, response) => {
    let body = "";
    asked.on("data", (chunk: Buffer) => (body += chunk.toString()));
    asked.on("end", () => {
      const { events } = JSON.parse(body) as { readonly events: readonly Event[] };
      told.push(...events.map(({ id, message }): Told => [id, message]));
      response.end();
    });
  });
  server.listen(HOOK_PORT, "127.0.0.1");
  await once(server, "listening");
  afterwards(() => void server.close());
  return () => told;
}

const CONFIGURATION = `
devices = "all"
marginal.enabled = false
${QUICK_PATROL}[[receivers]]
name = "journal"
kind = "journald"
[[receivers]]
name = "central"
kind = "syslog"
address = "tcp://127.0.0.1:${SYSLOG_PORT}"
[[receivers]]
name = "traps"
kind = "snmp"
address = "udp://127.0.0.1:${TRAP_PORT}"
community_file = "${FOLDER}/community"
confirmed = true
[[receivers]]
name = "hook"
kind = "webhook"
url = "http://127.0.0.1:${HOOK_PORT}/"
`;

/** The numbers of the story, in order, as far as they are the reference's. */
const numbers = (story: readonly Event[]): number[] =>
  story.map(({ message }) => message).filter((message) => message <= 278);

async function failedPaths(): Promise<number> {
  const { paths } = await get<{ paths: { readonly healthy: boolean }[] }>("/v1/paths");
  return paths.filter(({ healthy }) => !healthy).length;
}

test("a controller dies and comes back: each receiver has exactly the events of the reference, in their order", async () => {
  mkdirSync(FOLDER);
  const receivers = {
    journal: await journald(),
    syslog: await rsyslogd(),
    traps: await snmptrapd(),
    hook: await webhook(),
  };
  const daemon = await Daemon.start(CONFIGURATION);
  afterwards(async () => void (await daemon.stop()));
  afterwards(() => array.setController("A", true));
  array.setController("A", false);
  await until("its two paths have failed", async () => (await failedPaths()) === 2);
  await until("the failover is done", async () => numbers(await storyOf()).includes(258));
  array.setController("A", true);
  await until(
    "both have come back",
    async () => numbers(await storyOf()).filter((number) => number === 273).length === 2,
  );
  await until("no path has failed", async () => (await failedPaths()) === 0);
  const heard = (name: keyof typeof receivers): Told[] =>
    receivers[name]().filter(([, message]) => !ABOUT_RECEIVERS.has(message));
  const has = (name: keyof typeof receivers, story: readonly Event[]): boolean =>
    JSON.stringify(heard(name)) === JSON.stringify(story.map(({ id, message }) => [id, message]));
  for (const name of ["hook", "traps", "syslog", "journal"] as const) {
    await until(`${name} has them all`, async () => has(name, await storyOf()), 30_000).catch(async () =>
      assert.deepEqual(
        receivers[name](),
        (await storyOf()).map(({ id, message }): Told => [id, message]),
        name,
      ),
    );
  }
  const story = await storyOf();
  isAsTheReferenceHasIt(story);
  theJournalExplains(story);
});

/** Both paths fail at a check, I/O moves to the other controller, and at last both are taken back, one after the other or together. */
function isAsTheReferenceHasIt(story: readonly Event[]): void {
  const told = numbers(story);
  const of = (number: number): number => told.filter((other) => other === number).length;
  const why = JSON.stringify(story);
  assert.ok(told[0] === 270 || told[0] === 271, why);
  assert.equal(of(270) + of(271), 2, why);
  assert.ok(of(257) > 0 && of(257) === of(258), why);
  for (const [index, number] of told.entries()) if (number === 257) assert.equal(told[index + 1], 258, why);
  const end = told.slice(-4);
  assert.ok(end[0] === 272 && end[3] === 273, why);
  assert.deepEqual(end.toSorted(), [272, 272, 273, 273], why);
  assert.equal(told.length, 2 + 2 * of(258) + 4, why);
}

/** Fields and explanation of the failover in the real journal. */
function theJournalExplains(story: readonly Event[]): void {
  const { text, path } = story.find(({ message }) => message === 258) ?? { text: "", path: "" };
  const found = run("journalctl", "--output=json", "--quiet", `PATHMANAGER_PATH=${path}`, "PATHMANAGER_MESSAGE=258");
  const entry = JSON.parse(found.split("\n")[0] ?? "") as Record<string, string>;
  assert.equal(entry["MESSAGE"], `258 ${text}`);
  assert.equal(entry["PRIORITY"], "4");
  assert.equal(entry["PATHMANAGER_KIND"], "failover-done");
  assert.equal(entry["_TRANSPORT"], "journal");
  assert.match(entry["PATHMANAGER_DETAIL_FROM"] ?? "", /^\d+:\d+:\d+:\d+$/);
  mkdirSync("/usr/lib/systemd/catalog", { recursive: true });
  copyFileSync("host/cli/packaging/pathmanager.catalog", "/usr/lib/systemd/catalog/pathmanager.catalog");
  run("journalctl", "--update-catalog");
  const explained = run("journalctl", "-x", "--quiet", "PATHMANAGER_MESSAGE=258");
  assert.match(explained, /Subject: Failover was done \(258\)/);
  assert.match(explained, /What to do: Find out why the path named by `from` failed/);
}

const LOG_FOLDER = "/mnt/log";

/** Lines of the log's size in numbers that a reader can check. */
function numbered(from: number, count: number): Message[] {
  const detail = { padding: "x".repeat(600) };
  return Array.from({ length: count }, (_, index): Message => ({
    kind: "path-added",
    timeMs: 0,
    unit: from + index,
    path: null,
    detail,
  }));
}

test("a log on a file system that is full, read-only or gone: told once each time, and no line is missing in the end", () => {
  mkdirSync(LOG_FOLDER, { recursive: true });
  run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", LOG_FOLDER);
  afterwards(() => void run("umount", LOG_FOLDER));
  const file = `${LOG_FOLDER}/spsevent.log`;
  const complaints: string[] = [];
  const log = new EventLog(file, (problem) => complaints.push(problem));
  let written = 0;
  const write = (count: number): void => {
    for (const message of numbered(written, count)) log.write([message]);
    written += count;
  };
  write(200);
  assert.equal(complaints.length, 1);
  assert.match(complaints[0] ?? "", /ENOSPC/);
  run("mount", "-o", "remount,size=4m", LOG_FOLDER);
  write(1);
  run("mount", "-o", "remount,ro", LOG_FOLDER);
  write(20);
  assert.equal(complaints.length, 2);
  assert.match(complaints[1] ?? "", /EROFS/);
  run("mount", "-o", "remount,rw", LOG_FOLDER);
  write(1);
  assert.equal(complaints.length, 2);
  const units = [...read(file).matchAll(/LogicalUnit #(\d+) /g)].map(([, unit]) => Number(unit));
  assert.deepEqual(
    units,
    Array.from({ length: written }, (_, index) => index),
  );
  // Its folder vanishes under it: the next line is in the folder that was there before.
  run("umount", LOG_FOLDER);
  run("rmdir", LOG_FOLDER);
  write(1);
  assert.equal(complaints.length, 2);
  assert.match(read(file), new RegExp(`^[^\\n]*LogicalUnit #${written - 1} [^\\n]*\\n$`));
  run("mount", "-t", "tmpfs", "tmpfs", LOG_FOLDER);
});
