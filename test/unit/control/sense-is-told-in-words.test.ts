// Sense data in words, with the codes beside them; what is not known stays a number, and nonsense breaks nothing.

import test from "ava";
import fc from "fast-check";
import { outcomeText } from "../../../host/control/views/outcome-text.ts";

const sense = (senseKey: number, asc: number, ascq: number): string =>
  outcomeText({ status: 2, senseKey, asc, ascq, hostStatus: 0 });

test("codes are told with their words", (t) => {
  t.is(sense(2, 0x04, 0x0c), "NOT READY 04/0c (logical unit not accessible, target port in unavailable state)");
  t.is(sense(6, 0x29, 0x07), "UNIT ATTENTION 29/07 (I_T nexus loss occurred)");
  t.is(sense(6, 0x29, 0x01), "UNIT ATTENTION 29/01 (power on, reset, or bus device reset occurred)");
  t.is(sense(5, 0x24, 0x00), "ILLEGAL REQUEST 24/00 (invalid field in CDB)");
});

test("an unknown code stays a number", (t) => {
  t.is(sense(4, 0x80, 0x01), "HARDWARE ERROR 80/01");
});

test("nonsense is told, too", (t) => {
  fc.assert(
    fc.property(
      fc.nat(255),
      fc.nat(255),
      fc.nat(255),
      fc.nat(255),
      fc.nat(255),
      (status, senseKey, asc, ascq, hostStatus) => {
        t.regex(outcomeText({ status, senseKey, asc, ascq, hostStatus }), /^[ -~]*$/);
      },
    ),
  );
});
