// GET /v1/latencies: histograms of paths with one class per octave, for displays that poll. They are copied from the core a few at a time,
// so that no turn of the reactor is long.

import * as abi from "../../abi.ts";
import { bucketRangeNs, decodeStatistics, allTransfers } from "../../reactor/decode-statistics.ts";
import type { ReactorClient } from "../../reactor/reactor-client.ts";
import type { Path } from "../inventory/inventory.ts";
import type { LatenciesView } from "../schemas/status-schema.ts";

/** Histograms copied within one turn of the reactor: about 60 KB. */
const PORTION = 16;
/** How long a display waits for all of them. */
const WAIT_MS = 200;
/** Upper ends of the classes: powers of two from 8 us to 64 s, as in a scrape. */
const OCTAVES = { first: 13, last: 36 } as const;

/** Ends of the classes in ns. */
const BOUNDS_NS = Array.from(
  { length: OCTAVES.last - OCTAVES.first + 1 },
  (_, octave) => 2 ** (OCTAVES.first + octave),
);

/** The class of each of the core's buckets; one more class than bounds, for what is longer. */
const CLASS_OF = Array.from({ length: abi.STATISTICS_BUCKETS }, (_, bucket) => {
  const found = BOUNDS_NS.findIndex((bound) => bucketRangeNs(bucket).toNs <= bound);
  return found < 0 ? BOUNDS_NS.length : found;
});

function countsOf(copy: Uint8Array): number[] {
  const counts = BOUNDS_NS.map(() => 0);
  counts.push(0);
  for (const [bucket, count] of allTransfers(decodeStatistics(copy)).histogram.entries()) {
    const at = CLASS_OF[bucket] ?? BOUNDS_NS.length;
    counts[at] = (counts[at] ?? 0) + count;
  }
  return counts;
}

/** The histograms of these paths; without those for which the reactor had no time. */
export async function latencyClasses(reactor: ReactorClient, paths: readonly Path[]): Promise<LatenciesView> {
  const found: LatenciesView["paths"] = [];
  const wanted = paths.flatMap((path) => (path.handle === null ? [] : [{ path, handle: path.handle }]));
  const endMs = performance.now() + WAIT_MS;
  for (let at = 0; at < wanted.length && performance.now() < endMs; at += PORTION) {
    const portion = wanted.slice(at, at + PORTION);
    const copies = await inTime(
      reactor,
      portion.map(({ handle }) => handle),
      endMs - performance.now(),
    );
    if (copies === null) break;
    for (const { path, handle } of portion) {
      const copy = copies.get(handle);
      if (copy === undefined || copy.byteLength < abi.STATISTICS_BYTES) continue;
      found.push({ number: path.number, unit: path.unit.number, counts: countsOf(copy) });
    }
  }
  return { time: Date.now(), boundsUs: BOUNDS_NS.map((ns) => ns / 1000), paths: found };
}

async function inTime(
  reactor: ReactorClient,
  paths: readonly number[],
  waitMs: number,
): Promise<ReadonlyMap<number, Uint8Array> | null> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), waitMs);
  });
  const copies = await Promise.race([reactor.statistics({ paths }).catch(() => null), limit]);
  clearTimeout(timer);
  return copies?.paths ?? null;
}
