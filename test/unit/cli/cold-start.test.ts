// How long a command takes to start, against Node alone. A ratio in one run, so that a busy machine slows both.

import { spawnSync } from "node:child_process";

import test from "ava";

const ROUNDS = 15;
const RATIO_MAX = 3;

function millisecondsOf(args: readonly string[]): number {
  const start = performance.now();
  const result = spawnSync(process.execPath, args, { env: { PATHMANAGER_SOCKET: "/nonexistent.sock" } });
  if (result.error !== undefined) throw result.error;
  return performance.now() - start;
}

for (const [program, ...args] of [
  ["spscmd", "-getlun"],
  ["pathctl", "show"],
] as const) {
  test.serial(`${program} ${args.join(" ")} starts in at most ${RATIO_MAX} times the time of Node alone`, (t) => {
    const file = new URL(`../../../host/cli/bin/${program}.js`, import.meta.url).pathname;
    // The first run fills the compile cache; an installation's first run does the same.
    millisecondsOf([file, ...args]);
    const rounds = Array.from({ length: ROUNDS }, () => ({
      command: millisecondsOf([file, ...args]),
      node: millisecondsOf(["-e", "0"]),
    }));
    // The fastest of each: what other work on the machine adds is never negative.
    const command = Math.min(...rounds.map((round) => round.command));
    const node = Math.min(...rounds.map((round) => round.node));
    t.log(`${command.toFixed(0)} ms, node -e 0: ${node.toFixed(0)} ms`);
    t.true(command <= RATIO_MAX * node, `${command} ms against ${node} ms`);
  });
}
