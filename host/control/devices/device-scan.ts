// Scans the devices: the machine's SCSI generic devices, or the ports of the emulated array.

import { attentive, type Attention } from "../../discovery/attentions.ts";
import { discover, discoverDevices, type Candidate, type Found, type FoundPath } from "../../discovery/discover.ts";
import { emulatedCandidates, emulatedTransport } from "../../discovery/emulated.ts";
import { KERNEL_SOURCES } from "../../discovery/exclusive-open.ts";
import { KERNEL_QUEUES } from "../../discovery/adapter-queues.ts";
import { latecomers } from "../../discovery/latecomers.ts";
import { nativeTransport } from "../../discovery/native-transport.ts";
import { listPresentDevices } from "../../discovery/sysfs.ts";
import type { ReactorClient } from "../../reactor/reactor-client.ts";
import { isEmulated, type Configuration } from "../schemas/configuration-schema.ts";

/** Limit for all commands to one device together; a device that needs longer is rescanned later. */
const BUDGET_MS = 5000;
/** The emulated array answers as soon as this process runs: only the machine can be slow, never a device. */
const EMULATED_BUDGET_MS = 60_000;

/** Peripheral device type of a disk (SPC-4 6.6.2). */
const TYPE_DISK = 0;

/** A scan in two steps: listing what is there costs nothing, asking who it is takes as long as the devices take to answer. */
export interface Scan {
  /** Path numbers that exist. */
  readonly present: ReadonlySet<string>;
  /** How many of them are disks. */
  readonly disks: number;
  /** Tells a device from an earlier one with the same path number. */
  readonly instances: ReadonlyMap<string, string | null>;
  ask(ours: ReadonlySet<string>): Promise<Found>;
  /** The units to which devices lead that have come since they were listed. */
  latecomers(paths: readonly FoundPath[]): Promise<ReadonlySet<string>>;
}

const NOBODY: ReadonlySet<string> = new Set();

type OnAttention = (number: string, attention: Attention) => void;

function telling(
  devices: readonly { readonly device: string; readonly number: string }[],
  onAttention: OnAttention,
): (device: string, attention: Attention) => void {
  const numbers = new Map(devices.map(({ device, number }) => [device, number]));
  return (device, attention) => {
    const number = numbers.get(device);
    if (number !== undefined) onAttention(number, attention);
  };
}

function presence(candidates: readonly Candidate[]): Pick<Scan, "present" | "instances"> {
  return {
    present: new Set(candidates.map(({ number }) => number)),
    instances: new Map(candidates.map(({ number, instance }) => [number, instance])),
  };
}

/** @param onAttention called with the path number when a device reports a unit attention */
export async function findDevices(
  reactor: ReactorClient,
  configuration: Configuration,
  onAttention: OnAttention,
): Promise<Scan> {
  if (isEmulated(configuration)) {
    const candidates = await emulatedCandidates(reactor);
    const transport = attentive(emulatedTransport(reactor), telling(candidates, onAttention));
    const options = { devices: "all", exclude: configuration.exclude, budgetMs: EMULATED_BUDGET_MS } as const;
    return {
      ...presence(candidates),
      disks: candidates.length,
      ask: (ours) => discover(transport, candidates, { ...options, ours }),
      latecomers: () => Promise.resolve(NOBODY),
    };
  }
  const devices = listPresentDevices();
  return {
    ...presence(devices),
    disks: devices.filter((device) => device.type === TYPE_DISK).length,
    ask: (ours) =>
      discoverDevices(attentive(nativeTransport, telling(devices, onAttention)), devices, {
        devices: configuration.devices,
        exclude: configuration.exclude,
        budgetMs: BUDGET_MS,
        sources: KERNEL_SOURCES,
        queues: KERNEL_QUEUES,
        ours,
      }),
    latecomers: (paths) => latecomers(devices, listPresentDevices(), paths, KERNEL_SOURCES.sysfs),
  };
}
