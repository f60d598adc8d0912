import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { chmodSync } from "node:fs";
import test from "ava";
import fc from "fast-check";
import { openapiDocument } from "../../../host/control/api/openapi.ts";
import { ROUTES, type Route } from "../../../host/control/schemas/routes.ts";
import type { ErrorBody } from "../../../host/control/schemas/common.ts";
import { callSocket, TestDaemon } from "./fixtures/daemon.ts";

const ARRAY = "policy = 'static'\n[array]\nunits = 2\npaths = 2\nunit_mib = 1\n";

interface Refusal {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly code: string;
  readonly says: RegExp;
}

const post = (path: string, body: unknown, code: string, says: RegExp): Refusal => ({
  method: "POST",
  path,
  body,
  code,
  says,
});
const patch = (path: string, body: unknown, code: string, says: RegExp): Refusal => ({
  method: "PATCH",
  path,
  body,
  code,
  says,
});
const PRIORITY = "/v1/paths/4:0:0:0/priority";

const REFUSALS: Readonly<Record<string, Refusal>> = {
  "an unknown path": post("/v1/paths/9:0:0:0/enable", undefined, "UNKNOWN_PATH", /no path 9:0:0:0/),
  "a path number that is none": post("/v1/paths/4:0:0/enable", undefined, "INVALID_REQUEST", /host:channel:target:lun/),
  "an unknown unit": patch("/v1/units/77", { balancing: 1 }, "UNKNOWN_UNIT", /no logical unit 77/),
  "an unknown policy": patch("/v1/units/0", { policy: "fastest" }, "INVALID_REQUEST", /policy/),
  "a balancing mode that is none": patch("/v1/units/0", { balancing: 4 }, "INVALID_REQUEST", /balancing/),
  "policy and balancing at once": patch(
    "/v1/units/0",
    { policy: "static", balancing: 0 },
    "INVALID_REQUEST",
    /one of them/,
  ),
  "a name that another unit has": patch("/v1/units/0", { name: "lu1" }, "NAME_IN_USE", /LogicalUnit #1/),
  "a name with a blank": patch("/v1/units/0", { name: "a b" }, "INVALID_REQUEST", /letters/),
  "a priority in use": post(PRIORITY, { priority: 2 }, "PRIORITY_IN_USE", /5:0:2:0 of LogicalUnit #0 has priority 2/),
  "priority 0": post(PRIORITY, { priority: 0 }, "INVALID_REQUEST", /1 to 254/),
  "priority 255": post(PRIORITY, { priority: 255 }, "INVALID_REQUEST", /1 to 254/),
  "priority 1.5": post(PRIORITY, { priority: 1.5 }, "INVALID_REQUEST", /1 to 254/),
  "a priority that is text": post(PRIORITY, { priority: "2" }, "INVALID_REQUEST", /1 to 254/),
  "no priority": post(PRIORITY, {}, "INVALID_REQUEST", /priority/),
  "a swap without the second path": post(
    "/v1/paths/swap",
    { a: "4:0:0:0" },
    "INVALID_REQUEST",
    /^body: b: is missing$/,
  ),
  "a key nobody knows": post(PRIORITY, { priority: 3, priorty: 4 }, "INVALID_REQUEST", /did you mean priority/),
  "a swap across units": post(
    "/v1/paths/swap",
    { a: "4:0:0:0", b: "4:0:0:1" },
    "NOT_ONE_UNIT",
    /belongs to LogicalUnit #0/,
  ),
  "a pattern without colons": post("/v1/paths/use-matching", { pattern: "5" }, "INVALID_REQUEST", /colons/),
  "a failback of a healthy path": post("/v1/paths/4:0:0:0/failback", undefined, "PATH_NOT_FAILED", /not failed/),
  "forgetting a path that is there": post("/v1/paths/4:0:0:0/forget", undefined, "PATH_PRESENT", /is there/),
  "a device that is no nbd device": post("/v1/units/0/attach", { device: "/dev/sda" }, "INVALID_REQUEST", /nbd/),
  "an interval of 0": patch("/v1/patrol", { intervalS: 0 }, "INVALID_REQUEST", /1 to 3600/),
  "a patrol mode of 4": patch("/v1/patrol", { mode: 4 }, "INVALID_REQUEST", /0, 1, 2 or 3/),
  "a failback mode that is none": patch("/v1/mode", { failback: "sometimes" }, "INVALID_REQUEST", /failback/),
  "a fault of an unknown kind": post("/v1/array/faults", { fault: { kind: "rust" } }, "INVALID_REQUEST", /kind/),
  "a fault nowhere": post(
    "/v1/array/faults",
    { fault: { kind: "port-down" }, where: { path: "9:9:9:9" } },
    "INVALID_REQUEST",
    /matches no port/,
  ),
  "a body that is not JSON": post(PRIORITY, "{priority", "INVALID_REQUEST", /malformed/),
  "a body that pollutes prototypes": post(
    PRIORITY,
    '{"__proto__":{"x":1},"priority":9}',
    "INVALID_REQUEST",
    /malformed/,
  ),
  "a body where none is taken": post("/v1/failback-all", { a: 1 }, "INVALID_REQUEST", /a is not known here/),
  "a body of a megabyte": post(PRIORITY, `{"priority":"${"x".repeat(1 << 20)}"}`, "BODY_TOO_LARGE", /larger than/),
  "a route that is none": { method: "GET", path: "/v2/units", code: "UNKNOWN_ROUTE", says: /nothing at GET/ },
  "a method that is none": { method: "DELETE", path: "/v1/units/0", code: "UNKNOWN_ROUTE", says: /nothing at DELETE/ },
  "events since something": { method: "GET", path: "/v1/events?since=x", code: "INVALID_REQUEST", says: /since/ },
};

test("each bad request gets one clear line with a stable code, and nothing changes", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  const picture = async (): Promise<unknown> => [
    await daemon.shown(t, 0),
    await daemon.shown(t, 1),
    (await daemon.get<"units">(t, "/v1/units")).units.map(({ name, policy }) => ({ name, policy })),
    await daemon.get<"mode">(t, "/v1/mode"),
    daemon.daemon.state.paths(),
    daemon.daemon.state.settings(),
  ];
  const before = await picture();
  for (const [title, { method, path, body, code, says }] of Object.entries(REFUSALS)) {
    const error = await daemon.refused(t, method, path, body);
    t.is<string, string>(error.code, code, title);
    t.regex(error.message, says, title);
  }
  t.deepEqual(await picture(), before);
  t.deepEqual(daemon.problems, []);
});

test("random bodies never make a change, an internal error or a crash", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  const changes = Object.values<Route>(ROUTES).filter((route) => route.change && route.body !== undefined);
  const before = daemon.daemon.state.paths();
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...changes), fc.json({ maxDepth: 3 }), async (route, text) => {
      const path = route.path.replace(":number", "9:9:9:9").replace(":n", "77");
      const { status } = await daemon.call(route.method, path, text);
      return status !== 500;
    }),
    { numRuns: 300 },
  );
  t.deepEqual(daemon.daemon.state.paths(), before);
  t.deepEqual(daemon.problems, []);
});

