// A web server on loopback that serves the built pages, and answers as a daemon would what a case has prepared.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { EventView } from "../../host/control/schemas/event-schema.ts";
import type { LatenciesView, StatisticsView, Status } from "../../host/control/schemas/status-schema.ts";
import type { UnitView } from "../../host/control/schemas/unit-schema.ts";
import { STATUS } from "../unit/cli/status-views.ts";

const page = (name: string): string => readFileSync(new URL(`../../build/page/${name}.html`, import.meta.url), "utf8");

const BOUNDS_US = [64, 128, 256, 512, 1024];

const counters = (ios: number) => ({
  ios,
  bytesRead: ios * 4096,
  bytesWritten: 0,
  errors: 0,
  retries: 0,
  inFlight: 1,
});

export class Stage implements AsyncDisposable {
  readonly #server: Server;
  status: Status = STATUS;
  units: readonly UnitView[] = [];
  events: EventView[] = [];
  /** If set, who does not send it is refused. */
  token: string | null = null;
  isSilent = false;
  readonly asked: string[] = [];
  #answers = 0;

  private constructor() {
    this.#server = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? "/", "http://stage");
      this.asked.push(`${request.method} ${pathname}`);
      if (pathname === "/" || pathname === "/simulator") {
        response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
        response.end(page(pathname === "/" ? "page" : "simulator"));
        return;
      }
      if (pathname === "/blank") {
        response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
        response.end("<!doctype html><title>Blank</title><p>Blank");
        return;
      }
      if (this.isSilent) {
        response.destroy();
        return;
      }
      const isKnown = this.token === null || request.headers.authorization === `Bearer ${this.token}`;
      const answer = isKnown ? this.#answer(pathname, Number(searchParams.get("since") ?? 0)) : null;
      const refusal = {
        error: { code: "NOT_AUTHENTICATED", message: "the bearer token is missing or wrong", remedy: null },
      };
      response.writeHead(answer === null ? 401 : 200, { "content-type": "application/json" });
      response.end(JSON.stringify(answer ?? refusal));
    });
  }

  static async start(): Promise<Stage> {
    const stage = new Stage();
    stage.#server.listen(0, "127.0.0.1");
    await once(stage.#server, "listening");
    return stage;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  #answer(path: string, since: number): unknown {
    this.#answers++;
    if (path === "/v1/status") return this.status;
    if (path === "/v1/units") return { units: this.units };
    if (path === "/v1/events") {
      return { events: this.events.filter(({ id }) => id > since), last: this.events.at(-1)?.id ?? 0 };
    }
    return path === "/v1/statistics" ? this.#statistics() : this.#latencies();
  }

  get #paths() {
    return this.units.flatMap((unit) => unit.paths);
  }

  #statistics(): StatisticsView {
    return {
      time: 0,
      runningMs: this.#answers * 1000,
      totals: counters(this.#answers * 1000),
      units: [],
      paths: this.#paths.map(({ number, unit, symbol }) => ({
        ...counters(this.#answers * 100),
        number,
        unit,
        symbol,
        serviceUs: 0,
        p50Us: null,
        p99Us: null,
      })),
    };
  }

  #latencies(): LatenciesView {
    const paths = this.#paths.slice(0, 256).map(({ number, unit }, at) => ({
      number,
      unit,
      counts: BOUNDS_US.map((_, one) => (one === at % 5 ? this.#answers * 100 : this.#answers)).concat(0),
    }));
    return { time: 0, boundsUs: BOUNDS_US, paths };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
