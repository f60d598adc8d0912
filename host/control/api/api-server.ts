// The HTTP API: fastify's routes come from the table, the table's schemas validate, the handlers answer.
//
// On the Unix sockets the kernel identifies the caller: anyone who can connect may read; root, the daemon's own user and the
// group's members may make changes, though not on the socket for readers. On TCP (TLS only) a bearer token is required, for
// reading as well; there may be a second one, for readers. A change is carried out in the name of its caller, and the messages it leads to say so.

import { timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type * as z from "zod";
import { TLS_SERVER } from "../../export/tls/suites.ts";
import { expose, OPEN_METRICS_TYPE, TEXT_TYPE, wantsOpenMetrics } from "./exposition.ts";
import { credentialsOf, peerOfAddress, peerOfUser } from "../../peers/who.ts";
import { Connections } from "./connections.ts";
import { JSON_TYPE, sendPieces, sendBytes } from "../ground/answer-pieces.ts";
import { inTheNameOf } from "../ground/caller.ts";
import { ControlError, reasonOf } from "../ground/control-errors.ts";
import type { EventHub } from "../events/event-hub.ts";
import { streamEvents } from "./event-stream.ts";
import type { Handlers, JsonRoute } from "./handlers.ts";
import { didYouMean } from "../../settings/did-you-mean.ts";
import { openapiDocument } from "./openapi.ts";
import { sendPage } from "./pages.ts";
import { refusal } from "../core/reactor-port.ts";
import { ROUTES, type Route, type Input, type RouteId } from "../schemas/routes.ts";

/** No request in the table comes close to this. */
const BODY_BYTES_MAX = 64 * 1024;
const REQUEST_TIMEOUT_MS = 10_000;
/** Limit for an idle connection. */
const KEEP_ALIVE_TIMEOUT_MS = 60_000;
/** Limit for the TLS handshake. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Who may make changes. */
export type Access =
  | { readonly kind: "peer"; readonly uid: number; readonly group: number | null; readonly groupName?: string }
  | { readonly kind: "reader"; readonly groupName: string; readonly changes: string }
  | { readonly kind: "token"; readonly token: string; readonly readToken: string | null };

export interface ServerOptions {
  readonly handlers: Handlers;
  readonly hub: EventHub;
  readonly version: string;
  readonly access: Access;
  /** Certificate and key: HTTPS. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer };
  /** How long an answer may stay unread; for tests. */
  readonly unreadMsMax?: number;
  /** Why a new connection is refused; null when it is not. */
  readonly refusalOf?: (socket: Socket) => string | null;
  /** Receives a function that returns how many connections were closed or refused, by reason. */
  readonly onCounting?: (closed: () => Readonly<Record<string, number>>) => void;
  /** Hears of defects: anything that is not a ControlError. */
  readonly onDefect: (thrown: unknown, request: string) => void;
}

/** How long a refused client has to read the reason, and how many such clients are kept at a time. */
const REFUSED_MS_MAX = 500;
const REFUSED_MAX = 8;
const refused = new Set<Socket>();

/** Without a Host header Node would answer 400 with an empty body; nothing here needs the header. */
const NO_HOST_NEEDED = { requireHostHeader: false };

/** Builds the API; it does not listen yet. */
export function makeServer(options: ServerOptions): FastifyInstance {
  const common = {
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) =>
      answerError(error, request, reply, options),
    clientErrorHandler: answerMalformed,
    routerOptions: { maxParamLength: 128 },
  };
  const app: FastifyInstance =
    options.tls === undefined
      ? fastify({ ...common, http: NO_HOST_NEEDED })
      : (fastify({
          ...common,
          https: { ...NO_HOST_NEEDED, ...TLS_SERVER, ...options.tls, handshakeTimeout: HANDSHAKE_TIMEOUT_MS },
        }) as unknown as FastifyInstance);
  const connections = new Connections({
    peerOf: options.access.kind === "token" ? peerOfAddress : peerOfUser,
    onClosed: (why, peer) => options.hub.say("api-connection-closed", { detail: { why, peer } }),
    ...(options.unreadMsMax === undefined ? {} : { unreadMsMax: options.unreadMsMax }),
    refuse: (socket) => refuse(socket, options),
  });
  connections.watch(app.server);
  app.server.on("checkExpectation", answerExpectation);
  // A client that has half-closed its connection (`nc -N`) still reads the answer. Node supports this, but has no option for it.
  Object.assign(app.server, { httpAllowHalfOpen: true });
  options.onCounting?.(() => connections.closed);
  app.addHook("onRequest", (request, reply, done) => connections.enter(request.raw, reply.raw, done));
  takeJson(app);
  app.setErrorHandler((error: FastifyError, request, reply) => answerError(error, request, reply, options));
  app.setNotFoundHandler((request, reply) => {
    const error = new ControlError("UNKNOWN_ROUTE", `there is nothing at ${request.method} ${request.url}`, {
      parameter: request.url,
      remedy: "GET /openapi.json describes every endpoint",
    });
    return reply.code(error.status).send(error.body);
  });
  for (const [id, route] of Object.entries<Route>(ROUTES)) addRoute(app, id as RouteId, route, options);
  return app;
}