test("what the server itself refuses is answered in the shape of every error, too", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  const url = await daemon.call<ErrorBody>("GET", "/v1/units/%ff%zz");
  t.is(url.status, 400);
  t.is(url.body.error.code, "INVALID_REQUEST");
  t.is(url.body.error.parameter, "path");
  const socket = connect(daemon.socket);
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const closed = once(socket, "close");
  socket.write("BREW /pot HTCPCP/1.0\r\n\r\n");
  await closed;
  const [head = "", body = ""] = text.split("\r\n\r\n");
  t.regex(head, /^HTTP\/1\.1 400 /);
  t.is((JSON.parse(body) as ErrorBody).error.code, "INVALID_REQUEST");
  t.deepEqual(daemon.problems, []);
});

test("bytes that are not HTTP close that connection and no other", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  const socket = connect(daemon.socket);
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => undefined);
  socket.resume();
  socket.end(Buffer.from([0, 1, 2, 0xff, 0x0a, 0x0d, 0x0a]));
  await closed;
  t.is((await daemon.call("GET", "/v1/mode")).status, 200);
});

test("who is neither root, the daemon's user nor of its group may look, not change", async (t) => {
  const uid = process.getuid?.() ?? 0;
  const daemon = await TestDaemon.start(t, ARRAY, undefined, {
    access: { kind: "peer", uid: uid === 0 ? 0 : uid + 1, group: null },
  });
  if (uid === 0) {
    // Root may change everything, so another user asks.
    chmodSync(daemon.folder, 0o755);
    chmodSync(daemon.socket, 0o666);
    const script = `const http = require("node:http");
      const ask = (method, path) => new Promise((resolve) => http.request({ socketPath: ${JSON.stringify(daemon.socket)}, method, path },
        (r) => { let s = ""; r.on("data", (d) => s += d); r.on("end", () => resolve(r.statusCode + " " + s)); }).end());
      process.setgroups([]); process.setgid(65534); process.setuid(65534);
      ask("GET", "/v1/mode").then((a) => { console.log(a.slice(0, 3)); return ask("POST", "/v1/paths/4:0:0:0/disable"); }).then(console.log);`;
    const { promise, resolve } = Promise.withResolvers<string>();
    const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.on("close", () => resolve(output));
    const [look, change] = (await promise).split("\n");
    t.is(look, "200");
    t.regex(change ?? "", /^403 .*NOT_ALLOWED.*user 65534 may look, not change/);
  } else {
    t.is((await daemon.call("GET", "/v1/mode")).status, 200);
    t.is((await daemon.refused(t, "POST", "/v1/paths/4:0:0:0/disable")).code, "NOT_ALLOWED");
  }
  t.deepEqual(await daemon.shown(t), [">2 5:0:2:0", " 1 4:0:0:0"]);
});

