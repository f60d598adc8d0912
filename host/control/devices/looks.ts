// Looks at the devices: when, one at a time, and what of it waits for another look. What a look changes is reconcile.ts.

import { PATH_SET_DOUBT } from "../../abi.ts";
import type { Context } from "./context.ts";
import { look } from "./devices.ts";
import { reasonOf } from "../ground/errors.ts";
import type { Leftovers } from "./leftovers.ts";
import type { Logger } from "../ground/logger.ts";
import { whyNothingHere } from "../settings/nothing-chosen.ts";
import { demand, pathSet } from "../core/reactor-port.ts";
import { reconcile, removeContradicting, removeGone, removeUnchosen } from "./reconcile.ts";
import type { RefusedDevice } from "../schemas/path.ts";
import type { ThinThreshold } from "../events/thin-threshold.ts";
import { heedUses, type Refused } from "./units-in-use.ts";
import { untilVerified } from "../core/verified.ts";
import type { WritersWatch } from "../events/writers-watch.ts";

/** A storm of uevents is one look. */
const DELAY_MS = 100;
/** Devices that did not answer, or could not be taken, are looked at again after this long. */
const AGAIN_MS = 30_000;
/** Devices that could not be read just now are looked at again after this long, then after twice as long each time. */
const READ_AGAIN_MS = 1000;
/** How long a look waits for paths that do not say who they are; the others are verified within milliseconds. */
const VERIFY_MS_MAX = 500;

export interface LookParts {
  readonly logger: Logger;
  /** Commands that an earlier daemon left behind; null where there can be none. */
  readonly leftovers: Leftovers | null;
  readonly thin: ThinThreshold;
  /** Null where no device is the machine's. */
  readonly writers: WritersWatch | null;
  /** Called within the change in which units may have come. */
  readonly serve: () => Promise<void>;
}

export class Looks {
  refused: readonly RefusedDevice[] = [];
  /** Why the last look found nothing to serve, when the configuration leaves nothing. */
  nothing: string | null = null;
  readonly #context: Context;
  readonly #parts: LookParts;
  #looking: Promise<void> | null = null;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer ends, in `performance.now()`. */
  #dueMs = 0;
  #readAgainMs = READ_AGAIN_MS;
  /** Path numbers of devices that have told of their thin threshold, which may be known as paths only after the look. */
  readonly #nearlyFull = new Set<string>();
  #isStopped = false;

  constructor(context: Context, parts: LookParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** One look at a time; a look that is asked for during one begins after it. */
  async now(): Promise<void> {
    if (this.#looking !== null) await this.#looking.catch(() => undefined);
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  /** Looks after a while, unless a look is due earlier. */
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

  /** Something could not be done: another look will find it again. */
  again(): void {
    this.soon(AGAIN_MS);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** Waits until the core has checked who answers on the paths, so that the first display and the first I/O find them. */
  async untilVerified(): Promise<void> {
    await untilVerified(this.#context.mirror, this.#context.inventory.paths(), VERIFY_MS_MAX);
  }

  /**
   * A look that does not succeed is not the last one: what was refused, and what waits to be written, is looked at again.
   * It is over when the core has checked who answers on what came, so that whoever asked for it finds the paths in use.
   */
  async #look(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    let isComplete = false;
    try {
      const leftNothing = await this.#lookOnce();
      await this.untilVerified();
      isComplete = leftNothing;
    } finally {
      if (!isComplete) this.again();
    }
  }

  /** Answers whether nothing is left to be done. */
  async #lookOnce(): Promise<boolean> {
    const context = this.#context;
    const devices = await look(context.reactor, context.effective.configuration, (number, attention) => {
      if (attention === "doubt") this.#doubt(number);
      else this.#nearlyFull.add(number);
    });
    await context.change(async () => {
      await removeGone(context, devices.present, devices.instances);
      await removeUnchosen(context, context.effective);
    });
    const present = context.inventory.paths().filter((path) => path.found !== null || path.handle !== null);
    const found = await devices.ask(new Set(present.map((path) => path.number)));
    return context.change(async () => {
      const sizes = new Map(context.inventory.units().map((unit) => [unit, unit.facts.bytes]));
      const free = heedUses(context.inventory, found);
      await removeContradicting(context, free.refusals);
      const { refused, problems } = await reconcile(context, free, context.effective);
      this.#readAgain(refused);
      this.#refuse(refused);
      for (const number of this.#nearlyFull) this.#parts.thin.toldBy(context.inventory.findPath(number));
      this.#nearlyFull.clear();
      this.#tellNothing(found.paths.length + found.refusals.length > 0 ? null : devices.disks);
      for (const problem of problems) this.#parts.logger.warning(problem);
      await this.#parts.leftovers?.look();
      context.offer();
      for (const [unit, bytes] of sizes) {
        if (bytes !== unit.facts.bytes) await context.attachments.resize(unit).catch((thrown) => this.#warn(thrown));
      }
      await this.#parts.serve();
      const isAlone = this.#parts.writers?.look(context.inventory) ?? true;
      const isAgreed = context.inventory.units().every((unit) => unit.dispute === null);
      return isAgreed && isAlone && refused.length === 0 && problems.length === 0;
    });
  }

  /** A device may be another one now: no I/O goes to it before the core has compared its identity. */
  #doubt(number: string): void {
    const { inventory, reactor } = this.#context;
    const handle = inventory.findPath(number)?.handle ?? null;
    if (handle === null) return;
    demand(reactor, [pathSet(handle, PATH_SET_DOUBT, 1)], "checking who it is", number).catch((thrown) =>
      this.#warn(thrown),
    );
  }

  /** A device that could not be read just now does not wait as long as one that cannot be taken. */
  #readAgain(refused: readonly Refused[]): void {
    const isDue = refused.some((device) => device.isForNow === true);
    if (isDue) this.soon(this.#readAgainMs);
    this.#readAgainMs = isDue ? Math.min(2 * this.#readAgainMs, AGAIN_MS) : READ_AGAIN_MS;
  }

  /** Remembers what is not taken; says it once. */
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

  /** @param disks how many there are of which none was chosen; null when some were */
  #tellNothing(disks: number | null): void {
    const before = this.nothing;
    this.nothing = disks === null ? null : whyNothingHere(this.#context.effective.configuration, disks);
    if (this.nothing === null || this.nothing === before) return;
    this.#context.hub.say("nothing-chosen", { detail: { reason: this.nothing } });
  }

  #warn(thrown: unknown): void {
    this.#parts.logger.warning(reasonOf(thrown));
  }
}
