// Start of the commands against Node alone, in turns, so that a busy machine slows both.

import { spawnSync } from "node:child_process";
import { median, type Row } from "./report.ts";

const ROUNDS = 25;
const COMMANDS = [
  ["spscmd", "-getver"],
  ["spscmd", "-getlun"],
  ["pathctl", "show"],
] as const;

function millisecondsOf(args: readonly string[]): number {
  const begin = performance.now();
  // Nobody listens there: the command gets as far as asking the daemon.
  const result = spawnSync(process.execPath, args, { env: { PATHMANAGER_SOCKET: "/nonexistent/api.sock" } });
  if (result.error !== undefined) throw result.error;
  return performance.now() - begin;
}

/** Medians of the wall clock, in milliseconds; the mark is three times Node alone, so a ratio of 0.33. */
export function start(log: (line: string) => void): Row[] {
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