test("with a token, every request needs it", async (t) => {
  const token = "0123456789abcdef0123";
  const daemon = await TestDaemon.start(t, ARRAY, undefined, { access: { kind: "token", readToken: null, token } });
  const ask = (headers: Record<string, string>) => callSocket(daemon.socket, "GET", "/v1/mode", undefined, headers);
  t.is((await ask({})).status, 401);
  t.is((await ask({ authorization: "Bearer 0123456789abcdef0124" })).status, 401);
  t.is((await ask({ authorization: `Bearer ${token}x` })).status, 401);
  t.is((await ask({ authorization: `Bearer ${token}` })).status, 200);
});

const start = (file: string) =>
  spawnSync(process.execPath, ["host/cli/pathmanagerd.ts", "--config", file], { encoding: "utf8", timeout: 60_000 });

test("a second daemon on the same state, and one on a broken configuration, end with one clear line each", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  const second = start(daemon.configurationFile);
  t.is(second.status, 1);
  t.regex(second.stderr, /another daemon \(process \d+\) is using the state file/);
  t.is((await daemon.call("GET", "/v1/mode")).status, 200);
  const missing = start(`${daemon.folder}/none.toml`);
  t.is(missing.status, 1);
  t.regex(missing.stderr, /cannot read the configuration file/);
  t.notRegex(missing.stderr, /\n\s+at /);
});

test("the OpenAPI document describes every endpoint, and every reference in it leads somewhere", async (t) => {
  const document = openapiDocument("1.2.3");
  const text = JSON.stringify(document);
  const components = (document["components"] as { schemas: Record<string, unknown> }).schemas;
  for (const [, name = ""] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) t.true(name in components, name);
  t.false(text.includes("$defs"));
  const paths = document["paths"] as Record<string, Record<string, unknown>>;
  for (const route of Object.values<Route>(ROUTES)) {
    t.truthy(paths[route.path.replaceAll(/:(\w+)/g, "{$1}")]?.[route.method.toLowerCase()], route.path);
  }
});

/** What has to be asked for, where something has. */
const QUESTIONS: Readonly<Record<string, string>> = { "/v1/units/:n/reservation/in": "?action=keys" };

test("every answer is what the table of endpoints says", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  for (const route of Object.values<Route>(ROUTES)) {
    if (route.method !== "GET" || route.response === null) continue;
    const { status, body } = await daemon.call("GET", route.path.replace(":n", "0") + (QUESTIONS[route.path] ?? ""));
    t.is(status, 200, route.path);
    const checked = route.response.safeParse(body);
    t.true(checked.success, `${route.path}: ${checked.error?.message}`);
  }
});
