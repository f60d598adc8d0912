// Every way in which the process can end (docs/operators-guide.md lists them): at once, whatever hangs, and told of
// afterwards. What SIGTERM, a start that fails and wrong usage do is tried beside (the-daemon-survives, daemon-arguments).

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { LIFE_FILE } from "../../../host/control/state/last-words.ts";
import { Output } from "../../../host/control/api/output.ts";
import type { EventList, EventView } from "../../../host/control/schemas/event-schema.ts";
import { until } from "../../until.ts";
import { callSocket, TestDaemon } from "./fixtures/daemon.ts";
import { answers, hang, spawnDaemon } from "./fixtures/process.ts";

const ARRAY = "log.level = 'info'\n[array]\nunits = 1\npaths = 2\nunit_mib = 1\n";
const fixture = (name: string): string[] => ["--import", join(import.meta.dirname, "fixtures", name)];

function folderOf(): string {
  const folder = mkdtempSync(join(tmpdir(), "pm-ends-"));
  TestDaemon.configure(folder, ARRAY);
  return folder;
}

/** What a daemon says that starts in a folder where another one ended. */
async function saidAfterwards(t: ExecutionContext, folder: string): Promise<EventView[]> {
  const daemon = await TestDaemon.start(t, "", folder);
  const { events } = await daemon.get<"events">(t, "/v1/events?limit=1000");
  await daemon.stop();
  return events;
}

async function ended(child: ChildProcess): Promise<number | string | null> {
  const exit = once(child, "exit") as Promise<[number | null, string | null]>;
  const [status, signal] = await Promise.race([exit, setTimeout(15_000, ["it goes on", null] as const)]);
  return status ?? signal;
}

for (const [what, signal, reason] of [
  ["an exception that nobody catches", "SIGWINCH", /^TypeError: thrown by order of the test \(at .*dying\.mjs:\d+:\d+/],
  ["a promise that nobody handles", "SIGPWR", /^Error: rejected by order of the test \(at .*dying\.mjs:\d+:\d+/],
  ["a crash of the reactor", "SIGURG", /^the reactor crashed: Error: by order of the test$/],
] as const) {
  test(`${what} ends the daemon with status 1 while threads hang; the log and the next start say why`, async (t) => {
    const folder = folderOf();
    const child = await spawnDaemon(folder, [...fixture("hanging.mjs"), ...fixture("dying.mjs")]);
    t.teardown(() => child.kill("SIGKILL"));
    await hang(child, folder);
    child.kill(signal);
    t.is(await ended(child), 1);
    const log = readFileSync(join(folder, "spsevent.log"), "utf8");
    t.regex(
      log,
      /^\S+ pathmanager 641 error PathManager ends because of a defect \(pid \d+, reason .*Error: .* of the test/m,
    );
    const told = (await saidAfterwards(t, folder)).filter(({ message }) => message === 640);
    t.is(told.length, 1);
    t.is(told[0]?.detail["pid"], child.pid);
    t.regex(String(told[0]?.detail["reason"]), reason);
  });
}

for (const [what, signal, status, options] of [
  ["kill -9", "SIGKILL", "SIGKILL", []],
  ["a crash of the process", "SIGSEGV", "SIGSEGV", []],
  ["the service manager's watchdog", "SIGABRT", "SIGABRT", []],
  ["a heap that is full", "SIGIO", "SIGABRT", ["--max-old-space-size=64", ...fixture("dying.mjs")]],
] as const) {
  test(`${what} ends the daemon at once; the next start says that it was not stopped`, async (t) => {
    const folder = folderOf();
    const child = await spawnDaemon(folder, options, "ignore");
    t.teardown(() => child.kill("SIGKILL"));
    child.kill(signal);
    t.is(await ended(child), status);
    const told = (await saidAfterwards(t, folder)).filter(({ message }) => message === 640);
    t.is(told.length, 1);
    t.regex(String(told[0]?.detail["reason"]), /^it was killed, or it crashed; /);
  });
}

test("a machine that went down is told from a daemon that was killed, and a stop is told as neither", async (t) => {
  const folder = folderOf();
  const deaths = async (): Promise<unknown[]> =>
    (await saidAfterwards(t, folder)).filter(({ message }) => message === 640).map(({ detail }) => detail["reason"]);
  t.deepEqual(await deaths(), []);
  const file = join(folder, "state", LIFE_FILE);
  writeFileSync(file, JSON.stringify({ pid: 1, boot: "another boot", death: null }));
  t.deepEqual(await deaths(), ["the machine went down"]);
  t.deepEqual(await deaths(), ["the machine went down"], "it was told once, the daemon after it was stopped");
  writeFileSync(file, "cut off in the mid");
  t.is((await deaths()).length, 1, "what cannot be read says nothing");
});

test("a reload, and all that is logged, works on when nobody reads standard output and standard error", async (t) => {
  for (const full of [false, true]) {
    const folder = folderOf();
    const descriptor = openSync("/dev/full", "w");
    const output = full ? descriptor : "pipe";
    const child = spawn(process.execPath, ["host/cli/pathmanagerd.ts", "--config", join(folder, "pathmanager.toml")], {
      stdio: ["ignore", output, output],
    });
    closeSync(descriptor);
    t.teardown(() => child.kill("SIGKILL"));
    await answers(child, folder);
    child.stdout?.destroy();
    child.stderr?.destroy();
    for (let round = 0; round < 3; round++) {
      child.kill("SIGHUP");
      await until("the reload is told", async () => {
        const { body } = await callSocket<EventList>(join(folder, "api.sock"), "GET", "/v1/events?limit=1000");
        return body.events.filter(({ message }) => message === 626).length > round;
      });
    }
    child.kill("SIGTERM");
    t.is(await ended(child), 0);
    const told = await saidAfterwards(t, folder);
    t.is(told.filter(({ message }) => message === 626).length, 3);
    t.false(told.some(({ message }) => message === 640));
  }
});

test("whatever a descriptor answers, writing to it throws nothing, and what fits is written", (t) => {
  for (const code of ["EPIPE", "EIO", "ENOSPC"] as const) {
    const output = new Output(2, () => -constants.errno[code]);
    t.notThrows(() => output.say("text"));
    t.is(output.lost, 0);
  }
  const written: string[] = [];
  new Output(2, (_, bytes) => {
    written.push(Buffer.from(bytes.subarray(0, 4)).toString());
    return Math.min(4, bytes.length);
  }).say("abcdef");
  t.deepEqual(written, ["abcd", "ef"]);
});
