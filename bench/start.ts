// Start of the commands against Node alone, in turn, so that a busy machine slows both; and start of the daemon with a
// thousand units, with the memory it uses.

import { spawnSync } from "node:child_process";
import { BenchDaemon } from "./daemon.ts";
import { median, type Row } from "./report.ts";

const ROUNDS = 25;
const COMMANDS = [
  ["spscmd", "-getver"],
  ["spscmd", "-getlun"],
  ["pathctl", "show"],
] as const;

function millisecondsOf(args: readonly string[]): number {
  const begin = performance.now();
  // Nobody listens there: the command gets as far as contacting the daemon.
  const result = spawnSync(process.execPath, args, { env: { PATHMANAGER_SOCKET: "/nonexistent/api.sock" } });
  if (result.error !== undefined) throw result.error;
  return performance.now() - begin;
}

/** Medians of the wall clock, in milliseconds; the target is three times Node alone, so a ratio of 0.33. */
function commands(log: (line: string) => void): Row[] {
  return COMMANDS.map(([program, ...args]) => {
    log(`${program} ${args.join(" ")}`);
    const file = new URL(`../host/cli/bin/${program}.js`, import.meta.url).pathname;
    // The first run fills the compile cache, as an installation's first run does.
    millisecondsOf([file, ...args]);
    const rounds = Array.from({ length: ROUNDS }, () => ({
      command: millisecondsOf([file, ...args]),
      node: millisecondsOf(["-e", "0"]),
    }));
    const value = median(rounds.map((round) => round.command));
    const peerValue = median(rounds.map((round) => round.node));
    return {
      case: `${program} ${args.join(" ")}`,
      metric: "cold start",
      unit: "ms",
      value,
      peer: "node -e 0",
      peerValue,
      ratio: peerValue / value,
    };
  });
}

const DAEMON_ROUNDS = 3;
const UNITS = 1024;
const PATHS = 8;
const START_MS_MARK = 10_000;
const MEGABYTES_MARK = 300;

/** The daemon with a thousand units on the emulated array; the peer is the target. */
async function daemonRows(log: (line: string) => void): Promise<Row[]> {
  const name = `pathmanagerd, ${UNITS} units x ${PATHS} paths`;
  const rounds: { startMs: number; megabytes: number }[] = [];
  for (let round = 0; round < DAEMON_ROUNDS; round++) {
    log(name);
    const { daemon, startMs } = await BenchDaemon.start(`[array]\nunits = ${UNITS}\npaths = ${PATHS}\n`);
    await new Promise((resolve) => void setTimeout(resolve, 2000));
    rounds.push({ startMs, megabytes: daemon.peakMegabytes() });
    await daemon.stop();
  }
  const row = (metric: string, unit: string, value: number, peerValue: number): Row => {
    return { case: name, metric, unit, value, peer: "mark", peerValue, ratio: peerValue / value };
  };
  return [
    row("until it answers", "ms", median(rounds.map((round) => round.startMs)), START_MS_MARK),
    row("largest resident memory", "MB", median(rounds.map((round) => round.megabytes)), MEGABYTES_MARK),
  ];
}

export async function start(log: (line: string) => void): Promise<Row[]> {
  return [...commands(log), ...(await daemonRows(log))];
}
