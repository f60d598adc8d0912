// What devices say about themselves: every page is understood, or refused with a reason that can be read.

import { IDENTITY_BYTES_MAX } from "../../../host/abi.ts";
import { senseOf } from "../../../host/discovery/attentions.ts";
import { parseIdentification } from "../../../host/discovery/designators.ts";
import {
  readable,
  serialIdentity,
  serialNumber,
  type UnitIdentity,
} from "../../../host/discovery/canonical-identity.ts";
import { parseSerial, parseStandardInquiry, parseSupportedPages } from "../../../host/discovery/inquiry-data.ts";
import { parseUnderWay } from "../../../host/discovery/leftovers.ts";
import * as limits from "../../../host/discovery/limits.ts";
import type { Parsed } from "../../../host/discovery/transport.ts";
import { wwidOf } from "../../../host/discovery/wwid.ts";
import { capacity, designator, naa6, page83, standard, vpd } from "../../unit/discovery/pages.ts";
import { check, type Target } from "../target.ts";

const PRINTABLE = /^[\x20-\x7e]*$/;
/** No sentence about a page needs more; it goes into logs. */
const REASON_CHARACTERS_MAX = 2000;

function reasonable<T>(answer: Parsed<T>, isSound: (value: T) => boolean): void {
  if (answer.ok) return check(isSound(answer.value), () => `understood as ${JSON.stringify(answer.value, big)}`);
  const { reason } = answer;
  check(reason.length > 8 && reason.length < REASON_CHARACTERS_MAX, () => `a reason of ${reason.length} characters`);
  check(PRINTABLE.test(reason) && !/undefined|NaN/.test(reason), () => `the reason ${JSON.stringify(reason)}`);
}

const big = (_: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);

function holds(identity: UnitIdentity): boolean {
  const wwid = wwidOf(identity.text);
  return (
    PRINTABLE.test(identity.text) &&
    identity.text.length > 4 &&
    identity.bytes.length <= IDENTITY_BYTES_MAX &&
    (wwid === null || (wwid.length > 1 && !wwid.includes(" ")))
  );
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

const isCapacity = ({ blocks, blockBytes }: limits.Capacity): boolean => blocks > 0n && blockBytes >= 512;

function identities(data: Uint8Array): void {
  reasonable(parseIdentification(data), ({ identity, problems, former, targetPort }) => {
    for (const problem of problems) reasonable({ ok: false, reason: problem }, () => true);
    const names = [former, targetPort].every((name) => name === null || PRINTABLE.test(name));
    return names && (identity === null || holds(identity));
  });
  reasonable(parseSerial(data), (payload) => {
    const serial = payload === null ? null : serialNumber(payload);
    if (serial === null) return payload === null;
    return PRINTABLE.test(readable(serial)) && holds(serialIdentity(Buffer.from("NEC"), Buffer.from("DISK"), serial));
  });
}

function run(input: Uint8Array): void {
  const data = Uint8Array.from(input);
  identities(data);
  reasonable(parseStandardInquiry(data), ({ vendor, product, revision }) =>
    PRINTABLE.test(vendor + product + revision),
  );
  reasonable(parseSupportedPages(data), (pages) => pages.size <= data.length);
  reasonable(limits.parseCapacity(data), isCapacity);
  reasonable(limits.parseShortCapacity(data), isCapacity);
  reasonable(limits.parseBlockLimits(data), (value) => Object.values(value).every(isCount));
  reasonable(limits.parseRotation(data), isCount);
  reasonable(limits.parseProvisioning(data), () => true);
  reasonable(limits.parseCaching(data), () => true);
  reasonable(limits.parseTargetPortGroups(data), (groups) =>
    groups.every(({ state, ports }) => state < 16 && ports.length < 256),
  );
  const sense = senseOf({ status: 2, hostStatus: 0, sense: data, data: new Uint8Array() });
  check(sense.key < 16 && isCount(sense.asc) && isCount(sense.ascq), () => JSON.stringify(sense));
  check(
    parseUnderWay(Buffer.from(data).toString()).every((one) => isCount(one.elapsedMs)),
    () => "an age that is none",
  );
}

export const target: Target = {
  run,
  bytesMax: 512,
  words: ["iqn.2001-04.org:a", "naa.", "eui.0011223344556677", "VENDOR  "],
  seeds: [
    page83(
      designator(3, 0, naa6(1)),
      designator(4, 1, Uint8Array.of(0, 0, 0, 1)),
      designator(5, 1, Uint8Array.of(0, 0, 0, 2)),
    ),
    page83(
      designator(1, 0, "VENDOR  unit 1"),
      designator(8, 0, "iqn.2001-04.org:a", 3),
      designator(2, 0, Buffer.alloc(16, 3)),
    ),
    page83(designator(10, 0, Buffer.from("10006ba7b8109dad11d180b400c04fd430c8", "hex")), designator(3, 1, naa6(3))),
    vpd(0x80, Buffer.from("  SERIAL 42 ")),
    vpd(0x00, Uint8Array.of(0, 0x80, 0x83, 0xb0)),
    vpd(0xb0, Buffer.alloc(60, 1)),
    vpd(0xb1, Uint8Array.of(0, 1)),
    vpd(0xb2, Uint8Array.of(0, 0xe4, 2, 0)),
    standard("NEC", "DISK ARRAY", { tpgs: 3 }),
    capacity(2048),
    Uint8Array.of(0, 0, 0, 16, 0x80, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2),
    Uint8Array.of(0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0, 0, 0, 0, 0),
    Buffer.from(" >>> device=sg0 6:0:0:0 em=0\n   rb>> FD(1): timeout=60000ms\n     dur/ms: 12 op=0x8a\n"),
  ],
};
