// Asks one device who it is and what it can do. Many devices are asked at once, each within its own time, so that one
// that hangs holds up nobody.

import { senseOf, UNIT_ATTENTION } from "./attentions.ts";
import { big, hex } from "./bytes.ts";
import { parseIdentification, serialIdentity, type UnitIdentity } from "./designators.ts";
import { parseSerial, parseStandardInquiry, parseSupportedPages } from "./inquiry.ts";
import {
  parseBlockLimits,
  parseCaching,
  parseCapacity,
  parseProvisioning,
  parseRotation,
  parseTargetPortGroups,
  type BlockLimits,
  type Caching,
  type Capacity,
  type Provisioning,
  type TargetPortGroup,
} from "./limits.ts";
import { bounded, nonsense, type Parsed, type ScsiResult, type ScsiTransport } from "./transport.ts";

/** What the logical unit can do. Asked on one path, and the same object for all paths of a unit. */
export interface UnitDetails {
  readonly limits: BlockLimits | null;
  readonly rotation: number | null;
  readonly provisioning: Provisioning | null;
  readonly caching: Caching | null;
  /** Empty when the device has no target port groups, or did not tell them. */
  readonly groups: readonly TargetPortGroup[];
}

/** What a device says of itself on one path. */
export interface Probe {
  readonly vendor: string;
  readonly product: string;
  readonly revision: string;
  readonly serial: string | null;
  readonly identity: UnitIdentity;
  /** Null when the device could not tell, as in the ALUA state standby; another path may know. */
  readonly capacity: Capacity | null;
  /** Null when no path of the unit could tell. */
  readonly details: UnitDetails | null;
  /** Target port group of this path; null when the device has none. */
  readonly alua: { readonly explicit: boolean; readonly group: number | null } | null;
  readonly targetPort: string | null;
  readonly relativeTargetPort: number | null;
  /** VPD pages the device has. */
  readonly pages: ReadonlySet<number>;
  /** What made no sense and was left out. */
  readonly doubts: readonly string[];
}

const ANSWER_BYTES = 252;
const GROUPS_BYTES = 4096;
/** Unit attentions come one at a time; a reset and a change of inventory leave several. */
const ATTENTIONS_MAX = 8;

const inquiry = (page: number | null, bytes = ANSWER_BYTES): Uint8Array =>
  Uint8Array.of(0x12, page === null ? 0 : 1, page ?? 0, bytes >> 8, bytes & 0xff, 0);
const STANDARD = inquiry(null);
/** The usual ones are made once: thousands of paths are asked for them. */
const PAGES = new Map([0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2].map((page) => [page, inquiry(page)]));
const NO_DOUBTS: readonly string[] = [];
const CAPACITY = Uint8Array.of(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0);
const CACHING = Uint8Array.of(0x1a, 0x08, 0x08, 0, ANSWER_BYTES, 0);
const GROUPS = Uint8Array.of(0xa3, 0x0a, 0, 0, 0, 0, 0, 0, GROUPS_BYTES >> 8, GROUPS_BYTES & 0xff, 0, 0);

/** The commands of one probe, in sequence, sharing one deadline. */
class Conversation {
  readonly #transport: ScsiTransport;
  readonly #device: string;
  readonly #deadlineMs: number;
  readonly doubts: string[] = [];
  /** The command that is waited for. */
  asking = "";

  constructor(transport: ScsiTransport, device: string, budgetMs: number) {
    this.#transport = transport;
    this.#device = device;
    this.#deadlineMs = performance.now() + budgetMs;
  }

