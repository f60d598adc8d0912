// What a scrape of everything costs with 1024 units of 8 paths: its time, what the reactor's turns notice of it, and the processor time
// of the whole daemon and of the reactor alone, which other programs on the machine do not lengthen as they do a turn.

import { readdirSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { processorSeconds } from "./cpu-time.ts";
import { BenchDaemon } from "./daemon.ts";
import { median, type Row } from "./report.ts";

const UNITS = 1024;
const PATHS = 8;
const ROUNDS = 20;
const PAUSE_MS = 250;
const MARK_MS = 100;
/** The class of turns that is the longest allowed: up to 2^20 ns. */
const TURN_MARK_S = 2 ** 20 / 1e9;

interface Scrape {
  readonly ms: number;
  readonly bytes: number;
  /** Turns of the reactor by their upper bounds in seconds, since it started. */
  readonly turns: ReadonlyMap<number, number>;
}

const TURNS = /^pathmanager_reactor_turn_duration_seconds_bucket\{le="([^"]+)"\} (\d+)$/gm;

function turnsIn(text: string): ReadonlyMap<number, number> {
  const turns = new Map<number, number>();
  let before = 0;
  for (const [, le = "", count = ""] of text.matchAll(TURNS)) {
    turns.set(le === "+Inf" ? Infinity : Number(le), Number(count) - before);
    before = Number(count);
  }
  return turns;
}

/** One scrape, read by this process; only the short family at its beginning is looked at. */
function ask(socketPath: string, query: string): Promise<Scrape> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const sent = request({ socketPath, path: `/metrics${query}` }, (response) => {
      let bytes = 0;
      let beginning = "";
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (beginning.length < 131_072) beginning += chunk.toString("latin1");
      });
      response.on("end", () => resolve({ ms: performance.now() - began, bytes, turns: turnsIn(beginning) }));
    });
    sent.on("error", reject);
    sent.end();
  });
}

/** A scrape with the turns in it: one that the reactor does not answer in time has none. */
async function turnsNow(socketPath: string): Promise<Scrape> {
  for (;;) {
    const one = await ask(socketPath, "?histograms=none");
    if (one.turns.size > 0) return one;
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

interface Turns {
  /** Upper bound of the longest, ms. */
  readonly longestMs: number;
  readonly tooLong: number;
}

function between(before: Scrape, after: Scrape): Turns {
  let longestMs = 0;
  let tooLong = 0;
  for (const [bound, count] of after.turns) {
    const more = count - (before.turns.get(bound) ?? 0);
    if (more > 0) longestMs = Math.max(longestMs, bound * 1000);
    if (bound > TURN_MARK_S * 1.01) tooLong += more;
  }
  return { longestMs, tooLong };
}

interface Spent {
  readonly daemonMs: number;
  readonly reactorMs: number;
}

/** Processor time so far. The reactor's is exact: nanoseconds of its thread (sched_debug's schedstat). */
function spentBy(pid: number): Spent {
  const tasks = `/proc/${pid}/task`;
  const reactor = readdirSync(tasks).filter((tid) => readFileSync(`${tasks}/${tid}/comm`, "utf8").trim() === "reactor");
  const ns = reactor.map((tid) => Number(readFileSync(`${tasks}/${tid}/schedstat`, "utf8").split(" ")[0]));
  return { daemonMs: processorSeconds(pid) * 1000, reactorMs: ns.reduce((sum, one) => sum + one, 0) / 1e6 };
}

/** Rows for the scrape's time and size, and for the reactor's turns with scrapes beside the same time without. */
export async function scrape(log: (line: string) => void): Promise<Row[]> {
  const { daemon } = await BenchDaemon.start(`[array]\nunits = ${UNITS}\npaths = ${PATHS}\nunit_mib = 1\n`);
  const of = `scrape, ${UNITS} units of ${PATHS} paths`;
  try {
    for (let round = 0; round < 5; round++) await ask(daemon.socket, "");
    log("without scrapes");
    const first = await turnsNow(daemon.socket);
    const idle = spentBy(daemon.pid);
    await sleep(ROUNDS * PAUSE_MS);
    const quiet = spentBy(daemon.pid);
    const second = await turnsNow(daemon.socket);
    log("with scrapes");
    const scrapes: Scrape[] = [];
    const before = spentBy(daemon.pid);
    for (let round = 0; round < ROUNDS; round++) {
      scrapes.push(await ask(daemon.socket, ""));
      await sleep(PAUSE_MS);
    }
    const busy = spentBy(daemon.pid);
    const last = await turnsNow(daemon.socket);
    const [off, on] = [between(first, second), between(second, last)];
    const peer = "no scrapes";
    const row = (metric: string, unit: string, value: number, peerValue: number | null = null): Row => ({
      case: of,
      metric,
      unit,
      value,
      peer: peerValue === null ? null : peer,
      peerValue,
      ratio: peerValue === null || value === 0 ? null : peerValue / value,
    });
    const ms = scrapes.map((one) => one.ms).toSorted((a, b) => a - b);
    return [
      row(`median (mark ${MARK_MS})`, "ms", median(ms)),
      row("fastest", "ms", ms[0] ?? 0),
      row("size", "MB", (scrapes[0]?.bytes ?? 0) / 1e6),
      row("longest reactor turn, at most (mark 1)", "ms", on.longestMs, off.longestMs),
      row("reactor turns above 1 ms", "turns", on.tooLong, off.tooLong),
      ...(["daemonMs", "reactorMs"] as const).map((which) =>
        row(
          `processor time of the ${which === "daemonMs" ? "daemon" : "reactor"} per round`,
          "ms",
          (busy[which] - before[which]) / ROUNDS,
          (quiet[which] - idle[which]) / ROUNDS,
        ),
      ),
    ];
  } finally {
    await daemon.stop();
  }
}
