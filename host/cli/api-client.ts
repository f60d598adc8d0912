// A client of the daemon's API, over its Unix socket, or in another way that is given to it (remote-host.ts).
//
// `node:http` is loaded with getBuiltinModule: an `import` evaluates every export of its namespace, which loads half of
// Node's web APIs and doubles the start time of these commands.

import type { ClientRequest, IncomingMessage } from "node:http";
import { join, resolve as absolute } from "node:path";
import { fileURLToPath } from "node:url";

import type { ErrorBody } from "../control/schemas/common.ts";
import { readSocketOf } from "../settings/names.ts";

const http = process.getBuiltinModule("node:http");

/** Where a daemon started by root, that is by the service, listens by default. */
export const SOCKET_DEFAULT = "/run/pathmanager/api.sock";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Where a user's own daemon listens without XDG_RUNTIME_DIR, relative to its working folder:
 * host/control/settings/places.ts.
 */
const SOCKET_OF_FOLDER = "build/run/api.sock";

/**
 * Where the daemon may listen, in the order tried: only what `--socket` or PATHMANAGER_SOCKET names, if given; else the
 * sockets of this user's own daemon (XDG_RUNTIME_DIR, the working folder, this repository), then the service's.
 */
export function socketPaths(env: Environment, option?: string, uid: number = process.getuid?.() ?? 0): string[] {
  const named = option ?? env["PATHMANAGER_SOCKET"];
  if (named !== undefined && named !== "") return [named];
  if (uid === 0) return [SOCKET_DEFAULT];
  const runtime = env["XDG_RUNTIME_DIR"];
  const places = [
    ...(runtime === undefined || runtime === "" ? [] : [join(runtime, "pathmanager/api.sock")]),
    absolute(SOCKET_OF_FOLDER),
    fileURLToPath(new URL(`../../${SOCKET_OF_FOLDER}`, import.meta.url)),
    SOCKET_DEFAULT,
  ];
  return [...new Set(places)];
}

/** Largest accepted answer; 1024 units with 32 paths each stay far below. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;
/** How long an answer may take, unless the call specifies another time. */
export const ANSWER_TIMEOUT_MS = 60_000;

/** A command that failed. `message` is one sentence for the operator. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  /** Stable: the daemon's code, or one of the client's: NOT_RUNNING, NO_PERMISSION, NO_ANSWER, INVALID_ARGUMENT. */
  readonly code: string;
  readonly parameter: string | undefined;
  readonly remedy: string | undefined;

  constructor(
    code: string,
    message: string,
    detail: { parameter?: string | undefined; remedy?: string | undefined } = {},
  ) {
    super(message);
    this.code = code;
    this.parameter = detail.parameter;
    this.remedy = detail.remedy;
  }
}

/** Nobody listens on this socket; a daemon may listen on another one. */
const isAbsent = (error: NodeJS.ErrnoException): boolean => error.code === "ENOENT" || error.code === "ECONNREFUSED";

/** Somebody may listen there, but not for this user; there is a socket for readers beside it. */
const isForbidden = (error: NodeJS.ErrnoException): boolean => error.code === "EACCES" || error.code === "EPERM";

/** @param tried every socket that was tried; `socket` is the last one */
function connectionError(error: NodeJS.ErrnoException, socket: string, tried: readonly string[]): CommandError {
  switch (error.code) {
    case "ENOENT":
    case "ECONNREFUSED":
      return new CommandError("NOT_RUNNING", `the daemon is not running (nothing answers on ${tried.join(" or ")})`, {
        remedy:
          "start it with 'systemctl start pathmanagerd' or 'pathmanagerd', or name its socket with PATHMANAGER_SOCKET",
      });
    case "EACCES":
    case "EPERM":
      return new CommandError("NO_PERMISSION", `no permission to use ${socket}`, {
        remedy: "be root or a member of the socket's group",
      });
    case "ENOTSOCK":
    case "EINVAL":
    case "ENAMETOOLONG":
      return new CommandError("NOT_RUNNING", `${socket} is not a socket the daemon could listen on (${error.code})`, {
        remedy: "name the daemon's socket with --socket or PATHMANAGER_SOCKET",
      });
    default:
      return new CommandError("NO_ANSWER", `the daemon on ${socket} gave no answer (${error.code ?? error.message})`);
  }
}

function answerError(status: number, body: string): CommandError {
  try {
    const { error } = JSON.parse(body) as Partial<ErrorBody>;
    if (error !== undefined && typeof error.message === "string") {
      return new CommandError(error.code, error.message, {
        parameter: error.parameter ?? undefined,
        remedy: error.remedy ?? undefined,
      });
    }
  } catch {
    // The body is not one of the daemon's own answers: only the status can be reported.
  }
  return new CommandError("NO_ANSWER", `the daemon answered with status ${status} and no explanation`);
}

/** Collects a body, up to a size limit. */
export function bodyText(response: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes > ANSWER_BYTES_MAX) response.destroy(new CommandError("NO_ANSWER", "the daemon's answer is too large"));
    });
    response.on("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
    response.on("error", reject);
  });
}

export type Method = "GET" | "POST" | "PATCH" | "DELETE";

interface Asked {
  readonly method: Method;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | number>>;
}

/** Begins a request; its body is sent by the caller. */
export type Ask = (asked: Asked, answered: (response: IncomingMessage) => void) => ClientRequest;

