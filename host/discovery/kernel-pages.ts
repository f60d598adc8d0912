// What a device has told the kernel about itself, from sysfs. It identifies a device without asking it: one that someone else
// uses, or that does not answer at the moment.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { probe, type Probe } from "./probe.ts";
import type { SgDevice } from "./sysfs.ts";
import type { ScsiResult, ScsiTransport } from "./transport.ts";

const INQUIRY = 0x12;
/** Cached pages are available at once; the limit exists only because the caller has one. */
const BUDGET_MS = 1000;

const NOTHING = new Uint8Array(0);
/** Sense data of INVALID FIELD IN CDB: pages that were not cached are not requested. */
const NOT_KEPT: ScsiResult = {
  status: 2,
  hostStatus: 0,
  sense: Uint8Array.of(0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0, 0, 0, 0, 0),
  data: NOTHING,
};
const good = (data: Uint8Array): ScsiResult => ({ status: 0, hostStatus: 0, sense: NOTHING, data });

function kept(folder: string, name: string): Uint8Array | null {
  try {
    return readFileSync(join(folder, name));
  } catch {
    return null;
  }
}

/** Page 0x00 of what was cached; kernels before 5.19 do not show the device's own. */
function pagesKept(folder: string): Uint8Array {
  const pages = [0x80, 0x83].filter((page) => kept(folder, `vpd_pg${page.toString(16)}`) !== null);
  return Uint8Array.of(0, 0, 0, pages.length + 1, 0, ...pages);
}

function answerOf(folder: string, cdb: Uint8Array, bytes: number): ScsiResult {
  if (cdb[0] !== INQUIRY) return NOT_KEPT;
  const isPage = ((cdb[1] ?? 0) & 1) !== 0;
  const page = cdb[2] ?? 0;
  const data = !isPage
    ? kept(folder, "inquiry")
    : page === 0
      ? pagesKept(folder)
      : kept(folder, `vpd_pg${page.toString(16)}`);
  return data === null ? NOT_KEPT : good(data.subarray(0, bytes));
}

/** Answers from sysfs, whatever the device is. */
function keptTransport(folder: string): ScsiTransport {
  return { command: (_device, cdb, bytes) => Promise.resolve(answerOf(folder, cdb, bytes)) };
}

/** Passes INQUIRY only: any other command could consume a unit attention meant for the device's user. */
function inquiriesOf(transport: ScsiTransport): ScsiTransport {
  return {
    command: (device, cdb, bytes, timeoutMs) =>
      cdb[0] === INQUIRY ? transport.command(device, cdb, bytes, timeoutMs) : Promise.resolve(NOT_KEPT),
  };
}

/** The identity of a device that the kernel remembers; null when there is none. */
export async function keptProbe({ device, number }: SgDevice, sysfs: string): Promise<Probe | null> {
  const folder = join(sysfs, "class/scsi_device", number, "device");
  const answer = await probe(keptTransport(folder), device, BUDGET_MS);
  return answer.ok ? answer.value : null;
}

/** The identity a device reports; null when it reports none. Its user notices nothing. */
export async function askedIdentity(
  transport: ScsiTransport,
  device: string,
  budgetMs: number,
): Promise<string | null> {
  const answer = await probe(inquiriesOf(transport), device, budgetMs);
  return answer.ok ? answer.value.identity.text : null;
}
