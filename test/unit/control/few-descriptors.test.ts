// A daemon that may open few files: clients beyond what there is room for are refused and told why, nothing spins, what is connected goes
// on, and newcomers are served as soon as others have gone.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { NbdClient } from "../../../host/cli/demo/nbd-client.ts";
import { descriptorLimit } from "../../../host/control/events/descriptors.ts";
import { TestDaemon } from "./fixtures/daemon.ts";
import { until } from "../../until.ts";
import { answers } from "./fixtures/process.ts";

const LIMIT = 128;

/** Processor time that a process has used, in clock ticks. */
function ticksOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

/** The process of control, which accepts the clients. */
const controlOf = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ")[0]);

/** A client that follows the events for as long as it is let. One that asks for nothing would be sent away after a while. */
async function follower(path: string): Promise<Socket> {
  const socket = connect(path);
  socket.on("error", () => undefined).resume();
  await Promise.race([once(socket, "connect"), once(socket, "close")]);
  socket.write("GET /v1/events/stream HTTP/1.1\r\nhost: x\r\n\r\n");
  return socket;
}

/**
 * Waits until somebody is refused. What the daemon had open only for a moment has left places free below its reserve: others take them.
 */
function refused(path: string, followers: Socket[], who: string, isRefused: () => Promise<boolean>): Promise<unknown> {
  return until(`${who} is refused`, async () => {
    followers.push(await follower(path));
    return isRefused();
  });
}

/** Over a connection of its own; status 0: it was closed without an answer. */
async function asked(path: string): Promise<{ status: number; text: string }> {
  const socket = connect(path);
  let text = "";
  socket.on("error", () => undefined).on("data", (chunk: Buffer) => (text += chunk.toString()));
  socket.write("GET /v1/mode HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  // Not events.once: an error on the way is no surprise here, and the end comes behind it.
  await new Promise((resolve) => socket.once("close", resolve));
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0), text };
}

test("clients that use all descriptors up are refused with 503 and 679; I/O and who is connected go on; it recovers", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "pm-descriptors-"));
  TestDaemon.configure(folder, "[array]\nunits = 1\npaths = 2\nunit_mib = 1\n");
  const command = `ulimit -n ${LIMIT}; exec "$0" host/cli/pathmanagerd.ts --config "$1"`;
  const args = ["-c", command, process.execPath, join(folder, "pathmanager.toml")];
  const child = spawn("/bin/sh", args, { stdio: ["ignore", "ignore", "pipe"] });
  t.teardown(() => child.kill("SIGKILL"));
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  await answers(child, folder);
  const pid = child.pid ?? 0;
  t.is(descriptorLimit(readFileSync(`/proc/${pid}/limits`, "utf8")), LIMIT);
  const api = join(folder, "api.sock");
  const client = await NbdClient.connect(join(folder, "nbd.sock"), "lu0");
  const events = await follower(api);
  let streamed = "";
  events.on("data", (chunk: Buffer) => (streamed += chunk.toString()));
  const beginMs = performance.now();
  const followers: Socket[] = [];
  for (let count = 0; count < LIMIT; count++) followers.push(await follower(api));
  let text = "";
  await refused(api, followers, "who comes now", async () => {
    const answer = await asked(api);
    ({ text } = answer);
    return answer.status === 503;
  });
  t.regex(text, /"code":"UNAVAILABLE","message":"the daemon may have 128 files and connections open/);
  await refused(api, followers, "an NBD client", async () => {
    try {
      await (await NbdClient.connect(join(folder, "nbd.sock"), "lu0")).close();
      return false;
    } catch {
      return true;
    }
  });
  const processes = [pid, controlOf(pid)];
  for (const each of processes) t.true(readdirSync(`/proc/${each}/fd`).length < LIMIT, "a reserve is kept");
  const start = performance.now();
  while (performance.now() - start < 1000) t.is((await client.read(0, 4096)).length, 4096);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const ticks = (): number => processes.reduce((sum, each) => sum + ticksOf(each), 0);
  const before = ticks();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  t.true(ticks() - before < 50, `${ticks() - before} ticks of 100 in a second without work`);
  for (const socket of followers) socket.destroy();
  await until("who comes now is served", async () => (await asked(api)).status === 200);
  const second = await NbdClient.connect(join(folder, "nbd.sock"), "lu0");
  await second.close();
  await client.close();
  await until("it is told", () => streamed.includes('"message":679'));
  // Once a minute; a busy machine may need more than one for all this.
  const minutes = Math.ceil((performance.now() - beginMs) / 60_000);
  const told = streamed.match(/"message":679/g)?.length ?? 0;
  t.true(told >= 1 && told <= minutes, `told ${told} times in ${minutes} min, to who was connected`);
  t.is(said.match(/clients are refused: the daemon may have 128 files/g)?.length, told);
  events.destroy();
});