/** @param place where it was asked for */
function remoteError(error: NodeJS.ErrnoException, place: string): CommandError {
  const { code = "", message } = error;
  if (code === "ECONNREFUSED" || code === "ENOTFOUND" || code === "EAI_AGAIN" || code === "EHOSTUNREACH") {
    return new CommandError("NOT_RUNNING", `nothing answers at ${place} (${code})`, {
      remedy: "look whether the daemon runs there, with sockets.api_tcp",
    });
  }
  if (/CERT|SELF_SIGNED|UNABLE_TO|ALTNAME/.test(code)) {
    return new CommandError("NO_PERMISSION", `${place} cannot be trusted: ${message}`, {
      remedy: "name its authority's certificate with ca_file, and the host as its certificate does",
    });
  }
  return new CommandError("NO_ANSWER", `the daemon at ${place} gave no answer (${code || message})`);
}

/** The calls of the API; one instance per command. */
export class Client {
  readonly #sockets: readonly string[];
  /** Index of the socket in use: the first on which somebody answers. */
  #place = 0;
  /** Whether the socket for readers beside it is used, as this user may not open the other one. It refuses changes in words. */
  #isReader = false;
  /** Another way to the daemon than a socket. */
  #over: { readonly place: string; readonly ask: Ask } | null = null;

  /** @param sockets where the daemon may listen, in order */
  constructor(...sockets: readonly string[]) {
    this.#sockets = sockets;
  }

  /** @param place what errors call the daemon's place */
  static over(place: string, ask: Ask): Client {
    const client = new Client();
    client.#over = { place, ask };
    return client;
  }

  get socket(): string {
    if (this.#over !== null) return this.#over.place;
    const named = this.#sockets[this.#place] ?? SOCKET_DEFAULT;
    return this.#isReader ? readSocketOf(named) : named;
  }

  /** Sends a request and returns the response once its head has arrived. */
  async open(method: Method, path: string, body?: unknown, timeoutMs = ANSWER_TIMEOUT_MS): Promise<IncomingMessage> {
    for (;;) {
      const place = this.#place;
      const isReader = this.#isReader;
      try {
        return await this.#request(method, path, body, timeoutMs);
      } catch (error) {
        if (error instanceof CommandError) throw error;
        const failure = error as NodeJS.ErrnoException;
        if (this.#over !== null) throw remoteError(failure, this.#over.place);
        // Several calls may be in progress: the first that finds nobody moves all of them to the next socket.
        const named = this.#sockets[place] ?? SOCKET_DEFAULT;
        if (isForbidden(failure) && !isReader) this.#isReader = true;
        else if (isReader) throw connectionError(Object.assign(failure, { code: "EACCES" }), named, [named]);
        else if (isAbsent(failure) && place + 1 < this.#sockets.length) this.#place = Math.max(this.#place, place + 1);
        else throw connectionError(failure, named, this.#sockets.slice(0, place + 1));
      }
    }
  }

  #request(method: Method, path: string, body: unknown, timeoutMs: number): Promise<IncomingMessage> {
    const { socket } = this;
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const headers: Record<string, string | number> = { accept: "application/json" };
    if (payload !== undefined) {
      headers["content-type"] = "application/json";
      headers["content-length"] = Buffer.byteLength(payload);
    }
    return new Promise((resolve, reject) => {
      const asked = { method, path, headers };
      const request =
        this.#over?.ask(asked, resolve) ?? http.request({ socketPath: socket, ...asked, agent: false }, resolve);
      request.on("error", reject);
      request.setTimeout(timeoutMs, () =>
        request.destroy(
          new CommandError("NO_ANSWER", `the daemon on ${socket} gave no answer within ${timeoutMs / 1000} s`),
        ),
      );
      request.end(payload);
    });
  }

  /** Sends a request and returns the parsed body; throws a CommandError for a status of 400 or above. */
  async call<Answer>(method: Method, path: string, body?: unknown, timeoutMs?: number): Promise<Answer> {
    const response = await this.open(method, path, body, timeoutMs);
    const text = await bodyText(response);
    const status = response.statusCode ?? 0;
    if (status >= 400) throw answerError(status, text);
    try {
      return (text === "" ? undefined : JSON.parse(text)) as Answer;
    } catch {
      throw new CommandError("NO_ANSWER", `what answers on ${this.socket} is not the daemon (no JSON)`);
    }
  }
}

/** One line: the reason, the paths concerned unless the reason names one, and a remedy where one is known. */
export function errorLine(program: string, error: CommandError, subjects: readonly string[] = []): string {
  const offline = error.code === "NOT_RUNNING" || error.code === "NO_PERMISSION";
  const named = offline || subjects.length === 0 || subjects.some((subject) => error.message.includes(subject));
  const subject = named ? "" : `path ${subjects.join(", ")}: `;
  // The operator only needs to know what is wrong with a body; the remedy, where bodies are documented, is for authors of
  // clients.
  const invalid = error.code === "INVALID_REQUEST";
  const message = invalid ? error.message.replace(/^(body|query|params): /, "") : error.message;
  const remedy = error.remedy === undefined || invalid ? "" : `; ${error.remedy}`;
  return `${`${program}: ${subject}${message}${remedy}`.replaceAll(/\s+/g, " ")}\n`;
}
