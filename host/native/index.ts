// The one place that loads the native addon. Every room that needs the machine imports from here.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type * as Addon from "./addon.d.ts";

/** Thrown at import when no addon for this machine is there. */
export class NativeAddonMissing extends Error {
  readonly code = "ERR_NATIVE_ADDON_MISSING";
}

/** Thrown at import when the addon that is there cannot be loaded (another libc, a damaged file). */
export class NativeAddonUnusable extends Error {
  readonly code = "ERR_NATIVE_ADDON_UNUSABLE";
}

/** Platform, architecture and C library, as in the names of prebuilt addons: `linux-x64-gnu`. */
export function nativeTarget(): string {
  const report = process.report;
  // Without this the report lists the network interfaces, which can take long.
  Reflect.set(report, "excludeNetwork", true);
  const header: unknown = Reflect.get(report.getReport(), "header");
  const gnu = typeof header === "object" && header !== null && "glibcVersionRuntime" in header;
  return `${process.platform}-${process.arch}-${gnu ? "gnu" : "musl"}`;
}

/** Where the addon is: a prebuilt one beside this file, or the one that `npm run build` made. */
function locate(): string {
  const prebuilt = join(import.meta.dirname, "prebuilt");
  if (existsSync(prebuilt)) {
    const file = join(prebuilt, `pathmanager.${nativeTarget()}.node`);
    if (existsSync(file)) return file;
  }
  const built = join(import.meta.dirname, "..", "..", "build", "native", "pathmanager.node");
  if (existsSync(built)) return built;
  throw new NativeAddonMissing(
    `no native addon for ${nativeTarget()}: neither ${prebuilt} nor ${built} has one. ` +
      "Install Rust 1.88 or later (https://rustup.rs) and run `npm run build` in the package's folder.",
  );
}

function load(): typeof Addon {
  const file = locate();
  try {
    // A native addon has no types of its own; addon.d.ts is generated from its source, and a test compares them.
    return createRequire(import.meta.url)(file) as typeof Addon;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new NativeAddonUnusable(`${file} cannot be loaded (${reason}); run \`npm run build\` anew`, { cause });
  }
}

const addon = load();

export const Ring = addon.Ring;
export type Ring = Addon.Ring;
export const Media = addon.Media;
export type Media = Addon.Media;
export const UeventMonitor = addon.UeventMonitor;
export type UeventMonitor = Addon.UeventMonitor;
export const clockNs = addon.clockNs;
export const wake = addon.wake;
export const duplicate = addon.duplicate;
export const closeDescriptor = addon.closeDescriptor;
export const socketPair = addon.socketPair;
export const peerCredentials = addon.peerCredentials;
export const bindDatagram = addon.bindDatagram;
export const sendDatagram = addon.sendDatagram;
export const scsiCommand = addon.scsiCommand;
export const nbdAttach = addon.nbdAttach;
export const nbdReconfigure = addon.nbdReconfigure;
export const nbdDetach = addon.nbdDetach;
export const nbdStatus = addon.nbdStatus;
export type {
  NbdAttachOptions,
  NbdDevice,
  NbdReconfigureOptions,
  PeerCredentials,
  RingOptions,
  ScsiResult,
  Uevent,
} from "./addon.d.ts";
