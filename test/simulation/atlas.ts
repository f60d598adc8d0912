// The fault atlas: which faults a world gets, where and when, derived from its seed - and which may coincide.
//
// Time is divided into epochs with quiet periods between them. In a "reachable" world each epoch protects a set of ports
// that covers every unit: no fault that can make a port unusable strikes these ports, so no client may ever see an error. In
// an "outage" world all paths may be gone at once; there, errors are acceptable, wrong data is not.

import type { ArrayPortInfo } from "../../host/array/array.ts";
import type { Fault, FaultPlace, FaultRequest } from "../../host/array/faults/faults.ts";
import type { Cells } from "./history.ts";
import type { Random } from "./random.ts";

export interface Atlas {
  readonly faults: readonly FaultRequest[];
  /** End of the last fault, ms. */
  readonly endMs: number;
  /** Whether all paths may be gone at once, so that a client may get EIO for a correct request. */
  readonly errorsAllowed: boolean;
}

export interface AtlasGround {
  readonly ports: readonly ArrayPortInfo[];
  readonly units: number;
  /** Blocks of a unit. */
  readonly blocks: number;
  /** The host of an initiator port: each host has to keep one path to every unit. */
  hostOf(initiatorPort: number): number;
  /** Blocks used by clients. */
  readonly windows: readonly Cells[];
  readonly kind: "reachable" | "outage" | "device";
  /** Whether the array loses power once: every path then fails for a moment. */
  readonly powerLoss: boolean;
  /** Time span of the clients' requests, ms. */
  readonly spanMs: number;
  /** Interval of the path patrol, ms. */
  readonly patrolMs: number;
  /** Longest quiet period that patrol needs for the failback of recovered paths, ms. */
  readonly recoveryMs: number;
}

/** A designation descriptor (SPC-4 7.8.6.1): NAA 6, of a unit that does not exist. */
const STRANGER = "010300106001a2b0ffffffffffffffffffffffff";

/** Ports that no deadly fault may strike during an epoch. */
function protect(ground: AtlasGround, random: Random): Set<number> {
  const { ports } = ground;
  if (ground.kind === "outage") return new Set();
  const first = random.pick(ports);
  const dice = random.real();
  let kept: ArrayPortInfo[];
  if (dice < 0.3) kept = ports.filter((port) => port.controller === first.controller);
  else if (dice < 0.5) kept = ports.filter((port) => port.initiatorPort === first.initiatorPort);
  else kept = [];
  const placeOf = (port: ArrayPortInfo): string => `${port.unit} ${ground.hostOf(port.initiatorPort)}`;
  const covered = new Set(kept.map(placeOf));
  for (const place of new Set(ports.map(placeOf))) {
    if (!covered.has(place)) kept.push(random.pick(ports.filter((port) => placeOf(port) === place)));
  }
  return new Set(kept.map((port) => port.port));
}

/**
 * A place that consists of unprotected ports: one port, or a whole initiator port, target port or controller if all of its
 * ports are unprotected.
 */
function deadlyPlace(ground: AtlasGround, guarded: ReadonlySet<number>, random: Random): FaultPlace | undefined {
  const open = ground.ports.filter((port) => !guarded.has(port.port));
  if (open.length === 0) return undefined;
  const port = random.pick(open);
  const wider: FaultPlace[] = [
    { controller: port.controller },
    { initiatorPort: port.initiatorPort },
    { targetPort: port.targetPort },
  ];
  if (random.chance(0.5)) {
    const place = random.pick(wider);
    const struck = ground.ports.filter(
      (other) =>
        (place.controller === undefined || other.controller === place.controller) &&
        (place.initiatorPort === undefined || other.initiatorPort === place.initiatorPort) &&
        (place.targetPort === undefined || other.targetPort === place.targetPort),
    );
    if (struck.every((other) => !guarded.has(other.port))) return place;
  }
  return { port: port.port };
}

