// Runs one test file inside the guest: node test/rig/guest.ts FILE

import { resolve } from "node:path";
import { runTests } from "./lib/test.ts";

const [, , file] = process.argv;
if (file === undefined) throw new Error("which file?");
await import(resolve(file));
process.exit((await runTests()) ? 0 : 1);
