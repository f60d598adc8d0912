// Verified load with fio, and its result.

import * as z from "zod";
import { start } from "./command.ts";

const Direction = z.object({
  total_ios: z.number(),
  iops: z.number(),
  lat_ns: z.object({ max: z.number() }),
  clat_ns: z.object({ percentile: z.record(z.string(), z.number()).default({}) }),
});
const Report = z.object({
  jobs: z
    .array(z.object({ error: z.number(), total_err: z.number().default(0), read: Direction, write: Direction }))
    .min(1),
});

/** The result of a load. */
export interface Load {
  /** Exit status of fio: not 0 when an I/O failed or a block did not hold what was written. */
  readonly status: number;
  /** Failed I/Os and failed verifications. */
  readonly errors: number;
  readonly ios: number;
  readonly iops: number;
  /** Longest latency of an I/O, in ms. */
  readonly stallMsMax: number;
  /** 99th percentile of the latencies, in ms; the worse of reads and writes. */
  readonly p99Ms: number;
  /** fio's messages when it failed. */
  readonly complaint: string;
}

/** fio's JSON output; lines of warnings may precede it. */
function parse(stdout: string): z.infer<typeof Report> {
  const begin = stdout.indexOf("{\n");
  if (begin === -1) throw new Error(`fio gave no report: ${stdout}`);
  return Report.parse(JSON.parse(stdout.slice(begin)));
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

/** Runs fio with the given options (each is prefixed with `--`). The promise settles when fio has ended. */
export async function runFio(options: Readonly<Record<string, string | number>>): Promise<Load> {
  const given = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
  const outcome = await start("fio", ...given, "--output-format=json", "--group_reporting", "--verify_state_save=0");
  const { jobs } = parse(outcome.stdout);
  const directions = jobs.flatMap((job) => [job.read, job.write]);
  return {
    status: outcome.status,
    errors: sum(jobs.map((job) => job.total_err + (job.error === 0 ? 0 : 1))),
    ios: sum(directions.map(({ total_ios }) => total_ios)),
    iops: Math.round(sum(directions.map(({ iops }) => iops))),
    stallMsMax: Math.max(...directions.map(({ lat_ns }) => lat_ns.max)) / 1e6,
    p99Ms: Math.max(...directions.map(({ clat_ns }) => clat_ns.percentile["99.000000"] ?? 0)) / 1e6,
    complaint: outcome.stderr,
  };
}

/** A load whose cost is measured: so many I/Os of 4 KiB, so many at once, anywhere in the first `sizeMib` of a device; nothing is verified. */
export function countedLoad(
  filename: string,
  { rw, depth, ios, sizeMib }: { rw: string; depth: number; ios: number; sizeMib: number },
): Promise<Load> {
  return runFio({
    name: "counted",
    filename,
    rw,
    bs: "4k",
    size: `${sizeMib}m`,
    io_size: "1g",
    number_ios: ios,
    direct: 1,
    ioengine: "libaio",
    iodepth: depth,
    norandommap: 1,
    thread: 1,
  });
}

/** Random writes to a part of a file or device for some seconds; every block is read back and verified soon after it was written. */
export function verifiedLoad(filename: string, seconds: number, sizeMib = 16, fromMib = 0): Promise<Load> {
  return runFio({
    name: "verified",
    filename,
    rw: "randwrite",
    bsrange: "4k-32k",
    offset: `${fromMib}m`,
    size: `${sizeMib}m`,
    direct: 1,
    ioengine: "libaio",
    iodepth: 8,
    time_based: 1,
    runtime: seconds,
    verify: "crc32c",
    verify_backlog: 64,
    verify_fatal: 1,
  });
}