  /** Sends a command, again after a unit attention, and gives its data to `parse`. Throws when nothing answers. */
  async ask<T>(
    what: string,
    cdb: Uint8Array,
    bytes: number,
    parse: (data: Uint8Array) => Parsed<T>,
  ): Promise<Parsed<T>> {
    for (let attempt = 0; attempt < ATTENTIONS_MAX; attempt++) {
      const leftMs = Math.ceil(this.#deadlineMs - performance.now());
      if (leftMs <= 0) throw new Error(`${what}: no time left, the device answers too slowly`);
      this.asking = what;
      const result = await this.#transport.command(this.#device, cdb, bytes, leftMs);
      if (result.hostStatus !== 0) throw new Error(`${what}: host status 0x${result.hostStatus.toString(16)}`);
      if (result.status === 0) return parse(result.data);
      if (senseOf(result).key !== UNIT_ATTENTION) return nonsense(`${what}: ${outcome(result)}`);
    }
    return nonsense(`${what}: one unit attention after the other`);
  }

  /** The same for what a device may lack: null, with a doubt when what came made no sense. */
  async askOptional<T>(what: string, cdb: Uint8Array, bytes: number, parse: (data: Uint8Array) => Parsed<T>) {
    const answer = await this.ask(what, cdb, bytes, parse);
    if (answer.ok) return answer.value;
    this.doubts.push(answer.reason);
    return null;
  }
}

function outcome(result: ScsiResult): string {
  if (result.status !== 2) return `status 0x${result.status.toString(16).padStart(2, "0")}`;
  const { key, asc, ascq } = senseOf(result);
  return `sense ${key.toString(16)}/${hex(Uint8Array.of(asc))}/${hex(Uint8Array.of(ascq))}`;
}

/**
 * Asks a device who it is.
 * @param budgetMs time for all commands together
 * @returns what it said, or the reason why it cannot be a path; never rejects
 */
export async function probe(transport: ScsiTransport, device: string, budgetMs: number): Promise<Parsed<Probe>> {
  try {
    const talk = new Conversation(transport, device, budgetMs);
    return await bounded(identify(talk), budgetMs, () => talk.asking);
  } catch (thrown) {
    return nonsense(thrown instanceof Error ? thrown.message : String(thrown));
  }
}

async function identify(talk: Conversation): Promise<Parsed<Probe>> {
  const standard = await talk.ask("INQUIRY", STANDARD, ANSWER_BYTES, parseStandardInquiry);
  if (!standard.ok) return standard;
  const { vendor, product, revision, targetPortGroupSupport } = standard.value;
  const supported = await askPage(talk, 0x00, parseSupportedPages);
  const pages = shared(supported ?? new Set<number>());
  const identification = pages.has(0x83) ? await askPage(talk, 0x83, parseIdentification) : null;
  talk.doubts.push(...(identification?.doubts ?? []));
  const serial = pages.has(0x80) ? await askPage(talk, 0x80, parseSerial) : null;
  const identity = identification?.identity ?? (serial === null ? null : serialIdentity(vendor, product, serial));
  if (identity === null)
    return nonsense(`nothing identifies it: ${talk.doubts.join("; ") || "no VPD page 0x83 or 0x80"}`);
  const explicit = (targetPortGroupSupport & 2) !== 0;
  const targetPort = identification?.targetPort ?? null;
  return {
    ok: true,
    value: {
      vendor,
      product,
      revision,
      serial,
      identity: { ...identity, bytes: identity.bytes.slice() },
      capacity: await talk.askOptional("READ CAPACITY(16)", CAPACITY, 32, parseCapacity),
      details: null,
      alua: targetPortGroupSupport === 0 ? null : { explicit, group: identification?.targetPortGroup ?? null },
      targetPort: targetPort === null ? null : sharedText(targetPort),
      relativeTargetPort: identification?.relativeTargetPort ?? null,
      pages,
      doubts: talk.doubts.length === 0 ? NO_DOUBTS : talk.doubts,
    },
  };
}

const texts = new Map<string, string>();

/** Thousands of paths lead over a few ports. */
function sharedText(text: string): string {
  const known = texts.get(text);
  if (known === undefined) texts.set(text, text);
  return known ?? text;
}

const pageSets = new Map<string, ReadonlySet<number>>();

/** Thousands of paths have the same few sets of pages. */
function shared(pages: ReadonlySet<number>): ReadonlySet<number> {
  const key = [...pages].join(" ");
  const known = pageSets.get(key) ?? pages;
  pageSets.set(key, known);
  return known;
}

/** Asks a unit, over one of its paths, what it can do. Null when it does not answer. */
export async function probeDetails(
  transport: ScsiTransport,
  device: string,
  { pages, alua }: Probe,
  budgetMs: number,
): Promise<UnitDetails | null> {
  const talk = new Conversation(transport, device, budgetMs);
  const page = <T>(number: number, parse: (data: Uint8Array) => Parsed<T>): Promise<T | null> =>
    pages.has(number) ? askPage(talk, number, parse) : Promise.resolve(null);
  const ask = async (): Promise<UnitDetails> => ({
    limits: await page(0xb0, parseBlockLimits),
    rotation: await page(0xb1, parseRotation),
    provisioning: await page(0xb2, parseProvisioning),
    groups:
      alua === null
        ? []
        : ((await talk.askOptional("REPORT TARGET PORT GROUPS", GROUPS, GROUPS_BYTES, parseTargetPortGroups)) ?? []),
    // Last, so that no later command of this conversation takes the attention that says that it has changed.
    caching: await talk.askOptional("MODE SENSE(6)", CACHING, ANSWER_BYTES, parseCaching),
  });
  try {
    return await bounded(ask(), budgetMs, () => talk.asking);
  } catch {
    return null;
  }
}

/** Asks for a short answer first, as old devices refuse long ones, and again when the page says that it is longer. */
async function askPage<T>(talk: Conversation, number: number, parse: (data: Uint8Array) => Parsed<T>) {
  const what = `VPD page 0x${number.toString(16)}`;
  let bytes = ANSWER_BYTES;
  const measure = (data: Uint8Array): Parsed<T> => {
    if (data.length === ANSWER_BYTES) bytes = Math.max(bytes, 4 + big(data, 2, 2));
    return parse(data);
  };
  const short = await talk.ask(what, PAGES.get(number) ?? inquiry(number), ANSWER_BYTES, measure);
  if (bytes > ANSWER_BYTES) return talk.askOptional(what, inquiry(number, bytes), bytes, parse);
  if (short.ok) return short.value;
  talk.doubts.push(short.reason);
  return null;
}
