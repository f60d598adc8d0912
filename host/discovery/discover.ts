// Turns devices into paths: which devices are ours, what their identities are, and which of them lead to the same unit.

import { KERNEL_SOURCES } from "./exclusive-open.ts";
import { whyInUse, type InUseSources, type Obstacle } from "./in-use.ts";
import { askedIdentity, keptProbe } from "./kernel-pages.ts";
import { inQueue, type AdapterQueues } from "./adapter-queues.ts";
import { probe, probeDetails, probeGroups, type Probe, type Probed, type UnitDetails } from "./probe.ts";
import { isSelected, maySelect, type Selector } from "./select.ts";
import { sideBySide } from "./side-by-side.ts";
import { ownTargets } from "./own-targets.ts";
import { hostOf, type SgDevice } from "./sysfs.ts";
import type { PortNames } from "./port-names.ts";
import type { ScsiTransport } from "./transport.ts";
import { Uses } from "./uses.ts";
import { counted } from "../wording.ts";

/** Most devices handled at the same time where there are no queues. */
const AT_ONCE = 1024;
/** A device waiting for a place in a queue gives up when nobody has left the queue for this many budgets. */
const PATIENCE_BUDGETS = 2;

const FOR_NOW = { isForNow: true } as const;

/** A possible path: a SCSI generic device, or a port of the emulated array. */
export interface Candidate {
  readonly device: string;
  readonly number: string;
  /** Differs from that of an earlier device with the same number; null where devices never go. */
  readonly instance: string | null;
  readonly ports: PortNames;
  readonly blockDevice: string | null;
  /** major:minor of the block device, else of the SCSI generic device; null where there is neither. */
  readonly deviceNumber: string | null;
  /** Its name in multipath.conf, like `scsi:fcp`; null where there is none. */
  readonly protocol: string | null;
  readonly initiatorPort: string | null;
  /** PCI slot of the host adapter, where it has one. */
  readonly adapter?: string | null;
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
  /** The device could not be read just now: worth trying again soon. */
  readonly isForNow?: true;
  /** It contradicts the unit whose identity it reports: it must get no I/O, even if it was a path before. */
  readonly isOther?: true;
}

/** A device that others use, with the units it may lead to: none of their paths can be taken. */
export interface DeviceInUse extends Refusal {
  readonly identities: readonly string[];
  /** Whether the configuration selects it. */
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
  /** Path numbers that are ours already: their block devices are not checked for other users again. */
  readonly ours?: ReadonlySet<string>;
}

/** Finds the paths among the SCSI generic devices that `listSgDevices` returned. */
export async function discoverDevices(
  transport: ScsiTransport,
  all: readonly SgDevice[],
  options: DiscoveryOptions,
): Promise<Found> {
  const sources = options.sources ?? KERNEL_SOURCES;
  const uses = new Uses(sources);
  // They show the units' own identities, and whoever uses them uses the units as is intended: they are neither paths nor obstacles.
  const own = ownTargets(sources.sysfs);
  const devices = all.filter(({ number }) => !own.has(number));
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

/** Whether the configuration may select a device, as far as is known without its identity. */
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

/** The identity of a device in use: what it reports now and what it once told the kernel may differ, and both count. */
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
 * The units a device may lead to, as far as the kernel remembers. If the kernel has kept no page 0x83, those are all units with
 * this serial number: better one too many.
 */
export function mayLeadTo(kept: Probe | null, paths: readonly FoundPath[]): string[] {
  if (kept === null) return [];
  const alike =
    kept.identity.type === "serial" ? paths.filter((path) => serialOf(path) === serialOf({ probe: kept })) : [];
  return [kept.identity.text, ...alike.map(({ probe: { identity } }) => identity.text)];
}

/** Devices in use that the configuration does not select, if they lead to units of which it selects other devices. */
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

/** Identifies candidates, and rejects those that are not selected or cannot be grouped safely. */
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

/** How devices are reached: each in its queue, if there are queues. */
interface Talker {
  readonly atOnce: number;
  /** Returns null when the device's queue is stuck. */
  with<T>(number: string, work: (transport: ScsiTransport) => Promise<T>): Promise<T | null>;
}

function talker(transport: ScsiTransport, { queues, budgetMs }: DiscoveryOptions): Talker {
  if (queues === undefined) return { atOnce: AT_ONCE, with: (_number, work) => work(transport) };
  return {
    // All of them: the queues decide the order.
    atOnce: Infinity,
    with: (number, work) => inQueue(queues, number, PATIENCE_BUDGETS * budgetMs, transport, work),
  };
}

/** Paths of a unit that are asked for the unit's details, until one answers. */
const SPEAKERS_MAX = 3;

/** Asks each unit once for its capabilities. */
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

/**
 * A controller may report its own port group alone: groups missing from the speaker's answer are asked for over their own paths.
 */
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

/** A path's report, sharing what it has in common with the unit's speaker: there may be thousands of paths. */
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

/** Removes paths that report the identity of a unit but cannot lead to it; paths that are ours already take precedence. */
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
    // A page 0x83 designator is unique, but two devices may share a serial number: their sizes tell them apart.
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
 * Why two devices with one identity are not one unit, or null when nothing contradicts it.
 * @param mayGrow whether one of them may show a size that the other does not show yet
 */
function whyDifferent(a: Probe, b: Probe, mayGrow: boolean): string | null {
  if (a.vendor !== b.vendor || a.product !== b.product) {
    return `is ${b.vendor} ${b.product}, not ${a.vendor} ${a.product}`;
  }
  // A worldwide unique identity decides: an array may number its controllers' pages 80, or repeat a number.
  if (!a.identity.isRegistered && a.serial !== null && b.serial !== null && a.serial !== b.serial) {
    return `has the serial number ${b.serial}, not ${a.serial}`;
  }
  if (a.capacity !== null && b.capacity !== null) {
    const sizes = [a.capacity, b.capacity].map(
      ({ blocks, blockBytes }) => `${counted(blocks, "block")} of ${counted(blockBytes, "byte")}`,
    );
    const isGrowth = mayGrow && a.capacity.blockBytes === b.capacity.blockBytes;
    if (sizes[0] !== sizes[1] && !isGrowth) return `has ${sizes[1]}, not ${sizes[0]}`;
  }
  return null;
}
