// What a unit is and can do, derived from what its paths reported to discovery.

import type { FoundPath } from "../../discovery/discover.ts";
import type { Caching } from "../../discovery/limits.ts";
import type { Probe } from "../../discovery/probe.ts";
import * as abi from "../../abi.ts";
import type { UnitFacts } from "../state/state-schemas.ts";

/** Largest transfer to try where the kernel reports no limit: 128 segments of a page. */
const TRANSFER_BYTES_CAUTIOUS = 128 * 4096;

const TOLD_BY_MODE_SENSE = abi.UNIT_CAN_NOT_WRITE | abi.UNIT_CAN_FUA;
const TOLD_BY_PAGES = abi.UNIT_CAN_UNMAP | abi.UNIT_CAN_WRITE_SAME | abi.UNIT_CAN_WRITE_SAME_UNMAP;

/** A path that could report the capacity; it speaks for the unit. Undefined when none could. */
export function referencePath(paths: readonly FoundPath[]): FoundPath | undefined {
  return paths.find((path) => path.probe.capacity !== null);
}

/** @param known what was known of the unit before; what a device did not report this time is kept */
export function factsOf(probe: Probe, known?: UnitFacts): UnitFacts {
  const { capacity, identity, vendor, product, revision, serial } = probe;
  const { formerIdentity, reactor } = known ?? {};
  return {
    identityType: identity.type,
    vendor,
    product,
    revision,
    serial: serial ?? known?.serial ?? "",
    bytes: capacity === null ? 0 : Number(capacity.blocks) * capacity.blockBytes,
    blockBytes: capacity?.blockBytes ?? 512,
    ...(formerIdentity === undefined ? {} : { formerIdentity }),
    ...(reactor === undefined ? {} : { reactor }),
  };
}

/**
 * UNIT_CAN_* bits.
 * @param known what was known before: it is kept where the device, perhaps too busy to answer MODE SENSE, reports nothing new.
 * Only its cache is then never known to be off, since whatever kept it from answering may have switched it on.
 */
export function capabilitiesOf({ capacity, details, alua }: Probe, known: number): number {
  const { provisioning, caching, limits } = details ?? { provisioning: null, caching: null, limits: null };
  const unmap = capacity?.provisioned === true && provisioning?.unmap === true;
  const writeSameUnmap = capacity?.provisioned === true && provisioning?.writeSameUnmap === true;
  // Page B2 is more precise than READ CAPACITY(16), whose single bit some devices also set when blocks read as a pattern.
  const zeroes = provisioning?.unmappedReadsZero ?? capacity?.unmappedReadsZero ?? false;
  const writeSame = (limits?.writeSameBlocksMax ?? 0) > 0 || provisioning?.writeSameUnmap === true;
  const silentOf = (caching === null ? TOLD_BY_MODE_SENSE : 0) | (details === null ? TOLD_BY_PAGES : 0);
  return (
    (known & silentOf) |
    (caching?.writeProtected === true ? abi.UNIT_CAN_NOT_WRITE : 0) |
    (unmap ? abi.UNIT_CAN_UNMAP : 0) |
    (writeSame ? abi.UNIT_CAN_WRITE_SAME : 0) |
    (writeSameUnmap && zeroes ? abi.UNIT_CAN_WRITE_SAME_UNMAP : 0) |
    // Holes are reported only where they are certain to read as zeroes.
    (capacity?.provisioned === true && zeroes ? abi.UNIT_CAN_LBA_STATUS : 0) |
    (caching?.fua === true ? abi.UNIT_CAN_FUA : 0) |
    cacheOf(caching, known) |
    (alua === null ? 0 : abi.UNIT_CAN_ALUA)
  );
}

/**
 * A device that does not say whether it caches writes is assumed to: a needless flush does no harm. A device that said so once,
 * and cannot be asked just now, is still taken to.
 */
function cacheOf(caching: Caching | null, known: number): number {
  const { UNIT_CAN_ASSUMED_CACHE: assumed, UNIT_CAN_CACHE_WRITES: caches } = abi;
  if (caching === null) return (known & (caches | assumed)) === caches ? caches : caches | assumed;
  if (caching.writeCache === null) return caches | assumed;
  return caching.writeCache ? caches : 0;
}

/** Largest transfer, in blocks, that every path accepts; 0 when only the core's own limit applies. */
export function transferBlocksMax(paths: readonly FoundPath[], blockBytes: number): number {
  const limits = paths.flatMap(({ device, transferBytesMax, probe }) => {
    const kernel = transferBytesMax ?? (device.startsWith("/dev/") ? TRANSFER_BYTES_CAUTIOUS : null);
    const stated = probe.details?.limits?.transferBlocksMax ?? 0;
    return [kernel === null ? 0 : Math.floor(kernel / blockBytes), stated].filter((limit) => limit > 0);
  });
  return limits.length === 0 ? 0 : Math.min(...limits);
}

/** Small numbers for names; equal names get equal numbers. */
export class Interned {
  readonly #numbers: Map<string, number>;

  constructor(known: ReadonlyMap<string, number> = new Map()) {
    this.#numbers = new Map(known);
  }

  get all(): ReadonlyMap<string, number> {
    return this.#numbers;
  }

  number(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    this.#numbers.set(name, this.#numbers.size + 1);
    return this.#numbers.size;
  }
}