/** Faults that can make a port unusable. */
function deadlyFault(ground: AtlasGround, place: FaultPlace, random: Random): Fault {
  const singlePort = place.port !== undefined;
  // A HARDWARE ERROR of the only path that has not failed finally counts as the device's answer: a client may see it.
  const keys = ground.powerLoss ? [2, 0xb] : [2, 4, 0xb];
  const makers: (() => Fault)[] = [
    () => ({ kind: "port-down" }),
    () => ({ kind: "port-down", hostStatus: random.pick([1, 3, 7, 0x0e, 0x0f]) }),
    () => ({
      kind: "error",
      status: 2,
      senseKey: random.pick(keys),
      asc: random.pick([0x04, 0x44, 0x47]),
      ascq: 0,
    }),
    () => ({
      kind: "no-answer",
      execution: random.pick(["never", "at-once", "on-lift"] as const),
      giveUp: random.chance(0.7),
    }),
    () => ({ kind: "queued" }),
    () => ({
      kind: "late",
      delayMs: random.between(5, 4000),
      answer: random.chance(0.6),
    }),
    () => ({
      kind: "flapping",
      upMs: random.between(20, 900),
      downMs: random.between(20, 900),
      how: random.pick(["down", "no-answer"] as const),
    }),
    () => ({ kind: "busy", depth: 0, status: random.pick(["busy", "task-set-full"] as const) }),
  ];
  // Nor is short data: if a protected path has not yet recovered from a power loss, no other data is available.
  if (!ground.powerLoss) makers.push(() => ({ kind: "short-data", missingBytes: random.pick([1, 512, 4096]) }));
  if (place.controller !== undefined) {
    makers.push(() => ({ kind: "alua", state: random.pick([1, 2, 3, 14, 15]), silent: random.chance(0.3) }));
  }
  if (singlePort) makers.push(() => ({ kind: "remap", unit: null }));
  // The path cannot be identified, or it reports another unit's identity.
  makers.push(
    () => ({ kind: "nonsense-pages" }),
    () => ({ kind: "vpd-page", page: 0x83, payload: STRANGER }),
  );
  return random.pick(makers)();
}

/**
 * A LUN is mapped to another unit, as an administrator of the array would do it: in two steps, with time between them in
 * which the path leads nowhere or is down. Without this time no host is safe: one command gets the unit attention, and
 * commands sent right behind it are executed on the other unit. Whether or not the array reports the second step, the
 * identity check has to detect it.
 */
function remapping(ground: AtlasGround, where: FaultPlace, atMs: number, random: Random): FaultRequest[] {
  const noticedMs = 3 * ground.patrolMs + 500;
  const otherMs = random.between(500, 4000);
  const unit = random.between(0, ground.units - 1);
  if (random.chance(0.5)) {
    return [
      { fault: { kind: "port-down" }, where, afterMs: atMs, forMs: noticedMs },
      { fault: { kind: "remap", unit, silent: true }, where, afterMs: atMs + noticedMs - 200, forMs: otherMs + 200 },
    ];
  }
  return [
    { fault: { kind: "remap", unit: null }, where, afterMs: atMs, forMs: noticedMs + otherMs },
    {
      fault: { kind: "remap", unit, silent: random.chance(0.5) },
      where,
      afterMs: atMs + noticedMs,
      forMs: otherMs,
    },
  ];
}

