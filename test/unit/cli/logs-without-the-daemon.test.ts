// `pathctl logs` reads the log itself: filters, follows across a rotation, collects, and needs no daemon for any of it.

import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import test from "ava";
import fc from "fast-check";

import { collect, type Manifest } from "../../../host/cli/logs/collect.ts";
import { Tail } from "../../../host/cli/logs/log-lines.ts";
import { redactToml, redactValue } from "../../../host/cli/logs/redact.ts";
import { makeTar, readTar } from "../../../host/archive/tar.ts";
import { Client } from "../../../host/cli/api-client.ts";
import { pathctl } from "../../../host/cli/pathctl/main.ts";
import { EventLog } from "../../../host/liaison/event-log.ts";
import type { Message } from "../../../host/liaison/messages.ts";
import { State } from "../../../host/control/state/state.ts";
import { run } from "./server.ts";

const folderOf = (): string => mkdtempSync(join(tmpdir(), "pm-logs-"));
const at = (minute: number): number => Date.UTC(2026, 10, 22, 16, minute);

const MESSAGES: readonly Message[] = [
  { kind: "failover-started", timeMs: at(0), unit: 0, path: "4:0:0:0", detail: {} },
  { kind: "failover-done", timeMs: at(1), unit: 0, path: "5:0:0:0", detail: { from: "4:0:0:0" } },
  { kind: "failover-failed", timeMs: at(2), unit: 7, path: null, detail: {} },
  { kind: "daemon-stopping", timeMs: at(3), unit: null, path: null, detail: {} },
];

function logIn(folder: string): string {
  const file = join(folder, "spsevent.log");
  const log = new EventLog(file, (problem) => {
    throw new Error(problem);
  });
  log.write(MESSAGES.slice(0, 1));
  renameSync(file, `${file}.old`);
  log.write(MESSAGES.slice(1));
  return file;
}

test("the lines of both generations, all or those wanted", async (t) => {
  const file = logIn(folderOf());
  const numbers = async (...args: string[]): Promise<number[]> => {
    const { status, out, err } = await run(pathctl, ["logs", "--file", file, ...args]);
    t.is(status, 0, err);
    return out
      .split("\n")
      .slice(0, -1)
      .map((line) => Number(line.split(" ")[2]));
  };
  t.deepEqual(await numbers(), [257, 258, 259, 601]);
  t.deepEqual(await numbers("--level", "warning"), [258, 259]);
  t.deepEqual(await numbers("--unit", "#7"), [259]);
  t.deepEqual(await numbers("--path", "4:0:0:0"), [257]);
  t.deepEqual(await numbers("--since", "2026-11-22T16:01:00Z", "--until", "2026-11-22T16:02:00Z"), [258, 259]);
  t.deepEqual(await numbers("-n", "1"), [601]);
  const { out } = await run(pathctl, ["logs", "--file", file, "--json", "--level", "error"]);
  t.is((JSON.parse(out) as { lines: { message: number }[] }).lines[0]?.message, 259);
});

test("wrong values and a missing log are named", async (t) => {
  const wrong = await run(pathctl, ["logs", "--file", logIn(folderOf()), "--since", "yesterday-ish"]);
  t.is(wrong.status, 1);
  t.regex(wrong.err, /--since is an age/);
  const missing = await run(pathctl, ["logs", "--file", "/nonexistent/spsevent.log"]);
  t.is(missing.status, 1);
  t.regex(missing.err, /there is no log \/nonexistent\/spsevent\.log; name it with --file/);
});

test("a line that someone else wrote into the log acts on no terminal", async (t) => {
  const file = logIn(folderOf());
  appendFileSync(
    file,
    "2026-11-22T17:00:00.000Z pathmanager 620 warning Device was refused (reason \u001b[2J\u0007)\n",
  );
  const { out } = await run(pathctl, ["logs", "--file", file, "-n", "1"]);
  t.regex(out, /\\x1b\[2J\\x07\)\n$/);
});

