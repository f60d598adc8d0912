// Whatever is sent to the API, an error has the API's shape: code, one line of message, and the status of its code.

import { once } from "node:events";
import { connect } from "node:net";
import test, { type ExecutionContext } from "ava";
import * as fc from "fast-check";
import { ROUTES, type Route } from "../../../host/control/schemas/routes.ts";
import { ErrorBody } from "../../../host/control/schemas/common.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const SEED = 20_261_128;
const ARRAY = "policy = 'static'\n[array]\nunits = 1\npaths = 2\nunit_mib = 1\n";

interface Raw {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** Sends bytes as they are, and reads the answer to its end. */
async function raw(socketPath: string, bytes: string): Promise<Raw> {
  const socket = connect(socketPath);
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  socket.on("error", () => undefined);
  socket.end(bytes);
  await once(socket, "close");
  const [head = "", ...rest] = text.split("\r\n\r\n");
  return {
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0),
    type: /^content-type: (\S+?);?\s/im.exec(`${head}\n`)?.[1] ?? "",
    body: rest.join("\r\n\r\n"),
  };
}

function hasShape(t: ExecutionContext, { status, type, body }: Raw, what: string): void {
  if (status < 400) return;
  t.is(type, "application/json", what);
  let parsed: unknown;
  t.notThrows(() => (parsed = JSON.parse(body)), `${what}: ${body}`);
  const result = ErrorBody.safeParse(parsed);
  t.true(result.success, `${what}: ${body}`);
  if (result.success) t.false(result.data.error.message.includes("\n"), what);
  t.true(status < 500 || status === 501 || status === 503, `${what}: ${status} ${body}`);
}

const PIECES = [
  "%ff",
  "%zz",
  "%",
  "%00",
  "..",
  "//",
  "?",
  "#",
  "\u00e9",
  "a b",
  "0",
  "#0",
  "4:0:0:0",
  "-1",
  "1e9",
  "{}",
  "\\",
];
const METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW", "get"];

/** A path of the API with something odd in the place of its parameters, or behind it. */
const paths = fc
  .tuple(
    fc.constantFrom(...Object.values<Route>(ROUTES).map(({ path }) => path)),
    fc.array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 8 })), { minLength: 1, maxLength: 4 }),
    fc.boolean(),
  )
  .map(([path, pieces, atEnd]) => {
    const filled = path.replaceAll(/:\w+/g, pieces.join(""));
    return (atEnd ? `${filled}/${pieces.join("")}` : filled).replaceAll(/[\s\0]/g, "%20");
  });

test("requests to odd paths, with odd methods, bodies and types", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  const bodies = fc.oneof(
    fc.constantFrom("", "{", "[]", "null", '"x"', "{}", '{"__proto__":{}}', '{"a":'.repeat(2000), "\u0000"),
    fc.json(),
  );
  const types = fc.constantFrom(
    "application/json",
    "text/plain",
    "application/json; charset=latin1",
    "",
    "multipart/form-data",
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...METHODS), paths, bodies, types, async (method, path, body, type) => {
      if (path.includes("/events/stream")) return;
      const head = `${method} ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: ${type}`;
      const bytes = `${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
      const answer = await raw(daemon.socket, bytes);
      if (method === "HEAD") return;
      t.true(answer.status > 0, `no answer to ${JSON.stringify(bytes.slice(0, 200))}`);
      hasShape(t, answer, JSON.stringify(bytes.slice(0, 200)));
    }),
    { seed: SEED, numRuns: 400 },
  );
});

test("what is no HTTP, or more than is taken", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  const long = "x".repeat(40_000);
  for (const bytes of [
    "nonsense\r\n\r\n",
    "GET /v1/units/%ff%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "GET / HTTP/9.9\r\n\r\n",
    `GET /${long} HTTP/1.1\r\nhost: x\r\n\r\n`,
    `GET / HTTP/1.1\r\nhost: x\r\nlong: ${long}\r\n\r\n`,
    "GET /v1 HTTP/1.1\r\nconnection: close\r\n\r\n",
    "GET /v1/mode HTTP/1.1\r\nhost: x\r\nexpect: nothing\r\nconnection: close\r\n\r\n",
    "POST /v1/config/reload HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
    "POST /v1/config/reload HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    "PATCH /v1/mode HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999\r\ncontent-type: application/json\r\n\r\n{}",
    "\u0016\u0003\u0001\u0000\u0005\u0001",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  ]) {
    const answer = await raw(daemon.socket, bytes);
    const what = JSON.stringify(bytes.slice(0, 80));
    t.true(answer.status >= 400, `${what}: ${answer.status}`);
    hasShape(t, answer, what);
  }
  t.is((await daemon.call("GET", "/v1/mode")).status, 200);
});

test("who sends no more still gets every answer, and a follower who goes is let go", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  for (const path of ["/v1/units", "/v1/paths", "/v1/events", "/v1/status", "/openapi.json"]) {
    const { status, body } = await raw(daemon.socket, `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
    t.is(status, 200, path);
    t.true(body.length > 10, path);
  }
  const { status } = await raw(daemon.socket, "GET /v1/events/stream HTTP/1.1\r\nhost: x\r\n\r\n");
  t.true(status === 200 || status === 0, "it ends");
});
