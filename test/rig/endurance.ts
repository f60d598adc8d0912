// npm run rig -- --array lio-mapped --time-limit 3600 node test/rig/endurance.ts [--rounds N] [--seed S] [--kills K]

import { parseArgs } from "node:util";
import { endurance } from "./lib/endurance.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "100" },
    seed: { type: "string", default: "1" },
    kills: { type: "string", default: "3" },
  },
});
const { rounds, seed, kills } = values;
const result = await endurance({ rounds: Number(rounds), seed: Number(seed), kills: Number(kills) }, console.log);
for (const [fault, times] of result.faults) console.log(`${String(times).padStart(4)} x ${fault}`);
const { ios, errors, stallMsMax } = result;
console.log(
  `${result.rounds} rounds, ${ios} I/Os, ${errors} errors, longest stall ${Math.round(stallMsMax)} ms, fsck clean`,
);
process.exit(0);