test("following loses no line when the log is renamed meanwhile", (t) => {
  const folder = folderOf();
  const file = join(folder, "spsevent.log");
  const log = new EventLog(file, (problem) => t.fail(problem), 4000);
  log.write([MESSAGES[0] as Message]);
  const tail = new Tail(file);
  const seen: string[] = [];
  const count = 300;
  for (let number = 0; number < count; number++) {
    log.write([{ kind: "stall", timeMs: 0, unit: 0, path: null, detail: { number } }]);
    if (number % 7 === 0) seen.push(...tail.read());
  }
  seen.push(...tail.read());
  tail.close();
  t.deepEqual(
    seen.map((line) => Number(/number (\d+)/.exec(line)?.[1])),
    Array.from({ length: count }, (_, number) => number),
  );
});

test("what is archived comes out again, and other programs read it", (t) => {
  const folder = folderOf();
  const entries = [
    { name: "a/empty", bytes: Buffer.alloc(0) },
    { name: "a/block", bytes: Buffer.alloc(512, 1) },
    { name: "b", bytes: Buffer.from("text") },
    { name: `${"c".repeat(90)}/${"d".repeat(90)}`, bytes: Buffer.from("a name in two fields") },
  ];
  const archive = makeTar(entries, { timeMs: Date.now(), mode: 0o600 });
  t.deepEqual(
    readTar(archive).map(({ name, bytes }) => [name, Buffer.from(bytes).toString("hex")]),
    entries.map(({ name, bytes }) => [name, bytes.toString("hex")]),
  );
  writeFileSync(join(folder, "x.tar"), archive);
  const listed = execFileSync("tar", ["-tf", join(folder, "x.tar")], { encoding: "utf8" });
  t.is(listed, entries.map(({ name }) => `${name}\n`).join(""));
  for (const name of ["e".repeat(101), `${"f".repeat(160)}/g`]) {
    const one = [{ name, bytes: Buffer.alloc(0) }];
    t.throws(() => makeTar(one, { timeMs: 0, mode: 0o600 }), { message: /too long for an archive/ });
  }
});

test("no archive of others hangs or breaks the reader", (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(3000), (noise, where) => {
      const archive = makeTar([{ name: "a", bytes: Buffer.from("x") }], { timeMs: 0, mode: 0o600 });
      Buffer.from(noise).copy(archive, where % archive.length);
      try {
        readTar(archive);
      } catch (thrown) {
        t.true(thrown instanceof RangeError);
      }
    }),
  );
});

/** A host whose daemon is dead: log, state file and configuration are all there is. */
function deadHost(): { folder: string; configuration: string } {
  const folder = folderOf();
  logIn(folder);
  const state = new State(join(folder, "state"), 100);
  state.appendEvents(MESSAGES, (problem) => {
    throw new Error(String(problem));
  });
  state.close();
  writeFileSync(join(folder, "state/running.json"), '{"pid":7,"boot":null,"death":"RangeError: the core trapped"}\n');
  const configuration = join(folder, "pathmanager.toml");
  const places = `state.directory = "${folder}/state"\nlog.file = "${folder}/spsevent.log"\n`;
  writeFileSync(configuration, `${places}# password = "hunter2"\n`);
  return { folder, configuration };
}

