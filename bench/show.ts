// What a display costs while every path of 256 other units is silent: of one unit, and of all of them; as the
// daemon answers, and as the command prints it.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { BenchDaemon } from "./daemon.ts";
import type { Row } from "./report.ts";
import { scrape } from "./scrape.ts";

const UNITS = 257;
const PATHS = 4;
const CALLS = 300;
const COMMANDS = 40;
const MARK_MS = 50;

const PATHCTL = new URL("../host/cli/bin/pathctl.js", import.meta.url).pathname;
const CONFIGURATION = `patrol.interval_s = 1
patrol.threshold_s = 1
patrol.timeout_s = 1
[array]
units = ${UNITS}
paths = ${PATHS}
unit_mib = 1
`;

type Ask = () => Promise<unknown>;

const CASES: readonly (readonly [string, string, readonly string[]])[] = [
  ["one unit", `/v1/units/${UNITS - 1}`, ["show", String(UNITS - 1)]],
  ["all units", "/v1/units", ["show"]],
];

async function p99(count: number, ask: Ask): Promise<number> {
  const times: number[] = [];
  for (let call = 0; call < count; call++) {
    const before = performance.now();
    await ask();
    times.push(performance.now() - before);
  }
  return times.toSorted((a, b) => a - b)[Math.ceil(count * 0.99) - 1] ?? Infinity;
}

/** Every case: p99 of the answer, and of the whole command including its start. */
async function measure(daemon: BenchDaemon): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  const command = promisify(execFile);
  const env = { ...process.env, PATHMANAGER_SOCKET: daemon.socket };
  for (const [name, path, args] of CASES) {
    const answer = (): Promise<unknown> => daemon.client.call("GET", path);
    const print = (): Promise<unknown> => command(process.execPath, [PATHCTL, ...args], { env, maxBuffer: 1e9 });
    await p99(30, answer);
    await print();
    found.set(`${name}, answer`, await p99(CALLS, answer));
    found.set(`${name}, command`, await p99(COMMANDS, print));
  }
  found.set("node -e 0", await p99(COMMANDS, () => command(process.execPath, ["-e", "0"])));
  return found;
}

async function hangAllButTheLast(daemon: BenchDaemon): Promise<void> {
  for (let unit = 0; unit < UNITS - 1; unit++) {
    await daemon.client.call("POST", "/v1/array/faults", { fault: { kind: "no-answer" }, where: { unit } });
  }
  // By then patrol has noticed, and checks them again and again.
  await new Promise((resolve) => void setTimeout(resolve, 4000));
}

export async function show(log: (line: string) => void): Promise<Row[]> {
  return [...(await displayRows(log)), ...(await scrape(log))];
}

/** p99 in milliseconds while the others hang; the peer is the same while nothing hangs. */
async function displayRows(log: (line: string) => void): Promise<Row[]> {
  const { daemon } = await BenchDaemon.start(CONFIGURATION);
  try {
    log("nothing hangs");
    const quiet = await measure(daemon);
    log(`every path of ${UNITS - 1} units hangs`);
    await hangAllButTheLast(daemon);
    const hanging = await measure(daemon);
    return [...hanging].map(([name, value]) => {
      const peerValue = quiet.get(name) ?? 0;
      return {
        case: `show, ${UNITS - 1} of ${UNITS} units hang: ${name}`,
        metric: name.endsWith("answer") ? `p99 (mark ${MARK_MS})` : "p99",
        unit: "ms",
        value,
        peer: "nothing hangs",
        peerValue,
        ratio: peerValue / value,
      };
    });
  } finally {
    await daemon.stop();
  }
}