/** Faults that all ports may have at the same time without the loss of a unit. */
function harmlessFault(ground: AtlasGround, random: Random): FaultRequest {
  return random.pick<() => FaultRequest>([
    () => ({ fault: { kind: "slow", factor: random.pick([1, 1, 5]), delayMs: random.between(1, 30) } }),
    // The unit grows; the size of its export stays.
    () => ({ fault: { kind: "capacity", blocks: ground.blocks + random.pick([1, 8, 1024]) } }),
    // If power were lost with every third command, it would also be lost before every flush for FUA.
    () => ({
      fault: { kind: "unit-attention", asc: 0x29, ascq: random.pick([0, 1, 2, 3, 4, 7]), every: random.between(7, 40) },
    }),
    () => ({ fault: { kind: "unit-attention", asc: 0x2a, ascq: random.pick([1, 6]), every: random.between(5, 60) } }),
    () => ({
      fault: { kind: "unit-attention", asc: 0x3f, ascq: random.pick([3, 0x0e]), every: random.between(10, 60) },
    }),
    () => ({
      fault: { kind: "busy", depth: random.between(1, 4), status: random.pick(["busy", "task-set-full"] as const) },
    }),
    () => ({ fault: { kind: "error", status: 2, senseKey: 0xb, asc: 0x47, ascq: 3 }, when: { probability: 0.02 } }),
    () => ({ fault: { kind: "error", hostStatus: 0x0b }, when: { probability: 0.02 } }),
    // The device has lost acknowledged data, and reports it to the next command.
    () => ({
      fault: {
        kind: "error",
        status: 2,
        senseKey: random.pick([3, 4]),
        asc: random.pick([0x0c, 0x44]),
        ascq: 0,
        deferred: true,
      },
      when: random.pick([{ times: 1 }, { probability: 0.02 }]),
    }),
    // Almost no space left: this does not affect clients yet.
    () => ({ fault: { kind: "unit-attention", asc: 0x38, ascq: 7, every: random.between(5, 60) } }),
    () => ({ fault: { kind: "short-data", missingBytes: 512 }, when: { probability: 0.02 } }),
    // Occasionally commands get lost, or their answers do, or they are late.
    () => ({
      fault: {
        kind: "no-answer",
        execution: random.pick(["never", "at-once", "on-lift"] as const),
        giveUp: random.chance(0.8),
      },
      when: { probability: random.pick([0.01, 0.04]), commands: random.pick(["all", "io", "writes"] as const) },
    }),
    () => ({
      fault: { kind: "late", delayMs: random.between(5, 3000) },
      when: { probability: 0.02, commands: random.pick(["io", "writes"] as const) },
    }),
  ])();
}

/** The device's own answers: they go to the client. */
function deviceFault(ground: AtlasGround, random: Random): FaultRequest {
  const window = random.pick(ground.windows);
  const first = window.first + random.between(0, window.count - 1);
  const range = { firstLba: first, lastLba: first + random.between(0, 8) };
  return random.pick<() => FaultRequest>([
    () => ({
      fault: { kind: "error", status: 2, senseKey: 3, asc: random.pick([0x11, 0x0c]), ascq: 0 },
      when: { commands: "io", ...range },
    }),
    // No space for written data: reported by the array, or by the kernel as its own error.
    () => ({
      fault: { kind: "error", status: 2, senseKey: 7, asc: 0x27, ascq: 7 },
      when: random.chance(0.5) ? { commands: "writes" } : { commands: "writes", ...range },
    }),
    () => ({
      fault: { kind: "error", hostStatus: random.pick([0x10, 0x11, 0x12, 0x13]) },
      when: { commands: random.pick(["io", "writes"] as const), ...range },
    }),
    () => ({ fault: { kind: "write-protect" } }),
    () => ({ fault: { kind: "reservation", type: random.pick([1, 3, 5, 6]) } }),
  ])();
}

interface Epoch {
  readonly startMs: number;
  readonly lengthMs: number;
  readonly guarded: ReadonlySet<number>;
}

function middleOf({ first, count }: Cells): number {
  return first + Math.floor(count / 2);
}

