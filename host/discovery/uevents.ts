// Kernel object events: which of them require a rescan.

/** A uevent from the native monitor. */
export interface KernelEvent {
  /** "add", "remove", "change", ...; "overflow" when the kernel had to drop some. */
  readonly action: string;
  readonly subsystem: string;
  /** Path below /sys. */
  readonly devpath: string;
  readonly properties: Readonly<Record<string, string>>;
}

/** The kernel's name for the unit attention 38/07 (scsi_lib.c); the device's identity does not change. */
const THIN_THRESHOLD = "THIN_PROVISIONING_SOFT_THRESHOLD_REACHED";

/**
 * The path number of a device whose array runs out of room for it, null when the event is about something else. The kernel
 * reports this whoever's command received the attention, and its own commands consume ours.
 */
export function thinThresholdOf({ action, subsystem, devpath, properties }: KernelEvent): string | null {
  const isTold = properties["SDEV_UA"] === THIN_THRESHOLD;
  if (!isTold || subsystem !== "scsi" || action !== "change") return null;
  return devpath.slice(devpath.lastIndexOf("/") + 1);
}

/**
 * Why a rescan is needed, or null when the event does not concern us. SDEV_UA is the kernel's name for a unit attention it saw
 * (scsi_lib.c): a changed capacity, inquiry, inventory or access state. A changed disk has another size, perhaps after a rescan,
 * which asks without any unit attention.
 */
export function whyRescan({ action, subsystem, devpath, properties }: KernelEvent): string | null {
  if (action === "overflow") return "the kernel dropped uevents";
  const device = devpath.slice(devpath.lastIndexOf("/") + 1);
  if (subsystem === "scsi_generic" && (action === "add" || action === "remove")) return `${device}: ${action}`;
  if (subsystem === "block" && action === "add" && /^sd[a-z]+$/.test(device)) return `${device}: ${action}`;
  // udev makes each close after a write look like a change; the changes it makes itself are marked (kobject_uevent.c).
  const isKernels = properties["SYNTH_UUID"] === undefined;
  if (subsystem === "block" && action === "change" && isKernels && /^sd[a-z]+$/.test(device)) {
    return `${device}: ${action}`;
  }
  const attention = properties["SDEV_UA"];
  if (subsystem === "scsi" && action === "change" && attention !== undefined && attention !== THIN_THRESHOLD) {
    return `${device}: ${attention}`;
  }
  return null;
}
