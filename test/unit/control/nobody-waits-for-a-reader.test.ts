// A reader of standard error that stays and reads nothing (`pathmanagerd 2>&1 | less`) holds nobody up: lines are kept up to a
// bound, then lost and counted, and who reads again gets what was kept.

import { execFileSync, spawn } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readSync, writeSync } from "node:fs";
import { constants as system, tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { KEPT_BYTES_MAX, Output } from "../../../host/control/api/output.ts";
import { closeDescriptor, socketPair, writeNow } from "../../../host/native/index.ts";
import { until } from "../../until.ts";
import { callSocket, TestDaemon } from "./fixtures/daemon.ts";
import { answers } from "./fixtures/process.ts";

/** A pipe of which this process has an end that never waits, and the end that the daemon gets. */
function pipe(): { ours: number; theirs: number } {
  const name = join(mkdtempSync(join(tmpdir(), "pm-reader-")), "pipe");
  execFileSync("mkfifo", [name]);
  const ours = openSync(name, constants.O_RDWR | constants.O_NONBLOCK);
  return { ours, theirs: openSync(name, constants.O_WRONLY) };
}

const ifThere = (act: () => number): number => {
  try {
    return act();
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "EAGAIN") return 0;
    throw thrown;
  }
};

function fill(descriptor: number): void {
  const page = Buffer.alloc(4096, "\n");
  while (ifThere(() => writeSync(descriptor, page)) > 0);
}

function drain(descriptor: number): string {
  const chunk = Buffer.alloc(65_536);
  let text = "";
  for (;;) {
    const bytes = ifThere(() => readSync(descriptor, chunk));
    if (bytes === 0) return text;
    text += chunk.toString("utf8", 0, bytes);
  }
}

test("a daemon whose standard error is a pipe that nobody reads answers, applies and stops", async (t) => {
  const { ours, theirs } = pipe();
  const folder = mkdtempSync(join(tmpdir(), "pm-reader-"));
  TestDaemon.configure(folder, "log.level = 'debug'\n[array]\nunits = 1\npaths = 2\nunit_mib = 1\n");
  const daemon = ["host/cli/pathmanagerd.ts", "--config", join(folder, "pathmanager.toml")];
  const child = spawn(process.execPath, daemon, { stdio: ["ignore", "ignore", theirs] });
  closeSync(theirs);
  t.teardown(() => child.kill("SIGKILL"));
  await answers(child, folder);
  drain(ours);
  fill(ours);
  const socket = join(folder, "api.sock");
  const reloads = async (): Promise<number> => {
    const { body } = await callSocket<{ events: { message: number }[] }>(socket, "GET", "/v1/events?limit=1000");
    return body.events.filter(({ message }) => message === 626).length;
  };
  child.kill("SIGHUP");
  await until("it is carried out", async () => (await reloads()) > 0);
  t.is(await reloads(), 1);
  drain(ours);
  let said = "";
  await until("what was kept comes when somebody reads", () => {
    said += drain(ours);
    return said.includes("the configuration was read again");
  });
  fill(ours);
  child.kill("SIGTERM");
  t.is(await new Promise((resolve) => child.once("exit", resolve)), 0);
  closeSync(ours);
});

test("writing to a full pipe or socket answers EAGAIN at once, and what it takes comes out whole", (t) => {
  const { ours, theirs } = pipe();
  const [one, other] = socketPair("stream");
  for (const [to, from] of [
    [theirs, ours],
    [one, other],
  ] as const) {
    let sent = 0;
    const bytes = Buffer.alloc(10_000, "x");
    let answer = writeNow(to, bytes);
    for (; answer > 0; answer = writeNow(to, bytes)) sent += answer;
    t.is(answer, -system.errno.EAGAIN);
    let received = 0;
    while (received < sent) received += readSync(from, Buffer.alloc(sent));
    t.is(received, sent);
    t.true(writeNow(to, bytes) > 0, "there is room again");
  }
  closeDescriptor(one);
  closeDescriptor(other);
  closeSync(ours);
  closeSync(theirs);
  t.is(writeNow(9999, Buffer.from("x")), -system.errno.EBADF);
});

const line = (number: number): string => `${number} ${"y".repeat(8_000)}\n`;

test("what is kept has a bound; what is beyond it is lost and counted, line by line, and those kept come in order", async (t) => {
  let isRead = false;
  let written = "";
  const output = new Output(2, (_, bytes) => {
    if (!isRead) return -system.errno.EAGAIN;
    const taken = bytes.subarray(0, 5000);
    written += Buffer.from(taken).toString();
    return taken.length;
  });
  for (let number = 0; number < 100; number++) output.say(line(number));
  const kept = Math.floor(KEPT_BYTES_MAX / line(10).length);
  t.is(output.lost, 100 - kept);
  isRead = true;
  output.say("last\n");
  t.is(written, `${Array.from({ length: kept }, (_, number) => line(number)).join("")}last\n`);
});

test("lost lines are told as 678, with how many", async (t) => {
  const daemon = await TestDaemon.start(t, "[array]\nunits = 1\npaths = 2\nunit_mib = 1\n", undefined, {
    linesLost: () => 7,
  });
  const told = async (): Promise<unknown[]> =>
    (await daemon.get<"events">(t, "/v1/events?limit=1000")).events
      .filter(({ message }) => message === 678)
      .map(({ detail }) => detail["lines"]);
  await until("it is told", async () => (await told()).length > 0);
  await daemon.daemon.keeping.check();
  t.deepEqual(await told(), [7], "once");
});
