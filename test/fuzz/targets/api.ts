// Bodies and addresses of the API: every request is taken as its schema says or refused in the API's shape, and never is a
// defect. The first line of an input is method and address, the rest is the body. What is behind the API only notes what it gets.

import { mkdtempSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { ROUTES, type Route, type RouteId } from "../../../host/control/schemas/routes.ts";
import { makeServer } from "../../../host/control/api/api-server.ts";
import { check, type Target } from "../target.ts";

const TOKEN = "token";
const METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD"] as const;

interface Taken {
  readonly id: string;
  readonly input: { readonly params?: unknown; readonly query?: unknown; readonly body?: unknown };
}

type ServerOptions = Parameters<typeof makeServer>[0];

/** Takes whatever passes the schemas. */
function noting(note: (taken: Taken) => void): ServerOptions["handlers"] {
  const handlers = Object.keys(ROUTES).map((id) => [
    id,
    (input: Taken["input"]) => (note({ id, input }), id === "metrics" ? [] : {}),
  ]);
  return Object.fromEntries(handlers) as ServerOptions["handlers"];
}

interface Wrong {
  readonly error?: {
    readonly code?: unknown;
    readonly message?: unknown;
    readonly parameter?: unknown;
    readonly remedy?: unknown;
  };
}

const isTextOrNull = (value: unknown): boolean => value === null || (typeof value === "string" && value.length > 0);

/** What a value of JavaScript looks like that somebody forgot to put into words. */
const UNSPOKEN = /undefined|\[object|NaN/;

/** Every name and text in a value. */
function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => textsIn(inner).concat(name));
}

function parsed(body: string | undefined): unknown {
  try {
    return JSON.parse(body ?? "null");
  } catch {
    return body;
  }
}

/** The texts of a request that look as if somebody had forgotten to put them into words; a refusal may name each. */
function unspokenIn(url: string, body: string | undefined): string[] {
  const texts = [...url.split(/[/?&=]/).map(decoded), ...textsIn(parsed(body))];
  return texts.filter((text) => UNSPOKEN.test(text)).toSorted((a, b) => b.length - a.length);
}

/** @param named texts of the request that the message may name, the longest first */
function checkRefusal(status: number, text: string, named: readonly string[]): void {
  check(status < 500, () => `status ${status}: ${text}`);
  const { error } = JSON.parse(text) as Wrong;
  const { code, message, parameter, remedy } = error ?? {};
  check(typeof code === "string" && /^[A-Z_]+$/.test(code), () => `an error without a code: ${text}`);
  check(typeof message === "string" && message.length > 4 && !message.includes("\n"), () => `the message of ${text}`);
  const own = named.reduce((rest, word) => rest.replace(word, ""), message);
  check(!UNSPOKEN.test(own), () => `the message of ${text}`);
  check(isTextOrNull(parameter) && isTextOrNull(remedy), () => `parameter and remedy of ${text}`);
  check(parameter !== null || code !== "INVALID_REQUEST", () => `no parameter is named: ${text}`);
}

/** The text with what a URL escapes. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** What a schema has made of a request it makes again of what it has made. */
function checkTaken({ id, input }: Taken): void {
  const route: Route = ROUTES[id as RouteId];
  for (const part of ["params", "query", "body"] as const) {
    const schema = route[part];
    if (schema === undefined || input[part] === undefined) continue;
    const again = schema.safeParse(JSON.parse(JSON.stringify(input[part])));
    check(
      again.success && isDeepStrictEqual(again.data, input[part]),
      () => `${id}: ${part} ${JSON.stringify(input[part])}`,
    );
  }
}

/** No event is worth keeping here. */
const QUIET = { flush: () => undefined, say: () => undefined };

interface Answer {
  readonly status: number;
  readonly text: string;
}

function asks(
  agent: Agent,
  socketPath: string,
  method: string,
  path: string,
  body: string | undefined,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent =
      body === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const headers = { authorization: `Bearer ${TOKEN}`, ...sent };
    const asking = request({ agent, socketPath, method, path, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
      response.on("error", reject);
    });
    asking.on("error", reject);
    asking.end(body);
  });
}

/** What no client's library would send. */
const UNSENDABLE = /[^\x21-\x7e]/;

export async function makeTarget(): Promise<Target> {
  let taken: Taken | undefined = undefined;
  const defects: string[] = [];
  const app = makeServer({
    handlers: noting((one) => (taken = one)),
    hub: QUIET as unknown as ServerOptions["hub"],
    version: "0.0.0",
    access: { kind: "token", readToken: null, token: TOKEN },
    onDefect: (thrown, what) => defects.push(`${what}: ${String(thrown)}`),
  });
  const folder = mkdtempSync(join(tmpdir(), "pm-fuzz-"));
  const socket = join(folder, "api.sock");
  await app.listen({ path: socket });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const close = async (): Promise<void> => {
    agent.destroy();
    await app.close();
    rmSync(folder, { recursive: true, force: true });
  };
  const run = async (input: Uint8Array): Promise<void> => {
    const text = Buffer.from(input).toString();
    const end = text.indexOf("\n");
    const [head, body] = end === -1 ? [text, undefined] : [text.slice(0, end), text.slice(end + 1)];
    const [asked = "", url = "/"] = head.split(" ");
    const method = METHODS.find((one) => one === asked) ?? "POST";
    if (!url.startsWith("/") || UNSENDABLE.test(url) || url.startsWith("/v1/events/stream")) return;
    taken = undefined;
    defects.length = 0;
    const { status, text: answer } = await asks(agent, socket, method, url, body);
    check(defects.length === 0, () => defects.join("; "));
    if (status >= 400) {
      if (method !== "HEAD") checkRefusal(status, answer, unspokenIn(url, body));
      check(taken === undefined, () => "refused, and taken");
    } else if (taken !== undefined) checkTaken(taken);
  };
  return { run, seeds: SEEDS, words: WORDS, bytesMax: 1024, end: close };
}

const SEEDS = [
  ...Object.values<Route>(ROUTES).map(({ method, path }) => `${method} ${path.replaceAll(/:\w+/g, "4:0:0:0")}\n{}`),
  'PATCH /v1/units/0\n{"name":"data","policy":"round-robin","parameters":{"ioPerPath":3}}',
  'POST /v1/paths/4:0:0:0/priority\n{"priority":3}',
  'POST /v1/paths/swap\n{"a":"4:0:0:0","b":"4:0:0:1"}',
  'POST /v1/array/faults\n{"fault":{"kind":"slow","ms":5},"where":{"path":"4:0:0:0"},"count":3}',
  'PATCH /v1/patrol\n{"mode":1,"intervalS":5}',
  'PATCH /v1/mode\n{"failback":"immediate"}',
  "GET /v1/events?since=0&limit=10",
  'POST /v1/units/0/attach\n{"device":"/dev/nbd0","connections":2}',
].map((text) => Buffer.from(text));

const WORDS = [
  '{"',
  '":',
  '"',
  ",",
  "[]",
  "null",
  "1e999",
  "-1",
  '"__proto__"',
  "?since=",
  "&limit=",
  "%ff",
  "%00",
  "\\u0000",
];
