// fio's nbd engine as a client.

import { run } from "../test/peers/run.ts";

const SECONDS = 1.8;

/** What one run of fio saw: reads and writes, all its clients together. */
export interface Measured {
  readonly requests: number;
  readonly iops: number;
  readonly mibPerSecond: number;
  /** The larger of the reads' and the writes'. */
  readonly p99Us: number;
}

interface Direction {
  readonly total_ios: number;
  readonly iops: number;
  readonly bw_bytes: number;
  readonly clat_ns: { readonly percentile?: Readonly<Record<string, number>> };
}

interface Report {
  readonly jobs: readonly { readonly error: number; readonly read: Direction; readonly write: Direction }[];
}

const p99 = ({ clat_ns }: Direction): number => (clat_ns.percentile?.["99.000000"] ?? 0) / 1000;

/**
 * Runs fio once.
 *
 * @param uri of the export
 * @param bytes of it that are used
 * @param args of fio for the load
 * @throws if fio fails or reports an error
 */
export async function fio(uri: string, bytes: number, args: readonly string[]): Promise<Measured> {
  const common = [
    "--name=bench",
    "--ioengine=nbd",
    `--uri=${uri}`,
    `--size=${bytes}`,
    "--randrepeat=0",
    "--norandommap",
  ];
  const time = ["--time_based", `--runtime=${SECONDS}`, "--group_reporting"];
  const { stdout } = await run("fio", [...common, ...time, ...args, "--output-format=json"]);
  const report: Report = JSON.parse(stdout.slice(stdout.indexOf("{")));
  const [job] = report.jobs;
  if (job === undefined || job.error !== 0) throw new Error(`${uri}: fio reports error ${job?.error}`);
  return {
    requests: job.read.total_ios + job.write.total_ios,
    iops: job.read.iops + job.write.iops,
    mibPerSecond: (job.read.bw_bytes + job.write.bw_bytes) / (1 << 20),
    p99Us: Math.max(p99(job.read), p99(job.write)),
  };
}
