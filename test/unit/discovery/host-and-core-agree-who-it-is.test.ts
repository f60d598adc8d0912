// Host and core have the canonical form of an identity each for itself. Pages that discovery takes for one unit, and only those,
// pass the check of the core.

import test from "ava";
import fc from "fast-check";
import { parseIdentification } from "../../../host/discovery/designators.ts";
import { serialIdentity, serialNumber, type UnitIdentity } from "../../../host/discovery/canonical-identity.ts";
import * as abi from "../../../host/abi.ts";
import { INQUIRY, scene } from "../core/fixtures/scene.ts";
import { designator, naa6, page83, vpd } from "./pages.ts";

const identityOf = (page: Uint8Array): UnitIdentity | null => {
  const answer = parseIdentification(page);
  return answer.ok ? answer.value.identity : null;
};

/** Whether the core takes a device that sends this page for the unit. */
function coreTakes(identity: UnitIdentity, page: Uint8Array): boolean {
  const s = scene([...identity.bytes], 1);
  s.faults.set(0, (command) => {
    if (command.cdb[0] !== INQUIRY) return undefined;
    const sent = page.subarray(0, command.bytes);
    s.host.bytes(command.buffer, command.bytes).fill(0xa5).set(sent);
    return { residual: command.bytes - sent.length };
  });
  s.host.must(s.host.core.pathSet(s.paths[0] ?? -1, abi.PATH_SET_UNVERIFIED, 1n));
  s.host.advance(10);
  const bad = abi.PATH_FLAG_UNVERIFIED | abi.PATH_FLAG_WRONG_UNIT | abi.PATH_FLAG_FAILED;
  return (s.host.flags(s.paths[0] ?? -1) & bad) === 0;
}

const NAME_BYTES = fc.array(fc.constantFrom(0x20, 0, 0x41, 0x42, 0x78, 0x30, 0xe4), { minLength: 0, maxLength: 6 });
const named = fc.oneof(
  NAME_BYTES.map((tail) => designator(1, 0, Uint8Array.of(...Buffer.from("VENDOR  "), ...tail), 2)),
  fc
    .tuple(fc.constantFrom(1, 2, 3), NAME_BYTES)
    .map(([codeSet, tail]) => designator(1, 0, Uint8Array.of(...Buffer.from("VENDOR  "), 0x41, ...tail), codeSet)),
  NAME_BYTES.map((tail) => designator(8, 0, Uint8Array.of(...Buffer.from("iqn.a"), ...tail), 3)),
  fc.constantFrom(
    designator(3, 0, naa6(1)),
    designator(3, 0, naa6(2)),
    designator(2, 0, Buffer.from("0014050000000001", "hex")),
    designator(10, 0, Buffer.from("10006ba7b8109dad11d180b400c04fd430c8", "hex")),
  ),
);

test("host and core agree on designators", (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(named, named, (one, other) => {
        const unit = identityOf(page83(one));
        if (unit === null) return true;
        return coreTakes(unit, page83(other)) === (identityOf(page83(other))?.text === unit.text);
      }),
      { numRuns: 300 },
    ),
  );
});

function identify(serial: Uint8Array): UnitIdentity | null {
  const number = serialNumber(serial);
  return number === null ? null : serialIdentity(Buffer.from("V"), Buffer.from("P"), number);
}

test("host and core agree on serial numbers", (t) => {
  const bytes = NAME_BYTES.map((serial) => Uint8Array.from(serial));
  t.notThrows(() =>
    fc.assert(
      fc.property(bytes, bytes, (one, other) => {
        const unit = identify(one);
        if (unit === null) return true;
        return coreTakes(unit, vpd(0x80, other)) === (identify(other)?.text === unit.text);
      }),
      { numRuns: 300 },
    ),
  );
});
