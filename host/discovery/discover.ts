// From devices to paths: which devices are ours, who they say they are, and which of them lead to the same unit.

import { KERNEL_SOURCES } from "./exclusive.ts";
import { whyInUse, type InUseSources, type Obstacle } from "./in-use.ts";
import { askedIdentity, keptProbe } from "./kernel-pages.ts";
import { inQueue, type AdapterQueues } from "./adapter-queues.ts";
import { probe, probeDetails, probeGroups, type Probe, type Probed, type UnitDetails } from "./probe.ts";
import { isSelected, maySelect, type Selector } from "./select.ts";
import { sideBySide } from "./side-by-side.ts";
import { hostOf, type SgDevice } from "./sysfs.ts";
import type { PortNames } from "./port-names.ts";
import type { ScsiTransport } from "./transport.ts";
import { Uses } from "./uses.ts";

/** Devices that are dealt with at the same time where there are no queues. */
const AT_ONCE = 1024;
/** Who waits for a place in a queue gives up when nobody has left it for so many budgets. */
const PATIENCE_BUDGETS = 2;

const FOR_NOW = { isForNow: true } as const;

/** A place where a path may be: a SCSI generic device, or a port of the emulated array. */
export interface Candidate {
  readonly device: string;
  readonly number: string;
  /** Differs from that of a device that had the number before; null where devices never go. */
  readonly instance: string | null;
  readonly ports: PortNames;
  readonly blockDevice: string | null;
  /** major:minor of the block device, else of the SCSI generic device; null where there is neither. */
  readonly deviceNumber: string | null;
  /** As multipath.conf names it, like `scsi:fcp`; null where there is none. */
  readonly protocol: string | null;
  readonly initiatorPort: string | null;
  readonly transferBytesMax: number | null;
  readonly queueDepth: number | null;
  readonly commandsMax: number | null;
}

/** A candidate that answered. */
export interface FoundPath extends Candidate {
  readonly probe: Probe;
}

/** A candidate that is not taken. */
export interface Refusal {
  readonly device: string;
  readonly number: string;
  readonly reason: string;
  /** The device could not be read just now: it is worth asking again soon. */
  readonly isForNow?: true;
  /** It contradicts the unit whose identity it shows: no I/O may go to it, though it was a path before. */
  readonly isOther?: true;
}

/** A device that somebody else uses, with the units it may lead to: none of their paths can be taken beside him. */
export interface DeviceInUse extends Refusal {
  readonly identities: readonly string[];
  /** Whether the configuration names it. */
  readonly isNamed: boolean;
}

export interface Found {
  readonly paths: readonly FoundPath[];
  readonly refusals: readonly Refusal[];
  readonly inUse: readonly DeviceInUse[];
}

export interface DiscoveryOptions {
  readonly devices: "all" | readonly Selector[];
  readonly exclude: readonly Selector[];
  /** Time for all commands to one device together. */
  readonly budgetMs: number;
  readonly sources?: InUseSources;
  /** AdapterQueues for the commands, by host adapter, where each command blocks a thread. */
  readonly queues?: AdapterQueues;
  /** Path numbers that are ours already: their block devices are not checked for being in use again. */
  readonly ours?: ReadonlySet<string>;
}

/** Finds the paths among SCSI generic devices, as `listSgDevices` told them. */
export async function discoverDevices(
  transport: ScsiTransport,
  devices: readonly SgDevice[],
  options: DiscoveryOptions,
): Promise<Found> {
  const sources = options.sources ?? KERNEL_SOURCES;
  const uses = new Uses(sources);
  const named = devices.filter((device) => isNamed(device, options));
  const obstacles = await sideBySide(named, AT_ONCE, (device) => obstacleOf(device, options, sources, uses));
  const candidates = named.filter((_, index) => obstacles[index] === null);
  const refusals: Refusal[] = [];
  const busy: [SgDevice, string][] = [];
  for (const [index, device] of named.entries()) {
    const obstacle = obstacles[index] ?? null;
    if (obstacle === null) continue;
    refusals.push({ device: device.device, number: device.number, reason: obstacle.reason });
    if (obstacle.isUsed) busy.push([device, obstacle.reason]);
  }
  const found = await discover(transport, candidates, options);
  const inUse = await sideBySide(busy, AT_ONCE, ([device, reason]) =>
    whose(transport, device, reason, found.paths, options, sources),
  );
  const asked = new Set(named);
  const unnamed = devices.filter((device) => isDisk(device) && !asked.has(device));
  const others = await usedBesides(unnamed, found.paths, options, sources, uses);
  return { paths: found.paths, refusals: [...refusals, ...found.refusals], inUse: [...inUse, ...others] };
}