/** Other behaviour of devices in the field: none of it may cost a client an error, or blame a path for long. */
function fieldFault(ground: AtlasGround, { guarded }: Epoch, random: Random): FaultRequest | undefined {
  const anywhere = random.chance(0.5) ? {} : { where: { port: random.pick(ground.ports).port } };
  const makers: (() => FaultRequest | undefined)[] = [
    // UNMAP, WRITE SAME and SYNCHRONIZE CACHE take long.
    () => ({
      ...anywhere,
      fault: { kind: "late", delayMs: random.between(200, 6000) },
      when: { opcode: random.pick([0x42, 0x93, 0x91]) },
    }),
    // The identification page cannot be read for now.
    () => ({
      ...anywhere,
      fault: random.pick<FaultRequest["fault"]>([
        { kind: "error", status: 2, senseKey: 0x0b, asc: 0x4b, ascq: 3 },
        { kind: "error", status: 8 },
        { kind: "error", status: 0x28 },
        { kind: "short-data", missingBytes: 4096 },
      ]),
      when: { page: 0x83, times: random.between(1, 3) },
    }),
  ];
  // A path does not report yet that the unit has grown. If it is the only one that has not failed, this is the device's
  // answer.
  const open = ground.ports.filter((port) => !guarded.has(port.port));
  if (open.length > 0 && !ground.powerLoss && ground.kind !== "outage") {
    makers.push(() => ({
      where: { port: random.pick(open).port },
      fault: { kind: "error", status: 2, senseKey: 5, asc: 0x21, ascq: 0 },
      when: { commands: "io", firstLba: middleOf(random.pick(ground.windows)) },
    }));
  }
  return random.pick(makers)();
}

/** Creates the faults of a world. */
export function makeAtlas(ground: AtlasGround, random: Random): Atlas {
  const faults: FaultRequest[] = [];
  const past: Epoch[] = [];
  let nowMs = random.between(5, Math.min(200, ground.spanMs / 4));
  const epochs = random.between(1, 3);
  for (let epoch = 0; epoch < epochs; epoch++) {
    // Faults that begin and end during dense load find different bugs than long ones.
    let lengthMs = random.chance(0.4) ? random.between(100, ground.spanMs) : random.between(200, 6000);
    const guarded = protect(ground, random);
    const inEpoch = (request: FaultRequest): void => {
      const startMs = random.between(0, Math.floor(lengthMs * 0.7));
      const forMs = random.between(20, Math.max(20, lengthMs - startMs));
      faults.push({ ...request, afterMs: nowMs + startMs, forMs });
    };
    for (let i = random.between(1, 4); i > 0; i--) {
      const where = deadlyPlace(ground, guarded, random);
      if (where !== undefined) inEpoch({ fault: deadlyFault(ground, where, random), where });
    }
    const leads = deadlyPlace(ground, guarded, random);
    if (ground.units > 1 && leads?.port !== undefined && random.chance(0.3)) {
      const requests = remapping(ground, leads, nowMs, random);
      faults.push(...requests);
      for (const { afterMs = 0, forMs = 0 } of requests) lengthMs = Math.max(lengthMs, afterMs + forMs - nowMs);
    }
    for (let i = random.between(0, 2); i > 0; i--) {
      const request = harmlessFault(ground, random);
      inEpoch(random.chance(0.5) ? request : { ...request, where: { port: random.pick(ground.ports).port } });
    }
    if (ground.kind === "device") inEpoch(deviceFault(ground, random));
    past.push({ startMs: nowMs, lengthMs, guarded });
    nowMs += lengthMs + ground.recoveryMs;
  }
  // Drawn last, so that the rest of each seed's world stays the same.
  for (const epoch of past) {
    const request = random.chance(0.4) ? fieldFault(ground, epoch, random) : undefined;
    if (request === undefined) continue;
    const startMs = random.between(0, Math.floor(epoch.lengthMs * 0.7));
    const forMs = random.between(20, Math.max(20, epoch.lengthMs - startMs));
    faults.push({ ...request, afterMs: epoch.startMs + startMs, forMs });
  }
  return { faults, endMs: nowMs, errorsAllowed: ground.kind === "outage" };
}
