// A small HTTP server on a Unix socket that answers recorded views, and runs of the commands against it.

import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Io } from "../../../host/cli/io.ts";

/** One request as it arrived. */
export interface Seen {
  readonly call: string;
  readonly body: unknown;
}

/** What a call is answered; a call nobody prepared is answered 404 in the form of the daemon's errors. */
export type Answers = Readonly<Record<string, unknown>>;

/** An answer with a status of its own. */
export class Refusal {
  readonly status: number;
  readonly error: { code: string; message: string; parameter: string | null; remedy: string | null };

  constructor(status: number, code: string, message: string, parameter: string | null = null) {
    this.status = status;
    this.error = { code, message, parameter, remedy: null };
  }
}

export interface RecordedServer extends AsyncDisposable {
  readonly socket: string;
  readonly seen: readonly Seen[];
}

/** Serves `answers`, keyed by `METHOD /path`. */
export async function recordedServer(answers: Answers): Promise<RecordedServer> {
  const folder = await mkdtemp(join(tmpdir(), "pathmanager-cli-"));
  const socket = join(folder, "api.sock");
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    let text = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => {
      text += chunk;
    });
    request.on("end", () => {
      const call = `${request.method} ${decodeURIComponent(request.url ?? "")}`;
      seen.push({ call, body: text === "" ? undefined : JSON.parse(text) });
      const answer = answers[call] ?? new Refusal(404, "UNKNOWN_ROUTE", `no such call: ${call}`);
      const refused = answer instanceof Refusal;
      if (typeof answer === "string") {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.end(answer);
        return;
      }
      response.writeHead(refused ? answer.status : 200, { "content-type": "application/json" });
      response.end(JSON.stringify(refused ? { error: answer.error } : answer));
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(socket, resolve);
  });
  return {
    socket,
    seen,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
      await rm(folder, { recursive: true });
    },
  };
}

/** What a run printed, and its exit status. */
export interface Run {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command's main function with an Io that remembers. */
export async function run(
  main: (args: readonly string[], io: Io) => Promise<number>,
  args: readonly string[],
  socket = "/nonexistent/api.sock",
  more: Partial<Io> = {},
): Promise<Run> {
  let out = "";
  let err = "";
  const status = await main(args, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    env: { PATHMANAGER_SOCKET: socket },
    terminal: false,
    columns: 80,
    rows: 24,
    ...more,
  });
  return { status, out, err };
}
