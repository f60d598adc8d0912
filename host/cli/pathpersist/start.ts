// The process of `pathpersist`.

import { processIo } from "../io.ts";
import { pathpersist } from "./main.ts";

process.exitCode = await pathpersist(process.argv.slice(2), processIo());
