// Latency percentiles of paths and units, from the core's histograms.

import { STATISTICS_BYTES } from "../../abi.ts";
import type { ReactorClient } from "../../reactor/reactor-client.ts";
import { allTransfers, decodeStatistics, percentileNs } from "../../reactor/decode-statistics.ts";
import type { Latency } from "../schemas/path-schema.ts";

export interface Latencies {
  readonly paths: ReadonlyMap<number, Latency>;
  readonly units: ReadonlyMap<number, Latency>;
}

export const NO_LATENCIES: Latencies = { paths: new Map(), units: new Map() };

/** Most histograms that one display may request; a display of thousands of paths goes without. */
const REGIONS_MAX = 160;
/** How long a display waits for them. */
const WAIT_MS = 20;

function latencyOf(copy: Uint8Array): Latency | null {
  if (copy.byteLength < STATISTICS_BYTES) return null;
  const transfers = allTransfers(decodeStatistics(copy));
  if (transfers.ios === 0) return null;
  const us = (part: number): number => percentileNs(transfers, part) / 1000;
  return {
    p50Us: us(0.5),
    p90Us: us(0.9),
    p99Us: us(0.99),
    p999Us: us(0.999),
    maxUs: transfers.latencyMaxNs / 1000,
    count: transfers.ios,
  };
}

function decode(copies: ReadonlyMap<number, Uint8Array>): ReadonlyMap<number, Latency> {
  const latencies = [...copies].map(([handle, copy]) => [handle, latencyOf(copy)] as const);
  return new Map(latencies.flatMap(([handle, latency]) => (latency === null ? [] : [[handle, latency]])));
}

/** Percentiles for the given handles; none when there are too many, or the reactor does not answer in time. */
export async function askLatencies(
  reactor: ReactorClient,
  paths: readonly number[],
  units: readonly number[],
): Promise<Latencies> {
  if (paths.length + units.length > REGIONS_MAX) return NO_LATENCIES;
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), WAIT_MS);
  });
  const copies = await Promise.race([reactor.statistics({ paths, units }).catch(() => null), limit]);
  clearTimeout(timer);
  return copies === null ? NO_LATENCIES : { paths: decode(copies.paths), units: decode(copies.units) };
}
