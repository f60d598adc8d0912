// The process of `spscmd`.

import { processIo } from "../io.ts";
import { spscmd } from "./main.ts";

process.exitCode = await spscmd(process.argv.slice(2), processIo());
