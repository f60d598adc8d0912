#!/usr/bin/env -S node --optimize-for-size --max-semi-space-size=4 --max-old-space-size=1024
// The limits are far above what ten thousand paths need. Without them V8 sizes its heap by the machine's memory and collects
// so late that most of the daemon's memory is garbage. The I/O path runs in WebAssembly and Rust and is not slowed down by a
// small heap.
import { start } from "./start.js";

await start("pathmanagerd");
