// The commands find the daemon: where it listens, in which order, and what is said when it is nowhere.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import test from "ava";

import { Client, SOCKET_DEFAULT, socketPaths } from "../../../host/cli/api-client.ts";
import { placesOf } from "../../../host/control/settings/places.ts";
import { Configuration } from "../../../host/control/schemas/configuration-schema.ts";
import { recordedServer } from "./server.ts";

const configuration = Configuration.parse({});

test("the commands look where the daemon listens, one of the user's own first", (t) => {
  const env = { XDG_RUNTIME_DIR: "/run/user/1000" };
  t.deepEqual(socketPaths(env, undefined, 0), [placesOf(configuration, 0, env).apiSocket]);
  const own = socketPaths(env, undefined, 1000);
  t.is(own[0], placesOf(configuration, 1000, env).apiSocket);
  t.is(own.at(-1), SOCKET_DEFAULT);
  // The daemon may have been started from a shell without the variable, in this folder.
  const elsewhere = placesOf(configuration, 1000, {}).apiSocket;
  t.true(own.includes(elsewhere));
  t.deepEqual(socketPaths({}, undefined, 1000), [elsewhere, SOCKET_DEFAULT]);
  t.is(elsewhere, resolve("build/run/api.sock"));
});

test("what is named is the only place", (t) => {
  t.deepEqual(socketPaths({ PATHMANAGER_SOCKET: "/x.sock" }, undefined, 1000), ["/x.sock"]);
  t.deepEqual(socketPaths({ PATHMANAGER_SOCKET: "/x.sock" }, "/y.sock", 1000), ["/y.sock"]);
});

test("a place where nobody listens any more is passed over, also by several calls at once", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "pathmanager-socket-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const left = join(folder, "api.sock");
  // A socket file without a listener, as a killed daemon leaves it.
  spawnSync(process.execPath, [
    "-e",
    `require("net").createServer().listen(${JSON.stringify(left)}, () => process.kill(process.pid, 9))`,
  ]);
  t.true(existsSync(left));
  await using server = await recordedServer({ "GET /v1/status": { version: "1" }, "GET /v1/mode": { class: "x" } });
  const client = new Client(join(folder, "never.sock"), left, server.socket);
  const answers = await Promise.all([client.call("GET", "/v1/status"), client.call("GET", "/v1/mode")]);
  t.deepEqual(answers, [{ version: "1" }, { class: "x" }]);
  t.is(client.socket, server.socket);
});

test("when it is nowhere, every place that was tried is named", async (t) => {
  const client = new Client("/nonexistent/one.sock", "/nonexistent/two.sock");
  const error = await t.throwsAsync(client.call("GET", "/v1/status"), { code: "NOT_RUNNING" });
  t.regex(error?.message ?? "", /nothing answers on \/nonexistent\/one\.sock or \/nonexistent\/two\.sock/);
});
