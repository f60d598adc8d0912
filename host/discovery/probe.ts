// Asks one device for its identity and capabilities. Many devices are asked at once, each with its own time limit, so that one
// that hangs holds up nobody.

import { big, hexByte } from "./bytes.ts";
import { BRIEF, Conversation, FIRM, PATIENT, type Answer } from "./conversation.ts";
import { parseIdentification, type Identification } from "./designators.ts";
import { formerBySerial } from "./former.ts";
import { readable, serialIdentity, serialNumber, type UnitIdentity } from "./canonical-identity.ts";
import {
  parseSerial,
  parseStandardInquiry,
  parseSupportedPages,
  whyNoDisk,
  type StandardInquiry,
} from "./inquiry-data.ts";
import {
  parseBlockLimits,
  parseCaching,
  parseCapacity,
  parseProvisioning,
  parseRotation,
  parseShortCapacity,
  parseTargetPortGroups,
  type BlockLimits,
  type Caching,
  type Capacity,
  type Provisioning,
  type TargetPortGroup,
} from "./limits.ts";
import { bounded, parsed, type Parsed, type ScsiTransport } from "./transport.ts";

/** Capabilities of the logical unit. Read over one path; all paths of a unit share the object. */
export interface UnitDetails {
  readonly limits: BlockLimits | null;
  readonly rotation: number | null;
  readonly provisioning: Provisioning | null;
  readonly caching: Caching | null;
  /** What the paths report about target port groups. Empty when the device has none; a group that no path reports is missing. */
  readonly groups: readonly TargetPortGroup[];
}

/** What a device reports about itself on one path. */
export interface Probe {
  readonly vendor: string;
  readonly product: string;
  readonly revision: string;
  readonly serial: string | null;
  readonly identity: UnitIdentity;
  /** The identity by which an earlier version knew the unit, if its text differed. */
  readonly formerIdentity: string | null;
  /** Null when the device could not report it, as in ALUA state standby; another path may. */
  readonly capacity: Capacity | null;
  /** Null when no path of the unit could report it. */
  readonly details: UnitDetails | null;
  /** Target port group of this path; null when the device has none. */
  readonly alua: { readonly explicit: boolean; readonly group: number | null } | null;
  readonly targetPort: string | null;
  readonly relativeTargetPort: number | null;
  /** VPD pages the device has. */
  readonly pages: ReadonlySet<number>;
  /** What made no sense and was ignored. */
  readonly problems: readonly string[];
}

const ANSWER_BYTES = 252;
const GROUPS_BYTES = 4096;

const inquiry = (page: number | null, bytes = ANSWER_BYTES): Uint8Array =>
  Uint8Array.of(0x12, page === null ? 0 : 1, page ?? 0, bytes >> 8, bytes & 0xff, 0);
