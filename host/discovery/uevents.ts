// Kernel object events: which of them mean that the devices have to be looked at again.

/** A uevent, as the native monitor gives it. */
export interface KernelEvent {
  /** "add", "remove", "change", ...; "overflow" when the kernel had to drop some. */
  readonly action: string;
  readonly subsystem: string;
  /** Path below /sys. */
  readonly devpath: string;
  readonly properties: Readonly<Record<string, string>>;
}

/** The kernel's name for the unit attention 38/07 (scsi_lib.c); what the device is, it stays. */
const THIN_THRESHOLD = "THIN_PROVISIONING_SOFT_THRESHOLD_REACHED";

/**
 * The path number of a device whose array runs out of room for it, null where the event says nothing of that. The kernel tells
 * so whoever's command has met the attention, and its own commands take it from ours.
 */
export function thinThresholdOf({ action, subsystem, devpath, properties }: KernelEvent): string | null {
  const isTold = properties["SDEV_UA"] === THIN_THRESHOLD;
  if (!isTold || subsystem !== "scsi" || action !== "change") return null;
  return devpath.slice(devpath.lastIndexOf("/") + 1);
}

/**
 * Why the devices have to be looked at again, or null when the event is not for us. SDEV_UA is the kernel's name for a
 * unit attention it saw (scsi_lib.c): a capacity, an inquiry, an inventory or an access state that changed. A disk that changes
 * has another size, say after a rescan, which asks without any unit attention.
 */
export function whyRescan({ action, subsystem, devpath, properties }: KernelEvent): string | null {
  if (action === "overflow") return "the kernel dropped uevents";
  const device = devpath.slice(devpath.lastIndexOf("/") + 1);
  if (subsystem === "scsi_generic" && (action === "add" || action === "remove")) return `${device}: ${action}`;
  if (subsystem === "block" && action === "add" && /^sd[a-z]+$/.test(device)) return `${device}: ${action}`;
  // udev lets each close after a write look like a change; those it makes are marked (kobject_uevent.c).
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
