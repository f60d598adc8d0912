#!/usr/bin/env -S node --optimize-for-size --max-semi-space-size=4 --max-old-space-size=1024
// The bounds are far from what ten thousand paths need. Without them V8 takes the size of the machine for an invitation
// and collects so late that most of the daemon's memory is what it has already finished with. What runs for each I/O is in
// WebAssembly and Rust, and none the slower for a heap that is kept small.
import { start } from "./start.js";

await start("pathmanagerd");