/** Accepts JSON only; an empty body counts as no body. */
function takeJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser("error", "error");
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "string" }, (request, body, done) => {
    if (body.length === 0) done(null, undefined);
    else parse(request, typeof body === "string" ? body : body.toString("utf8"), done);
  });
}

/** The description never changes while the daemon runs, and generating it is slow. */
function openapiText(version: string): () => string {
  let text: string | undefined;
  return () => (text ??= JSON.stringify(openapiDocument(version)));
}

function addRoute(app: FastifyInstance, id: RouteId, route: Route, options: ServerOptions): void {
  const description = openapiText(options.version);
  app.route({
    method: route.method,
    url: route.path,
    handler: async (request, reply) => {
      authorize(request, route, options.access);
      const input = {
        params: check(route.params, request.params, "path"),
        query: check(route.query, request.query, "query"),
        body: check(route.body, request.body ?? undefined, "body"),
      };
      if (id === "page" || id === "simulator") return sendPage(id, reply);
      if (id === "openapi") return reply.type(JSON_TYPE).send(description());
      const onDefect = (thrown: unknown): void => options.onDefect(thrown, `${request.method} ${request.url}`);
      if (id === "metrics") {
        const isOpen = wantsOpenMetrics(request.headers.accept);
        const type = isOpen ? OPEN_METRICS_TYPE : TEXT_TYPE;
        const families = await options.handlers.metrics(input as Input<"metrics">);
        return sendBytes(reply, type, expose(families, isOpen), onDefect);
      }
      if (id === "eventStream") return streamEvents(options.hub, request, reply);
      const handler = options.handlers[id as JsonRoute] as (input: unknown) => Promise<object> | object;
      const answer = await (route.change ? carryOut(options, id, request, () => handler(input)) : handler(input));
      return sendPieces(reply, answer, onDefect);
    },
  });
}

function authorize(request: FastifyRequest, route: Route, access: Access): void {
  if (access.kind === "token") {
    if (route.secretless === true) return;
    const given = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1] ?? "";
    if (isToken(given, access.token)) return;
    if (access.readToken !== null && isToken(given, access.readToken)) return refuseReader(route);
    throw new ControlError("NOT_AUTHENTICATED", "the bearer token is missing or wrong", {
      parameter: "authorization",
      remedy: "send the token of sockets.api_tcp.token_file as `Authorization: Bearer ...`",
    });
  }
  if (!route.change && route.secret !== true) return;
  const peer = credentialsOf(request.raw.socket);
  if (access.kind === "peer") {
    if (peer.uid === 0 || peer.uid === access.uid) return;
    if (access.group !== null && (peer.gid === access.group || peer.groups.includes(access.group))) return;
  }
  if (access.kind === "reader" && peer.uid === 0) {
    throw new ControlError("NOT_ALLOWED", "this socket is for readers", {
      parameter: `uid ${peer.uid}`,
      remedy: `send changes to ${access.changes}`,
    });
  }
  const group = access.groupName === undefined ? "the group that sockets.group names" : `the group ${access.groupName}`;
  throw new ControlError("NOT_ALLOWED", `user ${peer.uid} may look, not change`, {
    parameter: `uid ${peer.uid}`,
    remedy: `be root, the daemon's user, or a member of ${group} (log in again after joining it)`,
  });
}

/** Takes the same time whatever is given. */
function isToken(given: string, token: string): boolean {
  const expected = Buffer.from(token);
  const actual = Buffer.alloc(expected.length);
  actual.write(given);
  return Buffer.byteLength(given) === expected.length && timingSafeEqual(actual, expected);
}

/** Who has the token for readers sees what everybody on the host sees. */
function refuseReader(route: Route): void {
  if (!route.change && route.secret !== true) return;
  throw new ControlError("NOT_ALLOWED", "who has this token may look, not change", {
    parameter: "authorization",
    remedy: "send the token of sockets.api_tcp.token_file",
  });
}

/** In whose name a change is carried out. */
function callerOf(request: FastifyRequest, access: Access): string {
  const { socket } = request.raw;
  return access.kind === "token" ? `token from ${socket.remoteAddress ?? "?"}` : `uid ${credentialsOf(socket).uid}`;
}

/** How much of a change's parameters its message quotes. */
const QUOTED_MAX = 200;