const isDisk = ({ type }: SgDevice): boolean => type === null || type === 0;

/** Whether the configuration may name a device, as far as one knows without its identity. */
function isNamed(device: SgDevice, options: DiscoveryOptions): boolean {
  return isDisk(device) && maySelect(options.devices, options.exclude, { ...device, identities: null });
}

async function obstacleOf(
  { number, blockDevice }: SgDevice,
  { ours, budgetMs }: DiscoveryOptions,
  sources: InUseSources,
  uses: Uses,
): Promise<Obstacle | null> {
  if (blockDevice === null || ours?.has(number) === true) return null;
  return whyInUse(number, blockDevice, budgetMs, sources, uses);
}

/** Who a device in use is: what it says now and what it once said to the kernel may differ, and both count. */
async function whose(
  transport: ScsiTransport,
  device: SgDevice,
  reason: string,
  paths: readonly FoundPath[],
  options: DiscoveryOptions,
  { sysfs }: InUseSources,
): Promise<DeviceInUse> {
  const talk = talker(transport, options);
  const [asked, kept] = await Promise.all([
    talk.with(device.number, (to) => askedIdentity(to, device.device, options.budgetMs)),
    keptProbe(device, sysfs),
  ]);
  const identities = [...new Set([...(asked === null ? [] : [asked]), ...mayLeadTo(kept, paths)])];
  return { device: device.device, number: device.number, reason, identities, isNamed: true };
}

/**
 * The units that a device may lead to, as far as the kernel remembers it. Where it has kept no page 0x83, that is every
 * unit with this serial number: rather one too many.
 */
function mayLeadTo(kept: Probe | null, paths: readonly FoundPath[]): string[] {
  if (kept === null) return [];
  const alike =
    kept.identity.type === "serial" ? paths.filter((path) => serialOf(path) === serialOf({ probe: kept })) : [];
  return [kept.identity.text, ...alike.map(({ probe: { identity } }) => identity.text)];
}

/** Devices that the configuration does not name and that are in use, as far as they lead to units of which it names others. */
async function usedBesides(
  devices: readonly SgDevice[],
  paths: readonly FoundPath[],
  options: DiscoveryOptions,
  sources: InUseSources,
  uses: Uses,
): Promise<DeviceInUse[]> {
  const wanted = new Set(paths.map((path) => path.probe.identity.text));
  if (wanted.size === 0) return [];
  const used = await sideBySide(devices, AT_ONCE, async (device): Promise<DeviceInUse | null> => {
    const kept = mayLeadTo(await keptProbe(device, sources.sysfs), paths);
    const identities = [...new Set(kept)].filter((identity) => wanted.has(identity));
    if (identities.length === 0) return null;
    const obstacle = await obstacleOf(device, options, sources, uses);
    if (obstacle === null || !obstacle.isUsed) return null;
    const { device: name, number } = device;
    return { device: name, number, reason: obstacle.reason, identities, isNamed: false };
  });
  return used.filter((device) => device !== null);
}

