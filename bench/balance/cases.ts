// The cases. Times are typical of flash behind a fabric: 100 us a command on a good path, 30,000 to 60,000 I/Os a second.

import { readFileSync } from "node:fs";
import * as z from "zod";
import { START_NS, type Case, type PathModel, type Transfer } from "./model.ts";

const US = 1000;
const MS = 1_000_000;
const S = 1_000_000_000;

const small: readonly Transfer[] = [{ part: 1, bytes: 4096, write: false }];
const mixed: readonly Transfer[] = [
  { part: 0.9, bytes: 4096, write: false },
  { part: 0.1, bytes: 1 << 20, write: false },
];
/** A database: 8 KiB pages, a third of them written, a log in small writes, now and then a scan. */
const database: readonly Transfer[] = [
  { part: 0.55, bytes: 8192, write: false },
  { part: 0.25, bytes: 8192, write: true },
  { part: 0.15, bytes: 4096, write: true },
  { part: 0.05, bytes: 262144, write: false },
];
/** A file server, with the sizes that published traces of enterprise servers show: mostly 4 KiB, a tail of 64 KiB. */
const fileServer: readonly Transfer[] = [
  { part: 0.5, bytes: 4096, write: false },
  { part: 0.15, bytes: 8192, write: true },
  { part: 0.25, bytes: 65536, write: false },
  { part: 0.1, bytes: 65536, write: true },
];

const path = (us: number, servers = 1, nsPerByte = 0): PathModel => ({
  servers,
  baseNs: us * US,
  nsPerByte,
  troubles: [],
});
const four = (a: PathModel, b: PathModel): PathModel[] => [a, a, b, b];

const usual = {
  spread: { kind: "exponential" },
  arrival: { kind: "poisson" },
  mix: small,
  load: 0.8,
  stationary: true,
} as const;

/** Runs of these cases are about this long, so troubles can be placed. */
const troubled = (trouble: PathModel["troubles"]): PathModel[] => [
  { ...path(100), troubles: trouble },
  path(100),
  path(100),
  path(100),
];

const recording = z
  .object({ stepMs: z.number(), us: z.array(z.number()) })
  .parse(JSON.parse(readFileSync(new URL("recorded.json", import.meta.url), "utf8")));
/** Of the speed that the recorded device has on average. */
const recordedFactors = ((): number[] => {
  const speed = recording.us.reduce((sum, us) => sum + 1 / us, 0) / recording.us.length;
  return recording.us.map((us) => us * speed);
})();

/** A path that is as fast as a recorded device was, from a place in the recording on. */
function recorded(us: number, from = 0): PathModel {
  const at = Math.floor(from * recordedFactors.length);
  const factors = [...recordedFactors.slice(at), ...recordedFactors.slice(0, at)];
  return { ...path(us), course: { stepNs: recording.stepMs * MS, factors } };
}

export const cases: readonly Case[] = [
  { ...usual, name: "4 equal paths", paths: four(path(100), path(100)) },
  { ...usual, name: "2 fast + 2 slow, 1:4", paths: four(path(100), path(400)) },
  { ...usual, name: "3 fast + 1 slow, 1:10", paths: [path(100), path(100), path(100), path(1000)] },
  { ...usual, name: "1:4, constant times", paths: four(path(100), path(400)), spread: { kind: "constant" } },
  {
    ...usual,
    name: "1:4, heavy tail",
    paths: four(path(100), path(400)),
    spread: { kind: "log-normal", variation: 2 },
    load: 0.7,
  },
  {
    ...usual,
    name: "1:4, 8 servers each",
    paths: four(path(400, 8), path(1600, 8)),
    spread: { kind: "log-normal", variation: 1 },
  },
  { ...usual, name: "8 servers and 2 servers", paths: four(path(200, 8), path(200, 2)) },
  {
    ...usual,
    name: "4 KiB and 1 MiB, equal",
    paths: four(path(100, 1, 0.8), path(100, 1, 0.8)),
    mix: mixed,
    load: 0.7,
  },
  { ...usual, name: "4 KiB and 1 MiB, 1:4", paths: four(path(100, 1, 0.8), path(400, 1, 3.2)), mix: mixed, load: 0.7 },
  {
    ...usual,
    name: "bursts of 16, 1:4",
    paths: four(path(100), path(400)),
    arrival: { kind: "batches", size: 16 },
    load: 0.6,
  },
  { ...usual, name: "32 paths, 1:2:3:4", paths: Array.from({ length: 32 }, (_, slot) => path(100 * (1 + (slot % 4)))) },
  {
    ...usual,
    name: "database, calm and busy, 1:4",
    paths: four(path(100, 4, 0.4), path(400, 4, 1.6)),
    mix: database,
    arrival: { kind: "phases", ratio: 6, busyPart: 0.2, phaseNs: 50 * MS },
    load: 0.4,
  },
  {
    ...usual,
    name: "file server, calm and busy, 1:2",
    paths: four(path(100, 2, 0.8), path(200, 2, 1.6)),
    mix: fileServer,
    spread: { kind: "log-normal", variation: 1.5 },
    arrival: { kind: "phases", ratio: 8, busyPart: 0.15, phaseNs: 100 * MS },
    load: 0.35,
  },
  ...[2, 4].flatMap((hosts) => [
    { ...usual, name: `4 equal paths, ${hosts} hosts`, paths: four(path(100), path(100)), hosts },
    { ...usual, name: `1:4, ${hosts} hosts`, paths: four(path(100), path(400)), hosts },
  ]),
  {
    ...usual,
    name: "bursts of 16, 1:4, 2 hosts",
    paths: four(path(100), path(400)),
    arrival: { kind: "batches", size: 16 },
    load: 0.6,
    hosts: 2,
  },
  {
    ...usual,
    name: "one of 4 as fast as a recorded disk",
    paths: [recorded(100), path(100), path(100), path(100)],
    load: 0.6,
    stationary: false,
  },
  {
    ...usual,
    name: "4 paths, each as fast as a recorded disk",
    paths: [0, 0.25, 0.5, 0.75].map((from) => recorded(100, from)),
    load: 0.4,
    stationary: false,
  },
  {
    ...usual,
    name: "one of 4 slows ten times, heals",
    paths: troubled([{ fromNs: START_NS + 3 * S, toNs: START_NS + 6 * S, factor: 10 }]),
    load: 0.6,
    stationary: false,
  },
  {
    ...usual,
    name: "one of 4 stalls for 1 s",
    paths: troubled([{ fromNs: START_NS + 3 * S, toNs: START_NS + 4 * S, factor: Infinity }]),
    load: 0.6,
    stationary: false,
  },
];