/** Carries out a change in the name of its caller. One that led to no message of its own gets a general one. */
async function carryOut(
  { hub, access }: ServerOptions,
  id: RouteId,
  request: FastifyRequest,
  work: () => Promise<object> | object,
): Promise<object> {
  const by = callerOf(request, access);
  const [answer, said] = await inTheNameOf(by, work);
  if (!said) {
    const { n, number } = request.params as { n?: string; number?: string };
    const what = { ...(n === undefined ? {} : { unit: n }), ...(request.body as object | undefined) };
    const quoted = JSON.stringify(what).slice(0, QUOTED_MAX);
    const detail = { command: id, with: quoted === "{}" ? null : quoted, by };
    hub.say("command-done", { ...(number === undefined ? {} : { path: number }), detail });
  }
  // Stored events reach the disk before the answer does: what a caller was told happened stays recorded.
  hub.flush();
  return answer;
}

/** Validates one part of a request. A part the table does not name must be absent. */
function check(schema: z.ZodType | undefined, value: unknown, where: "path" | "query" | "body"): unknown {
  if (schema === undefined) {
    if (where !== "body" || value === undefined) return undefined;
    throw new ControlError("INVALID_REQUEST", "this endpoint takes no body", { parameter: "body" });
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const parameter = issue?.path.map(String).join(".") ?? "";
  throw new ControlError(
    "INVALID_REQUEST",
    `${where}: ${parameter === "" ? "" : `${parameter}: `}${textOf(issue, schema)}`,
    {
      parameter: parameter === "" ? where : parameter,
      remedy: "GET /openapi.json describes every endpoint",
    },
  );
}

function textOf(issue: z.core.$ZodIssue | undefined, schema: z.ZodType): string {
  if (issue?.code === "invalid_type" && issue.message.endsWith("received undefined")) return "is missing";
  if (issue?.code !== "unrecognized_keys") return issue?.message ?? "is wrong";
  const known = "shape" in schema ? Object.keys(schema.shape as object) : [];
  const meant = didYouMean(issue.keys[0] ?? "", known);
  return `${issue.keys.join(", ")} is not known here${meant === undefined ? "" : `; did you mean ${meant}?`}`;
}

function answerError(error: FastifyError, request: FastifyRequest, reply: FastifyReply, options: ServerOptions): void {
  const known = controlErrorOf(error);
  if (known.code === "INTERNAL") options.onDefect(error, `${request.method} ${request.url}`);
  void reply.code(known.status).type("application/json; charset=utf-8").send(JSON.stringify(known.body));
}

/** Answers an Expect header other than 100-continue. */
function answerExpectation(request: IncomingMessage, response: ServerResponse): void {
  const known = new ControlError(
    "INVALID_REQUEST",
    `nobody here does what is expected: ${request.headers.expect ?? ""}`,
    {
      parameter: "expect",
      remedy: "leave the header out",
    },
  );
  const body = JSON.stringify(known.body);
  const headers = { "content-type": JSON_TYPE, "content-length": Buffer.byteLength(body), connection: "close" };
  response.writeHead(known.status, headers).end(body);
}

/** Answers what is not an HTTP request, in the shape of every other error, and closes the connection. */
function answerMalformed(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const known = new ControlError("INVALID_REQUEST", `this is no HTTP request: ${reasonOf(error)}`, {
    remedy: "GET /openapi.json describes every endpoint",
  });
  endWith(socket, known, "Bad Request");
}

function endWith(socket: Socket, known: ControlError, phrase: string): void {
  const body = JSON.stringify(known.body);
  socket.end(
    `HTTP/1.1 ${known.status} ${phrase}\r\ncontent-type: ${JSON_TYPE}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
      `connection: close\r\n\r\n${body}`,
  );
}

/** Answers a new client for which there is no descriptor. Below TLS nothing can be sent. */
function refuse(socket: Socket, { refusalOf, tls }: ServerOptions): boolean {
  const reason = refusalOf?.(socket) ?? null;
  if (reason === null) return false;
  if (tls !== undefined || refused.size >= REFUSED_MAX) {
    socket.destroy();
    return true;
  }
  refused.add(socket);
  socket.once("close", () => refused.delete(socket));
  endWith(socket, new ControlError("UNAVAILABLE", reason, { remedy: "try again later" }), "Service Unavailable");
  socket.setTimeout(REFUSED_MS_MAX, () => socket.destroy());
  return true;
}

function controlErrorOf(error: FastifyError): ControlError {
  if (error instanceof ControlError) return error;
  switch (error.code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return new ControlError("BODY_TOO_LARGE", `the body is larger than ${BODY_BYTES_MAX} bytes`, {
        parameter: "body",
      });
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new ControlError("INVALID_REQUEST", "the body has to be application/json", { parameter: "content-type" });
    case "FST_ERR_BAD_URL":
      return new ControlError("INVALID_REQUEST", `the URL is malformed: ${reasonOf(error)}`, { parameter: "path" });
    default:
      break;
  }
  if ((error.statusCode ?? 500) < 500) {
    return new ControlError("INVALID_REQUEST", `the request is malformed: ${reasonOf(error)}`, { parameter: "body" });
  }
  return refusal(error, "the request failed", null);
}
