// Rescans the devices: decides when, runs one scan at a time, and keeps what has to wait for the next. What a scan changes is in
// reconcile.ts.

import type { Attention } from "../../discovery/attentions.ts";
import { PATH_SET_UNVERIFIED } from "../../abi.ts";
import type { Context } from "./operation-context.ts";
import type { CablingWatch } from "../events/cabling-watch.ts";
import { findDevices } from "./device-scan.ts";
import { settle, type Expect } from "./expectation.ts";
import { reasonOf } from "../ground/control-errors.ts";
import type { Leftovers } from "./leftovers-watch.ts";
import type { Logger } from "../ground/logger.ts";
import { whyNothingHere } from "../settings/empty-filter.ts";
import { demand, pathSet } from "../core/reactor-port.ts";
import { reconcile, removeContradicting, removeGone, removeFiltered } from "./reconcile.ts";
import type { RefusedDevice } from "../schemas/path-schema.ts";
import type { ThinThreshold } from "../events/thin-threshold.ts";
import { heedUses, type Refused } from "./units-in-use.ts";
import { waitVerified } from "../core/wait-verified.ts";
import type { WritersWatch } from "../events/writers-watch.ts";

/** A storm of uevents causes one scan. */
const DELAY_MS = 100;
/** When devices that did not answer, or could not be taken, are scanned again. */
const AGAIN_MS = 30_000;
/** When devices that could not be read just now are scanned again; the delay doubles each time. */
const READ_AGAIN_MS = 1000;
/** How long a scan waits for paths that do not report their identity; the others are verified within milliseconds. */
const VERIFY_MS_MAX = 500;

export interface RescanParts {
  readonly logger: Logger;
  /** Commands that an earlier daemon left in flight; null where there can be none. */
  readonly leftovers: Leftovers | null;
  readonly thin: ThinThreshold;
  readonly cabling: CablingWatch;
  /** Null where no device is the machine's. */
  readonly writers: WritersWatch | null;
  /** Tells udev which units are about to be taken. */
  readonly expect: Expect;
  /** Called within the change in which units may have come. */
  readonly serve: () => Promise<void>;
  /** A path may have lost its registration. */
  readonly doubted?: (number: string, isPreempted: boolean) => void;
}

export class Rescans {
  refused: readonly RefusedDevice[] = [];
  /** Why the last scan found nothing to serve, when that is due to the configuration. */
  nothing: string | null = null;
  readonly #context: Context;
  readonly #parts: RescanParts;
  #rescanning: Promise<void> | null = null;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer fires, in `performance.now()`. */
  #dueMs = 0;
  #readAgainMs = READ_AGAIN_MS;
  /** Path numbers of devices that reported their thin threshold; they may be known as paths only after the scan. */
  readonly #nearlyFull = new Set<string>();
  #isStopped = false;

  constructor(context: Context, parts: RescanParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** One scan at a time; a request during a scan starts another after it. */
  async now(): Promise<void> {
    if (this.#rescanning !== null) await this.#rescanning.catch(() => undefined);
    this.#rescanning ??= this.#rescan().finally(() => {
      this.#rescanning = null;
    });
    return this.#rescanning;
  }

