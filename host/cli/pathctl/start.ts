// The process of `pathctl`.

import { processIo } from "../io.ts";
import { pathctl } from "./main.ts";

process.exitCode = await pathctl(process.argv.slice(2), processIo());