test("the archive of a host whose daemon is dead explains the fault to someone who was not there", async (t) => {
  const { folder, configuration } = deadHost();
  const file = join(folder, "logs.tar.gz");
  const made = await run(pathctl, ["logs", "collect", file, "--config", configuration]);
  t.is(made.status, 0, made.err);
  t.regex(made.err, /^1 of \d+: versions\n/);
  t.is(statSync(file).mode & 0o777, 0o600);
  const { status, out } = await run(pathctl, ["logs", "show", file]);
  t.is(status, 0);
  for (const part of [
    /the core trapped/,
    /259 error Failover failed: LogicalUnit #7/,
    /likely causes: the array is off or unreachable/,
    /what to do: Repair or enable one path/,
    /Not collected\n {2}the daemon's status: .*not running/,
  ]) {
    t.regex(out, part);
  }
  const events = await run(pathctl, ["logs", "show", file, "state/events.jsonl"]);
  t.regex(events.out, /Failover was done: LogicalUnit #0, path 5:0:0:0 \(from 4:0:0:0\)/);
  t.false(gunzipSync(readFileSync(file)).includes("hunter2"));
  const again = await run(pathctl, ["logs", "collect", file, "--config", configuration]);
  t.is(again.status, 1);
  t.regex(again.err, /exists; name another file/);
});

test("collecting changes nothing where it collects", async (t) => {
  const { folder, configuration } = deadHost();
  const before = readFileSync(join(folder, "state/state.sqlite"));
  await run(pathctl, ["logs", "collect", join(folder, "logs.tar.gz"), "--config", configuration]);
  t.deepEqual(readFileSync(join(folder, "state/state.sqlite")), before);
});

test("a changed archive is told, another file is refused", async (t) => {
  const folder = folderOf();
  const other = join(folder, "other");
  writeFileSync(other, "no archive");
  const refused = await run(pathctl, ["logs", "show", other]);
  t.is(refused.status, 1);
  t.regex(refused.err, /is no archive of pathctl logs collect/);
});

test("parts that fail, hang or are too large cost only themselves", async (t) => {
  const places = { configurationFile: "", stateDirectory: "", eventLog: "", silent: null };
  const context = { client: new Client("/nonexistent"), places, sinceMs: undefined, sys: "", proc: "" };
  const hangs = new Promise<Record<string, string>>(() => undefined);
  const { manifest, entries } = await collect(
    [
      { what: "fails", read: () => Promise.reject(new Error("no permission")) },
      { what: "hangs", read: () => hangs },
      { what: "large", read: async () => ({ large: `${"x".repeat(2000)}end` }) },
      { what: "well", read: async () => ({ well: "fine" }) },
    ],
    context,
    () => undefined,
    { partMsMax: 20, fileBytesMax: 1000 },
  );
  t.deepEqual(
    manifest.missing.map(({ what }) => what),
    ["fails", "hangs"],
  );
  t.is(entries.find(({ name }) => name === "large")?.bytes.length, 1000);
  t.deepEqual(
    manifest.files.map(({ name, cutBytes }: Manifest["files"][number]) => [name, cutBytes]),
    [
      ["large", 1003],
      ["well", 0],
    ],
  );
});

test("secrets are taken out, places of secrets stay", (t) => {
  const toml = [
    'sockets.api_tcp = { listen = ":1", key = "/etc/key.pem", token_file = "/etc/token" }',
    'psk = "abcd"',
    '#  hmac_secret="s3cret"',
    'url = "https://user:pw@example.com/x"',
    'inner = { password = "deep", name = "n" }',
  ].join("\n");
  const text = redactToml(toml);
  for (const secret of ["abcd", "s3cret", "user:pw", "deep"]) t.false(text.includes(secret), secret);
  for (const kept of ["/etc/key.pem", "/etc/token", "@example.com", 'name = "n"']) t.true(text.includes(kept), kept);
  t.deepEqual(redactValue({ a: { token: "x", token_file: "/f" }, b: ["https://u:p@h"] }), {
    a: { token: "[removed]", token_file: "/f" },
    b: ["https://[removed]@h"],
  });
});

test("messages are explained without the daemon", async (t) => {
  const { out } = await run(pathctl, ["messages", "258"]);
  t.regex(out, /^258 Failover was done \(warning\)\nmeans .*\nlikely causes .*\nwhat to do .*\n$/);
  t.is((await run(pathctl, ["messages"])).out.split("\n").filter((line) => /^\d+ /.test(line)).length > 80, true);
  t.is((await run(pathctl, ["messages", "1"])).status, 1);
});

test("a folder that nobody may write to is named", async (t) => {
  const { folder, configuration } = deadHost();
  mkdirSync(join(folder, "a-folder"));
  const { status, err } = await run(pathctl, [
    "logs",
    "collect",
    join(folder, "none/x.tar.gz"),
    "--config",
    configuration,
  ]);
  t.is(status, 1);
  t.regex(err, /cannot write .*none\/x\.tar\.gz \(ENOENT\)/);
});