const STANDARD = inquiry(null);
/** The usual ones are created once: thousands of paths share them. */
const PAGES = new Map([0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2].map((page) => [page, inquiry(page)]));
const NO_PROBLEMS: readonly string[] = [];
const CAPACITY = Uint8Array.of(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0);
const SHORT_CAPACITY = Uint8Array.of(0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
const CACHING = Uint8Array.of(0x1a, 0x08, 0x08, 0, ANSWER_BYTES, 0);
const GROUPS = Uint8Array.of(0xa3, 0x0a, 0, 0, 0, 0, 0, 0, GROUPS_BYTES >> 8, GROUPS_BYTES & 0xff, 0, 0);

/** The outcome of identifying a device: its report, or why it cannot be a path, for now or until something changes. */
export type Probed =
  | { readonly ok: true; readonly value: Probe }
  | { readonly ok: false; readonly reason: string; readonly isForNow: boolean };

const refused = (reason: string): Probed => ({ ok: false, reason, isForNow: false });
const notNow = (reason: string): Probed => ({
  ok: false,
  reason: `who it is cannot be read now (${reason}); it is asked again soon`,
  isForNow: true,
});

/**
 * Asks a device for its identity.
 * @param budgetMs time for all commands together
 * @returns its report, or the reason why it cannot be a path; never rejects
 */
export async function probe(transport: ScsiTransport, device: string, budgetMs: number): Promise<Probed> {
  try {
    const talk = new Conversation(transport, device, budgetMs);
    return await bounded(identify(talk), budgetMs, () => talk.asking);
  } catch (thrown) {
    return refused(thrown instanceof Error ? thrown.message : String(thrown));
  }
}

/** Standard INQUIRY data, or why the device is none of ours and need not be asked again. */
function parseDisk(data: Uint8Array): Parsed<StandardInquiry | string> {
  const why = whyNoDisk(data);
  return why === null ? parseStandardInquiry(data) : parsed(why);
}

/** What the pages say about the unit. */
interface Named {
  readonly identification: Identification | null;
  readonly serial: string | null;
  readonly identity: UnitIdentity;
  readonly formerIdentity: string | null;
}

async function identify(talk: Conversation): Promise<Probed> {
  const standard = await talk.ask("INQUIRY", STANDARD, ANSWER_BYTES, parseDisk);
  if (standard.kind === "lacks") return refused(standard.reason);
  if (standard.kind === "not-now") return notNow(standard.reason);
  if (typeof standard.value === "string") return refused(standard.value);
  const { vendor, product, revision, targetPortGroupSupport } = standard.value;
  const supported = await askPage(talk, 0x00, parseSupportedPages);
  if (supported.kind === "not-now") return notNow(supported.reason);
  const pages = shared(talk.orNull(supported) ?? new Set<number>());
  const named = await whoIs(talk, pages, standard.value);
  if ("ok" in named) return named;
  const { identification, identity, formerIdentity, serial } = named;
  const explicit = (targetPortGroupSupport & 2) !== 0;
  const targetPort = identification?.targetPort ?? null;
  return {
    ok: true,
    value: {
      vendor,
      product,
      revision,
      serial,
      identity,
      formerIdentity,
      capacity: await askCapacity(talk),
      details: null,
      alua: targetPortGroupSupport === 0 ? null : { explicit, group: identification?.targetPortGroup ?? null },
      targetPort: targetPort === null ? null : sharedText(targetPort),
      relativeTargetPort: identification?.relativeTargetPort ?? null,
      pages,
      problems: talk.problems.length === 0 ? NO_PROBLEMS : talk.problems,
    },
  };
}

/** Page 83 identifies the unit; page 80 does when page 83 does not name it, never when it could not be read. */
async function whoIs(
  talk: Conversation,
  pages: ReadonlySet<number>,
  standard: StandardInquiry,
): Promise<Named | Probed> {
  const named = pages.has(0x83) ? await askPage(talk, 0x83, parseIdentification) : null;
  if (named?.kind === "not-now") return notNow(named.reason);
  const identification = named === null ? null : talk.orNull(named);
  talk.problems.push(...(identification?.problems ?? []));
  const numbered = pages.has(0x80) ? await askPage(talk, 0x80, parseSerial) : null;
  const byPage83 = identification?.identity ?? null;
  if (numbered?.kind === "not-now" && byPage83 === null) return notNow(numbered.reason);
  const payload = numbered === null ? null : talk.orNull(numbered);
  const number = payload === null ? null : serialNumber(payload);
  const identity =
    byPage83 ?? (number === null ? null : serialIdentity(standard.vendorBytes, standard.productBytes, number));
  const former =
    identification?.former ?? (payload === null ? null : formerBySerial(standard.vendor, standard.product, payload));
  if (identity !== null) {
    const serial = number === null ? null : readable(number);
    return { identification, serial, identity, formerIdentity: former === identity.text ? null : former };
  }
  return refused(`nothing identifies it: ${talk.problems.join("; ") || "no VPD page 0x83 or 0x80"}`);
}

/** Devices older than SBC-2 support READ CAPACITY(10) only. */
async function askCapacity(talk: Conversation): Promise<Capacity | null> {
  const answer = await talk.ask("READ CAPACITY(16)", CAPACITY, 32, parseCapacity, FIRM);
  if (answer.kind !== "lacks") return talk.orNull(answer);
  return talk.askOptional("READ CAPACITY(10)", SHORT_CAPACITY, 8, parseShortCapacity);
}

const texts = new Map<string, string>();

/** Thousands of paths use a few ports. */
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

/** Asks a unit for its capabilities over one of its paths. Null when it does not answer. */
export async function probeDetails(
  transport: ScsiTransport,
  device: string,
  { pages, alua }: Probe,
  budgetMs: number,
): Promise<UnitDetails | null> {
  const talk = new Conversation(transport, device, budgetMs);
  const page = async <T>(number: number, parse: (data: Uint8Array) => Parsed<T>): Promise<T | null> =>
    pages.has(number) ? talk.orNull(await askPage(talk, number, parse, BRIEF)) : null;
  const ask = async (): Promise<UnitDetails> => ({
    limits: await page(0xb0, parseBlockLimits),
    rotation: await page(0xb1, parseRotation),
    provisioning: await page(0xb2, parseProvisioning),
    groups: alua === null ? [] : ((await askGroups(talk)) ?? []),
    // Last, so that no later command of this conversation consumes the attention that reports its change.
    caching: await talk.askOptional("MODE SENSE(6)", CACHING, ANSWER_BYTES, parseCaching),
  });
  try {
    return await bounded(ask(), budgetMs, () => talk.asking);
  } catch {
    return null;
  }
}

/** Asks for the states of target port groups over one path, which may know its own group alone. Empty when it does not answer. */
export async function probeGroups(
  transport: ScsiTransport,
  device: string,
  budgetMs: number,
): Promise<readonly TargetPortGroup[]> {
  const talk = new Conversation(transport, device, budgetMs);
  try {
    return (await bounded(askGroups(talk), budgetMs, () => talk.asking)) ?? [];
  } catch {
    return [];
  }
}

const askGroups = (talk: Conversation): Promise<TargetPortGroup[] | null> =>
  talk.askOptional("REPORT TARGET PORT GROUPS", GROUPS, GROUPS_BYTES, parseTargetPortGroups);

/** The page is longer than the requested length. */
const LONGER = Symbol("longer");

/** Requests a short answer first, as old devices refuse long ones, and repeats the request if the page turns out longer. */
async function askPage<T>(
  talk: Conversation,
  number: number,
  parse: (data: Uint8Array) => Parsed<T>,
  patience = PATIENT,
): Promise<Answer<T>> {
  const what = `VPD page 0x${hexByte(number)}`;
  let bytes = 0;
  const measure = (data: Uint8Array): Parsed<T | typeof LONGER> => {
    bytes = data.length === ANSWER_BYTES && data[1] === number ? 4 + big(data, 2, 2) : 0;
    return bytes > ANSWER_BYTES ? parsed(LONGER) : parse(data);
  };
  const short = await talk.ask(what, PAGES.get(number) ?? inquiry(number), ANSWER_BYTES, measure, patience);
  if (short.kind !== "said") return short;
  if (short.value === LONGER) return talk.ask(what, inquiry(number, bytes), bytes, parse, patience);
  return { kind: "said", value: short.value };
}
