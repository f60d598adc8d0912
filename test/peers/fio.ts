// fio's nbd engine (libnbd inside): verified load.

import { join } from "node:path";
import { run } from "./run.ts";

export interface VerifyJob {
  readonly uri: string;
  readonly folder: string;
  readonly name?: string;
  readonly offset?: number;
  readonly bytes: number;
  readonly depth: number;
  /** fio's `bsrange`. */
  readonly sizes: string;
  /** Writes and verifies in rounds for this long instead of once. */
  readonly seconds?: number;
}

export interface VerifyResult {
  /** I/O errors and verification errors together. */
  readonly errors: number;
  readonly bytesWritten: number;
  readonly bytesRead: number;
  readonly longestUs: number;
}

interface FioSide {
  readonly io_bytes: number;
  readonly lat_ns: { readonly max: number };
}

/** Writes at random offsets, reads everything back and compares checksums. Throws when fio ends with an error. */
export async function verify(job: VerifyJob): Promise<VerifyResult> {
  const { uri, folder, name = "verify", offset = 0, bytes, depth, sizes, seconds } = job;
  const output = join(folder, `${name}.json`);
  const forAWhile = seconds === undefined ? [] : ["--time_based", `--runtime=${seconds}`];
  await run(
    "fio",
    [
      `--name=${name}`,
      "--ioengine=nbd",
      `--uri=${uri}`,
      "--rw=randwrite",
      `--bsrange=${sizes}`,
      `--offset=${offset}`,
      `--size=${bytes}`,
      `--iodepth=${depth}`,
      "--verify=crc32c",
      "--verify_fatal=1",
      "--verify_backlog=1024",
      "--randrepeat=0",
      "--group_reporting",
      "--output-format=json",
      `--output=${output}`,
      `--verify_state_save=0`,
      ...forAWhile,
    ],
    { timeoutMs: 120_000 + (seconds ?? 0) * 1000 },
  );
  const { readFileSync } = await import("node:fs");
  const report = JSON.parse(readFileSync(output, "utf8"));
  const [done] = report.jobs as readonly { error: number; total_err?: number; read: FioSide; write: FioSide }[];
  if (done === undefined) throw new Error("fio reports no job");
  return {
    errors: done.error + (done.total_err ?? 0),
    bytesWritten: done.write.io_bytes,
    bytesRead: done.read.io_bytes,
    longestUs: Math.max(done.read.lat_ns.max, done.write.lat_ns.max) / 1000,
  };
}
