// The pages by which a device says who it is, as it gives them. INQUIRY only, which no unit attention answers.

import { parseSupportedPages } from "./inquiry-data.ts";
import type { ScsiTransport } from "./transport.ts";

/** INQUIRY data, and VPD pages by page code; pages that the device does not have are missing. */
export interface UnitPages {
  readonly inquiry: Uint8Array;
  readonly pages: ReadonlyMap<number, Uint8Array>;
}

const WANTED = [0x80, 0x83, 0x86, 0xb0, 0xb1, 0xb2];
const STANDARD_BYTES = 96;
const PAGE_BYTES = 1024;
const STATUS_GOOD = 0;

const inquiry = (page: number | null, bytes: number): Uint8Array =>
  Uint8Array.of(0x12, page === null ? 0 : 1, page ?? 0, bytes >> 8, bytes & 0xff, 0);

/** @throws when the device does not answer, or has no INQUIRY data */
export async function unitPages(to: ScsiTransport, device: string, timeoutMs: number): Promise<UnitPages> {
  const ask = async (page: number | null, bytes: number): Promise<Uint8Array | null> => {
    const { status, hostStatus, data } = await to.command(device, inquiry(page, bytes), bytes, timeoutMs);
    return status === STATUS_GOOD && hostStatus === 0 ? data : null;
  };
  const standard = await ask(null, STANDARD_BYTES);
  if (standard === null || standard.length < 36) throw new Error(`${device} gives no INQUIRY data`);
  const list = parseSupportedPages((await ask(0, PAGE_BYTES)) ?? new Uint8Array(0));
  const pages = new Map<number, Uint8Array>();
  for (const page of WANTED) {
    if (list.ok && !list.value.has(page)) continue;
    const data = await ask(page, PAGE_BYTES);
    if (data !== null && data.length >= 4 && data[1] === page) pages.set(page, data);
  }
  return { inquiry: standard.subarray(0, Math.min(standard.length, 5 + (standard[4] ?? 0))), pages };
}
