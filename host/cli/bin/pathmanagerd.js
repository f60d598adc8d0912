#!/usr/bin/env -S node --max-semi-space-size=4
import { start } from "./start.js";

await start("pathmanagerd");
