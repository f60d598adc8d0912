import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import test from "ava";

import { SOCKET_DEFAULT, socketPath } from "../../../host/cli/client.ts";
import { placesOf } from "../../../host/control/places.ts";
import { Configuration } from "../../../host/control/schemas/configuration.ts";

test("the commands look where the daemon listens", async (t) => {
  const runtime = await mkdtemp(join(tmpdir(), "pathmanager-runtime-"));
  t.teardown(() => rm(runtime, { recursive: true }));
  const env = { XDG_RUNTIME_DIR: runtime };
  const configuration = Configuration.parse({});
  t.is(socketPath(env, undefined, 0), placesOf(configuration, 0, env).apiSocket);
  const own = placesOf(configuration, 1000, env).apiSocket;
  t.is(socketPath(env, undefined, 1000), SOCKET_DEFAULT);
  await mkdir(join(runtime, "pathmanager"));
  await writeFile(own, "");
  t.is(socketPath(env, undefined, 1000), own);
  t.is(socketPath({ ...env, PATHMANAGER_SOCKET: "/x.sock" }, undefined, 1000), "/x.sock");
  t.is(socketPath({ ...env, PATHMANAGER_SOCKET: "/x.sock" }, "/y.sock", 1000), "/y.sock");
});