/** Asks candidates who they are and sorts out those that are not chosen or cannot be grouped safely. */
export async function discover(
  transport: ScsiTransport,
  candidates: readonly Candidate[],
  options: DiscoveryOptions,
): Promise<Found> {
  const talk = talker(transport, options);
  const answers = await sideBySide(candidates, talk.atOnce, ({ device, number }) =>
    talk.with(number, (to) => probe(to, device, options.budgetMs)),
  );
  const paths: FoundPath[] = [];
  const refusals: Refusal[] = [];
  for (const [index, candidate] of candidates.entries()) {
    const { device, number, blockDevice, protocol } = candidate;
    const answer: Probed = answers[index] ?? {
      ok: false,
      reason: `too many devices of host${hostOf(number)} answer nothing; it is looked at again`,
      isForNow: false,
    };
    if (!answer.ok) {
      refusals.push({ device, number, reason: answer.reason, ...(answer.isForNow ? FOR_NOW : {}) });
      continue;
    }
    const { vendor, product } = answer.value;
    const identities = identitiesOf(answer.value);
    const what = { device, number, blockDevice, protocol, vendor, product, identities };
    if (!isSelected(options.devices, options.exclude, what)) continue;
    paths.push({ ...candidate, probe: answer.value });
  }
  const found = separate(paths, refusals, options.ours ?? NONE);
  return { paths: await addDetails(talk, found.paths, options.budgetMs), refusals: found.refusals, inUse: [] };
}

/** The texts by which a configuration may name the unit of a device. */
export function identitiesOf({ identity, formerIdentity }: Probe): string[] {
  return formerIdentity === null ? [identity.text] : [identity.text, formerIdentity];
}

/** How devices are talked to: each in its queue, if there are queues. */
interface Talker {
  readonly atOnce: number;
  /** Answers null when the device's queue does not move. */
  with<T>(number: string, work: (transport: ScsiTransport) => Promise<T>): Promise<T | null>;
}

function talker(transport: ScsiTransport, { queues, budgetMs }: DiscoveryOptions): Talker {
  if (queues === undefined) return { atOnce: AT_ONCE, with: (_number, work) => work(transport) };
  return {
    // All of them: the queues decide who is next.
    atOnce: Infinity,
    with: (number, work) => inQueue(queues, number, PATIENCE_BUDGETS * budgetMs, transport, work),
  };
}

/** Paths of a unit that are asked for the details of the unit, until one answers. */
const SPEAKERS_MAX = 3;

/** Asks each unit once what it can do. */
async function addDetails(talk: Talker, paths: readonly FoundPath[], budgetMs: number): Promise<FoundPath[]> {
  const units = [...Map.groupBy(paths, (path) => path.probe.identity.text).values()];
  const detailed = await sideBySide(units, talk.atOnce, async (members): Promise<FoundPath[]> => {
    const speakers = members.filter((path) => path.probe.capacity !== null).slice(0, SPEAKERS_MAX);
    for (const speaker of speakers) {
      const told = await talk.with(speaker.number, (to) => probeDetails(to, speaker.device, speaker.probe, budgetMs));
      if (told === null) continue;
      const details = await withAllGroups(talk, told, members, budgetMs);
      return members.map((path) => Object.assign({}, path, { probe: ofUnit(path.probe, speaker.probe, details) }));
    }
    return members;
  });
  return detailed.flat();
}

/** A controller may tell of its own port group alone: groups that the speaker's answer lacks are asked for over their own paths. */
async function withAllGroups(
  talk: Talker,
  details: UnitDetails,
  members: readonly FoundPath[],
  budgetMs: number,
): Promise<UnitDetails> {
  const groups = new Map(details.groups.map((group) => [group.group, group]));
  const lacking = Map.groupBy(members, ({ probe: { alua } }) => alua?.group ?? null);
  for (const [number, paths] of lacking) {
    for (const { number: path, device } of paths.slice(0, SPEAKERS_MAX)) {
      if (number === null || groups.has(number)) break;
      const told = (await talk.with(path, (to) => probeGroups(to, device, budgetMs))) ?? [];
      for (const group of told) if (!groups.has(group.group)) groups.set(group.group, group);
    }
  }
  return groups.size === details.groups.length ? details : { ...details, groups: [...groups.values()] };
}

