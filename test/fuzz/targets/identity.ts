// Who a device is: host and core take the same pages for the same unit, and a page that makes no sense for none. The input holds
// two pages; the first one tells who the unit is, the second one is sent when the core asks a path.

import * as abi from "../../../host/abi.ts";
import { parseIdentification } from "../../../host/discovery/designators.ts";
import { serialIdentity, serialNumber, type UnitIdentity } from "../../../host/discovery/canonical-identity.ts";
import { parseSerial } from "../../../host/discovery/inquiry-data.ts";
import { Host } from "../../unit/core/fixtures/harness.ts";
import { designator, naa6, page83, vpd } from "../../unit/discovery/pages.ts";
import { instrumentedCore } from "../core.ts";
import { check, type Target } from "../target.ts";

const INQUIRY = 0x12;
const SERIAL_PAGE = 0x80;
const BAD = abi.PATH_FLAG_UNVERIFIED | abi.PATH_FLAG_WRONG_UNIT | abi.PATH_FLAG_FAILED;

/** Who sends this page, as discovery understands it. */
function identityOf(page: Uint8Array, code: number): UnitIdentity | null {
  if (page.length > 0 && (page[0] ?? 0) >> 5 !== 0) return null;
  if (code !== SERIAL_PAGE) {
    const answer = parseIdentification(page);
    return answer.ok ? answer.value.identity : null;
  }
  const payload = parseSerial(page);
  const serial = payload.ok && payload.value !== null ? serialNumber(payload.value) : null;
  return serial === null ? null : serialIdentity(Buffer.from("V"), Buffer.from("P"), serial);
}

export async function makeTarget(): Promise<Target> {
  const host = new Host({}, await instrumentedCore());
  let page: Uint8Array = new Uint8Array();
  host.device = (command) => {
    if (command.cdb[0] !== INQUIRY) return {};
    const sent = page.subarray(0, command.bytes);
    host.bytes(command.buffer, command.bytes).fill(0xa5).set(sent);
    return { residual: command.bytes - sent.length };
  };
  const run = (input: Uint8Array): void => {
    const cut = 1 + (input[0] ?? 0);
    const [first, second] = [input.slice(1, cut), input.slice(cut)];
    const code = first[1] === SERIAL_PAGE ? SERIAL_PAGE : 0x83;
    const unit = identityOf(first, code);
    if (unit === null || unit.bytes.length > abi.IDENTITY_BYTES_MAX) return;
    page = second.length === 0 ? first : second;
    const made = host.unit({ blocks: 2048n, paths: 1, identity: [...unit.bytes] });
    const path = made.paths[0] ?? -1;
    host.must(host.core.pathSet(path, abi.PATH_SET_UNVERIFIED, 1n));
    host.advance(10);
    const takes = (host.flags(path) & BAD) === 0;
    const other = identityOf(page, code);
    host.must(host.core.pathRemove(path));
    host.advance(10);
    host.must(host.core.unitRemove(made.unit));
    host.events.length = 0;
    check(!takes || other !== null, () => `the core takes a page that discovery refuses for ${unit.text}`);
    // Discovery ranks what a page holds, the core looks for one of them: a page that has the unit's name among others is its own.
    if (second.length === 0)
      check(takes, () => `the core does not take the very page by which discovery knows ${unit.text}`);
    if (other?.text === unit.text) check(takes, () => `discovery takes the page for ${unit.text}, the core does not`);
  };
  return { run, seeds: SEEDS, bytesMax: 512, words: ["iqn.2001-04.org:a", "VENDOR  "] };
}

const two = (first: Uint8Array, second: Uint8Array = Buffer.alloc(0)): Buffer =>
  Buffer.concat([Buffer.of(first.length), first, second]);
const naa = page83(designator(3, 0, naa6(1)));
const name = page83(designator(8, 0, "iqn.2001-04.org:a\0\0", 3), designator(1, 0, "VENDOR  unit 1  "));
const SEEDS: readonly Uint8Array[] = [
  two(naa),
  two(
    naa,
    page83(designator(1, 0, "VENDOR  x"), designator(4, 1, Uint8Array.of(0, 0, 0, 1)), designator(3, 0, naa6(1))),
  ),
  two(name),
  two(name, page83(designator(8, 0, "iqn.2001-04.org:a", 3))),
  two(vpd(SERIAL_PAGE, Buffer.from("  S42 "))),
  two(vpd(SERIAL_PAGE, Buffer.from("S42")), vpd(SERIAL_PAGE, Buffer.from("S42   "))),
  two(
    page83(
      designator(2, 0, Buffer.from("0014050000000001", "hex")),
      designator(10, 0, Buffer.from("10006ba7b8109dad11d180b400c04fd430c8", "hex")),
    ),
  ),
];
