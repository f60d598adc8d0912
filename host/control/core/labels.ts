// Labels kept beside the reactor's handles, so that a restarted control knows what each handle belongs to. Encoded as bytes:
// there are thousands of them, and they are rarely read.

import { deserialize, serialize } from "node:v8";
import type { FoundPath } from "../../discovery/discover.ts";
import type { QueueChange } from "../../discovery/queue-tags.ts";
import type { Origin } from "../../export/connection-limit.ts";
import type { Peer } from "../../peers/shares.ts";
import type { PathRow, UnitRow } from "../state/state.ts";

export interface UnitLabel {
  readonly row: UnitRow;
  /** UNIT_CAN_* of the ABI. */
  readonly capabilities: number;
}

export interface PathLabel {
  readonly row: PathRow;
  readonly found: FoundPath;
  /** Null for a port of the emulated array. */
  readonly native: NativeLabel | null;
}

interface NativeLabel {
  readonly port: number;
  readonly change: QueueChange | null;
  readonly depthWanted: number;
}

/** Of a connection; not encoded, as there are few. */
export interface ConnectionLabel {
  /** Number of its unit. */
  readonly unit: number;
  readonly origin: Origin;
  /** Whose share of the connections it counts against; omitted for root. */
  readonly peer?: Peer;
  /** N of /dev/nbdN; null when it is not a kernel device. */
  readonly index: number | null;
}

export const labelOf = (label: UnitLabel | PathLabel): Uint8Array => serialize(label);

export const unitLabel = (label: unknown): UnitLabel => deserialize(label as Uint8Array) as UnitLabel;
export const pathLabel = (label: unknown): PathLabel => deserialize(label as Uint8Array) as PathLabel;
export const connectionLabel = (label: unknown): ConnectionLabel => label as ConnectionLabel;
