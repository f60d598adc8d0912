// Beside the socket for changes there is one for readers: everyone may open it, and it changes nothing.

import { statSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { placesOf } from "../../../host/control/settings/places.ts";
import { Configuration } from "../../../host/control/schemas/configuration-schema.ts";
import { ROUTES, type Route } from "../../../host/control/schemas/routes.ts";
import type { ErrorBody } from "../../../host/control/schemas/common.ts";
import { RealDaemon } from "../cli/daemon.ts";
import { callSocket, TestDaemon } from "./fixtures/daemon.ts";

test("the readers' socket answers what it is asked, to everyone", async (t) => {
  await using daemon = await RealDaemon.start();
  const socket = join(daemon.folder, "api-read.sock");
  t.is(statSync(socket).mode & 0o777, 0o666);
  t.is(statSync(daemon.socket).mode & 0o777, 0o660);
  t.is((await callSocket(socket, "GET", "/v1/units")).status, 200);
  const { status, body } = await callSocket<ErrorBody>(socket, "POST", "/v1/paths/4:0:0:0/disable");
  t.is(status, 403);
  t.is(body.error.code, "NOT_ALLOWED");
});

test("it refuses every change", async (t) => {
  const daemon = await TestDaemon.start(t, "[array]\nunits = 1\nunit_mib = 1\n", undefined, {
    access: { kind: "reader", groupName: "pathmanager", changes: "/run/api.sock" },
  });
  const changes = Object.values<Route>(ROUTES).filter(({ change }) => change);
  t.true(changes.length > 10);
  for (const { method, path } of changes) {
    const { status, body } = await daemon.call<ErrorBody>(method, path.replaceAll(/:\w+/g, "0"));
    t.is(status, 403, path);
    t.is(body.error.code, "NOT_ALLOWED", path);
  }
  t.is((await daemon.call("GET", "/v1/units")).status, 200);
});

test("the configuration may do without it", (t) => {
  const without = Configuration.parse({ sockets: { everyone_reads: false } });
  t.is(placesOf(without, 0, {}).readSocket, null);
  t.is(placesOf(Configuration.parse({}), 0, {}).readSocket, "/run/pathmanager/api-read.sock");
});
