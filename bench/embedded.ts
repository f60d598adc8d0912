// The core as C beside V8 in `bench/dispatch.ts`: the same load, in a program of its own (embedded.c), some rounds at a time.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { buildKit } from "../host/embedding/build.ts";
import { targetsNamed } from "../host/embedding/targets.ts";
import type { Load } from "./device-rings.ts";

const output = join(import.meta.dirname, "..", "build", "embedding");
/** Builds of the kit, by what the figures call them. */
const BUILDS = { "C, guard pages": "glibc-guard", "C, bounds checks": "glibc" } as const;

export type EmbeddedBuild = keyof typeof BUILDS;
export const EMBEDDED_BUILDS = Object.keys(BUILDS) as readonly EmbeddedBuild[];

function run(command: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
  return stdout;
}

const programOf = (build: EmbeddedBuild): string => join(output, BUILDS[build], "bench");

/** Makes the programs. */
export async function buildEmbedded(): Promise<void> {
  const { folder } = await buildKit(output, targetsNamed(Object.values(BUILDS)));
  const source = join(import.meta.dirname, "embedded.c");
  for (const build of EMBEDDED_BUILDS) {
    const library = join(output, BUILDS[build], "libpathmanager.a");
    const flags = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", `-I${folder}`];
    run("gcc", [...flags, "-o", programOf(build), source, library, "-lm"]);
  }
}

/** Ns of the core per I/O, for each round of so many I/Os. */
export function embeddedRounds(build: EmbeddedBuild, load: Load, own: boolean, rounds: number, ios: number): number[] {
  const args = [load.write ? "w" : "r", load.depth, own ? 1 : 0, rounds, ios].map(String);
  return run(programOf(build), args).trim().split("\n").map(Number);
}