/** What a path says, with what it has in common with the unit's speaker kept once: there may be thousands of paths. */
function ofUnit(said: Probe, speaker: Probe, details: UnitDetails): Probe {
  const { vendor, product, identity } = speaker;
  return {
    ...said,
    vendor,
    product,
    identity,
    revision: said.revision === speaker.revision ? speaker.revision : said.revision,
    serial: said.serial === speaker.serial ? speaker.serial : said.serial,
    // A unit that grows may show its new size on one path earlier than on another.
    capacity: said.capacity?.blocks === speaker.capacity?.blocks ? speaker.capacity : said.capacity,
    details,
  };
}

const isBySerial = (path: FoundPath): boolean => path.probe.identity.type === "serial";
const serialOf = ({ probe: { vendor, product, serial } }: Pick<FoundPath, "probe">): string =>
  [vendor, product, serial].join("\n");

const NONE: ReadonlySet<string> = new Set();

/** Takes out paths that show the identity of a unit and yet cannot lead to it; what is ours already counts before others. */
function separate(
  found: readonly FoundPath[],
  refusals: readonly Refusal[],
  ours: ReadonlySet<string>,
): Pick<Found, "paths" | "refusals"> {
  const isOurs = ({ number }: FoundPath): boolean => ours.has(number);
  const paths = [...found.filter(isOurs), ...found.filter((path) => !isOurs(path))];
  const first = new Map<string, FoundPath>();
  const kept: FoundPath[] = [];
  const refused = [...refusals];
  const named = new Map(paths.flatMap((path) => (isBySerial(path) ? [] : [[serialOf(path), path] as const])));
  for (const path of paths) {
    const better = isBySerial(path) ? named.get(serialOf(path)) : undefined;
    if (better !== undefined) {
      const reason = `shows the serial number ${path.probe.serial} of ${better.number}, but not its VPD page 0x83; it is asked again soon`;
      refused.push({ device: path.device, number: path.number, reason, ...FOR_NOW });
      continue;
    }
    const other = first.get(path.probe.identity.text);
    // Nobody else has a designator of page 0x83, but two devices may have one serial number: their sizes tell them apart.
    const mayGrow = !isBySerial(path) || (other !== undefined && isOurs(other) && isOurs(path));
    const reason = other === undefined ? null : whyDifferent(other.probe, path.probe, mayGrow);
    if (reason === null) {
      kept.push(path);
      if (other === undefined || other.probe.capacity === null) first.set(path.probe.identity.text, path);
    } else {
      refused.push({
        device: path.device,
        number: path.number,
        reason: `shows the identity ${path.probe.identity.text} of ${other?.number}, but ${reason}`,
        isOther: true,
      });
    }
  }
  return { paths: kept, refusals: refused };
}

/**
 * Why two devices with one identity are not one unit, or null when nothing speaks against it.
 * @param mayGrow whether one of them may show a size that the other does not show yet
 */
export function whyDifferent(a: Probe, b: Probe, mayGrow: boolean): string | null {
  if (a.vendor !== b.vendor || a.product !== b.product) {
    return `is ${b.vendor} ${b.product}, not ${a.vendor} ${a.product}`;
  }
  // What is unique in the world decides: an array may number its controllers' pages 80, or repeat a number.
  if (!a.identity.isRegistered && a.serial !== null && b.serial !== null && a.serial !== b.serial) {
    return `has the serial number ${b.serial}, not ${a.serial}`;
  }
  if (a.capacity !== null && b.capacity !== null) {
    const sizes = [a.capacity, b.capacity].map(({ blocks, blockBytes }) => `${blocks} blocks of ${blockBytes} bytes`);
    const isGrowth = mayGrow && a.capacity.blockBytes === b.capacity.blockBytes;
    if (sizes[0] !== sizes[1] && !isGrowth) return `has ${sizes[1]}, not ${sizes[0]}`;
  }
  return null;
}
