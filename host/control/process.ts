// The program of control, started by the supervisor with the version and the arguments of `pathmanagerd`, which has already read
// them.

import { surviveShutdown } from "../liaison/survival.ts";
import { readArguments } from "./settings/arguments.ts";
import { runControl } from "./main.ts";

surviveShutdown();
const [version = "", ...rest] = process.argv.slice(2);
const given = readArguments(rest);
if (given.kind === "run") await runControl(given.config, given.level, version);