  /** Rescans after a while, unless a scan is due earlier. */
  soon(delayMs = DELAY_MS): void {
    if (this.#isStopped) return;
    const dueMs = performance.now() + delayMs;
    if (this.#timer !== undefined && delayMs > DELAY_MS && this.#dueMs <= dueMs) return;
    clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => {
      this.now().catch((thrown) => this.#warn(thrown));
    }, delayMs);
    this.#timer.unref();
  }

  /** Something could not be done: another scan will find it again. */
  again(): void {
    this.soon(AGAIN_MS);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** Waits until the core has verified the paths, so that the first display and the first I/O find them usable. */
  async waitVerified(): Promise<void> {
    await waitVerified(this.#context.snapshots, this.#context.inventory.paths(), VERIFY_MS_MAX);
  }

  /**
   * A scan that does not fully succeed is not the last one: refused devices and unwritten changes are tried again. It ends when
   * the core has verified the new paths, so that whoever asked for the scan finds them in use.
   */
  async #rescan(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    let isComplete = false;
    try {
      const leftNothing = await this.#rescanOnce();
      await this.waitVerified();
      isComplete = leftNothing;
    } finally {
      if (!isComplete) this.again();
    }
  }

  /** Returns whether nothing is left to do. */
  async #rescanOnce(): Promise<boolean> {
    const context = this.#context;
    const devices = await findDevices(context.reactor, context.effective.configuration, (number, attention) =>
      this.attended(number, attention),
    );
    await context.change(async () => {
      await removeGone(context, devices.present, devices.instances);
      await removeFiltered(context, context.effective);
    });
    const present = context.inventory.paths().filter((path) => path.found !== null || path.handle !== null);
    const found = await devices.ask(new Set(present.map((path) => path.number)));
    return context.change(async () => {
      const sizes = new Map(context.inventory.units().map((unit) => [unit, unit.facts.bytes]));
      const uncontested = heedUses(context.inventory, found);
      const { free, isAllThere } = await settle(uncontested, context.inventory, devices, this.#parts.expect);
      await removeContradicting(context, free.refusals);
      const { refused, problems } = await reconcile(context, free, context.effective);
      this.#readAgain(refused);
      this.#refuse(refused);
      for (const number of this.#nearlyFull) this.#parts.thin.toldBy(context.inventory.findPath(number));
      this.#nearlyFull.clear();
      this.#tellNothing(found.paths.length + found.refusals.length > 0 ? null : devices.disks);
      for (const problem of problems) this.#parts.logger.warning(problem);
      await this.#parts.leftovers?.check();
      this.#parts.cabling.check(context.inventory);
      context.offer();
      for (const [unit, bytes] of sizes) {
        if (bytes !== unit.facts.bytes) await context.attachments.resize(unit).catch((thrown) => this.#warn(thrown));
      }
      await this.#parts.serve();
      const isAlone = this.#parts.writers?.check(context.inventory) ?? true;
      const isAgreed = context.inventory.units().every((unit) => unit.dispute === null);
      if (!isAllThere) this.soon();
      return isAllThere && isAgreed && isAlone && refused.length === 0 && problems.length === 0;
    });
  }

  /** A command of control was told what the core will not hear any more. */
  attended(number: string, attention: Attention): void {
    if (attention === "unverified") this.#unverified(number);
    if (attention === "thin-threshold") this.#nearlyFull.add(number);
    else this.#parts.doubted?.(number, attention === "preempted");
  }

  /** A device may be another one now: it gets no I/O before the core has compared its identity. */
  #unverified(number: string): void {
    const { inventory, reactor } = this.#context;
    const handle = inventory.findPath(number)?.handle ?? null;
    if (handle === null) return;
    demand(reactor, [pathSet(handle, PATH_SET_UNVERIFIED, 1)], "checking who it is", number).catch((thrown) =>
      this.#warn(thrown),
    );
  }

  /** A device that could not be read just now is tried again sooner than one that cannot be taken. */
  #readAgain(refused: readonly Refused[]): void {
    const isDue = refused.some((device) => device.isForNow === true);
    if (isDue) this.soon(this.#readAgainMs);
    this.#readAgainMs = isDue ? Math.min(2 * this.#readAgainMs, AGAIN_MS) : READ_AGAIN_MS;
  }

  /** Records what is not taken; reports it once. */
  #refuse(refused: readonly Refused[]): void {
    const known = new Map(this.refused.map((device) => [`${device.number} ${device.reason}`, device]));
    this.refused = refused.map(({ device, number, reason, isForNow, says, unit, isInUse = false }) => {
      const before = known.get(`${number} ${reason}`);
      if (before !== undefined) return before;
      const kind = says ?? (isForNow === true ? "identity-unread" : "device-refused");
      const about = unit === undefined ? {} : { unit };
      this.#context.hub.say(kind, { ...about, path: number, detail: { device, reason } });
      return { device, number, reason, inUse: isInUse, sinceMs: Date.now() };
    });
  }

  /** @param disks how many disks there are when none was selected; null when some were */
  #tellNothing(disks: number | null): void {
    const before = this.nothing;
    this.nothing = disks === null ? null : whyNothingHere(this.#context.effective.configuration, disks);
    if (this.nothing === null || this.nothing === before) return;
    this.#context.hub.say("empty-filter", { detail: { reason: this.nothing } });
  }

  #warn(thrown: unknown): void {
    this.#parts.logger.warning(reasonOf(thrown));
  }
}
