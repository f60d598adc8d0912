// Verified load by fio, and what came of it.

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

/** What a load saw. */
export interface Load {
  /** Exit status of fio: not 0 when an I/O failed or a block was not what had been written. */
  readonly status: number;
  /** Failed I/Os and failed verifications. */
  readonly errors: number;
  readonly ios: number;
  readonly iops: number;
  /** The longest time one I/O took, in ms. */
  readonly stallMsMax: number;
  /** The 99th percentile of an I/O's time, in ms; the worse of reads and writes. */
  readonly p99Ms: number;
  /** What fio said when it was not content. */
  readonly complaint: string;
}

/** The answer of fio as JSON; before it there may be lines of warnings. */
function parse(stdout: string): z.infer<typeof Report> {
  const begin = stdout.indexOf("{\n");
  if (begin === -1) throw new Error(`fio gave no report: ${stdout}`);
  return Report.parse(JSON.parse(stdout.slice(begin)));
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

/** Runs fio with the given options (`--` is put before each). The promise is settled when fio has ended. */
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

/** Random writes over a file or a device for some seconds; every block is read back and verified soon after it was written. */
export function verifiedLoad(filename: string, seconds: number, sizeMib = 16): Promise<Load> {
  return runFio({
    name: "verified",
    filename,
    rw: "randwrite",
    bsrange: "4k-32k",
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
