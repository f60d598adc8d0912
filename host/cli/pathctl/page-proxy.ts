// `pathctl page`: lets a browser on this machine look at the daemon's pages. A browser cannot open a Unix socket, nor does it have the token
// of another host, so this stands between: on loopback only, for reading only, for who has the address that is printed.

import { randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ROUTES, type Route } from "../../control/schemas/routes.ts";
import { type Client, CommandError } from "../api-client.ts";

/** Paths that a browser may ask for: all that change nothing. */
const READABLE = Object.values<Route>(ROUTES)
  .filter(({ method, change }) => method === "GET" && !change)
  .map(({ path }) => new RegExp(`^${path.replaceAll(/:\w+/g, "[^/]+")}$`));

/** Headers of the daemon that a page needs. */
const KEPT_HEADERS = [
  "content-type",
  "content-security-policy",
  "x-content-type-options",
  "referrer-policy",
  "cross-origin-opener-policy",
  "cache-control",
];

const isSame = (given: string, expected: string): boolean =>
  given.length === expected.length && timingSafeEqual(Buffer.from(given), Buffer.from(expected));

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" });
  response.end(`${text}\n`);
}

/** Who may look: the address that is printed works once, and leaves a cookie in the browser that used it. */
class Admission {
  /** Null when it was used. */
  #key: string | null = randomBytes(24).toString("base64url");
  readonly #session = randomBytes(24).toString("base64url");
  readonly #names: readonly string[];
  readonly #cookie: string;
  readonly address: string;

  constructor(port: number) {
    // Another name would be that of somebody who has a name server answer with 127.0.0.1.
    this.#names = [`127.0.0.1:${port}`, `localhost:${port}`];
    this.#cookie = `pathmanager_${port}`;
    this.address = `http://127.0.0.1:${port}/?key=${this.#key}`;
  }

  /** Whether the request goes on; if not, it has been answered. */
  lets(request: IncomingMessage, response: ServerResponse, url: URL): boolean {
    if (!this.#names.includes(request.headers.host ?? "")) {
      refuse(response, 403, "this is served as 127.0.0.1 only");
      return false;
    }
    const key = url.searchParams.get("key");
    if (key !== null && this.#key !== null && isSame(key, this.#key)) {
      this.#key = null;
      const cookie = `${this.#cookie}=${this.#session}; HttpOnly; SameSite=Strict; Path=/`;
      response.writeHead(303, {
        location: "/",
        "set-cookie": cookie,
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
      });
      response.end();
      return false;
    }
    const given = new RegExp(`(?:^|; )${this.#cookie}=([^;]+)`).exec(request.headers.cookie ?? "")?.[1] ?? "";
    if (isSame(given, this.#session)) return true;
    refuse(response, 403, "open the address that pathctl page has printed; it works once, in one browser");
    return false;
  }
}

async function pass(client: Client, path: string, response: ServerResponse): Promise<void> {
  try {
    const answer = await client.open("GET", path);
    const { headers } = answer;
    const kept = KEPT_HEADERS.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]] as const]));
    response.writeHead(answer.statusCode ?? 502, Object.fromEntries(kept));
    answer.on("error", () => response.destroy());
    response.on("close", () => answer.destroy());
    answer.pipe(response);
  } catch (error) {
    const text = error instanceof CommandError ? error.message : "the daemon gave no answer";
    response.writeHead(502, { "content-type": "application/json" });
    response.end(JSON.stringify({ error: { code: "NO_ANSWER", message: text, parameter: null, remedy: null } }));
  }
}

export interface PageProxy {
  readonly server: Server;
  /** What to open. */
  readonly address: string;
}

/** @param port 0: one that is free */
export async function servePages(client: Client, port: number): Promise<PageProxy> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const remedy = "choose another --port, or leave it out";
      reject(new CommandError("INVALID_ARGUMENT", `cannot listen on 127.0.0.1:${port} (${error.code})`, { remedy }));
    });
    server.listen(port, "127.0.0.1", resolve);
  });
  const admission = new Admission((server.address() as AddressInfo).port);
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? "/", "http://page");
    if (!admission.lets(request, response, url)) return;
    const isReadable = request.method === "GET" && READABLE.some((path) => path.test(url.pathname));
    if (isReadable) void pass(client, `${url.pathname}${url.search}`, response);
    else refuse(response, request.method === "GET" ? 404 : 405, "only what can be read is here");
  });
  return { server, address: admission.address };
}
