// Kernel object events (netlink): what came, went or changed among SCSI devices.

/** One uevent that matters here. */
export interface Uevent {
  readonly action: "add" | "remove" | "change";
  readonly subsystem: string;
  /** Path below /sys. */
  readonly devpath: string;
  /** `sg3`, or null when the event is not of a SCSI generic device. */
  readonly sg: string | null;
  /** host:channel:target:lun, as far as the path tells. */
  readonly number: string | null;
  /** `SDEV_UA=CAPACITY_DATA_HAS_CHANGED` and the like (scsi_lib.c of the kernel). */
  readonly attention: string | null;
}

/** Parses one datagram: `add@/devices/...` and then `KEY=value`, each ended by a zero byte. Null: not for us. */
export function parseUevent(datagram: Uint8Array): Uevent | null {
  const [head = "", ...pairs] = Buffer.from(datagram).toString("utf8").split("\0");
  if (!/^[a-z]+@\//.test(head)) return null;
  const values = new Map(pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]));
  const action = values.get("ACTION");
  const subsystem = values.get("SUBSYSTEM") ?? "";
  const devpath = values.get("DEVPATH") ?? "";
  if (action !== "add" && action !== "remove" && action !== "change") return null;
  if (!["scsi_generic", "scsi", "block"].includes(subsystem)) return null;
  return {
    action,
    subsystem,
    devpath,
    sg: /\/(sg\d+)$/.exec(devpath)?.[1] ?? null,
    number: /\/(\d+:\d+:\d+:\d+)(?:\/|$)/.exec(devpath)?.[1] ?? null,
    attention: values.get("SDEV_UA") ?? null,
  };
}
