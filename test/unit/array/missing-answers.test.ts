// Commands that are not answered, or late: whether their data land, and when they end.

import test from "ava";
import { RESET_DEVICE } from "../../../host/abi.ts";
import { cdbs, pattern, quietArray, readBack, RingSide } from "./fixture.ts";

const ZERO = new Uint8Array(512);
const DATA = pattern(512, 9);
const TIME_OUT = 3;
const TRANSPORT_DISRUPTED = 0x0e;

test("no answer: the command stays until the host gives up; a write never lands", (t) => {
  const rings = new RingSide(quietArray({ units: 1 }));
  rings.array.addFault({ fault: { kind: "no-answer" }, where: { port: 0 } });
  rings.submit(0, 0, cdbs.write16(0, 1), DATA, 30);
  rings.submit(1, 1, cdbs.testUnitReady);
  t.deepEqual(
    rings.turn().map(({ tag }) => tag),
    [1],
  );
  t.is(rings.deadlineMs, 1030);
  t.deepEqual(
    rings
      .at(1030)
      .turn()
      .map(({ tag, hostStatus }) => [tag, hostStatus]),
    [[0, TIME_OUT]],
  );
  t.deepEqual(readBack(rings), ZERO);
});

test("no answer without giving up: only a reset ends the command, and only after the time a reset takes", (t) => {
  const rings = new RingSide(quietArray({ units: 1 }));
  rings.array.addFault({ fault: { kind: "no-answer", giveUp: false, resetMs: 40 }, where: { port: 0 } });
  rings.submit(0, 0, cdbs.write16(0, 1), DATA, 30);
  rings.turn();
  t.is(rings.deadlineMs, Infinity);
  rings.at(9000).reset(9, 0, RESET_DEVICE);
  t.deepEqual(rings.turn(), []);
  t.deepEqual(
    rings
      .at(9040)
      .turn()
      .map(({ tag }) => tag)
      .toSorted(),
    [0, 9],
  );
  t.deepEqual(readBack(rings), ZERO);
});

test("no answer, executed at once: the write has landed though nobody says so", (t) => {
  const rings = new RingSide(quietArray({ units: 1 }));
  rings.array.addFault({ fault: { kind: "no-answer", execution: "at-once" }, where: { port: 0 } });
  rings.submit(0, 0, cdbs.write16(0, 1), DATA, 30);
  t.deepEqual(rings.turn(), []);
  t.deepEqual(readBack(rings), DATA);
  t.deepEqual(
    rings
      .at(1030)
      .turn()
      .map(({ hostStatus }) => hostStatus),
    [TIME_OUT],
  );
});

test("no answer, lifted: held commands are executed late and answered, or end as lost in transport", (t) => {
  for (const execution of ["on-lift", "never"] as const) {
    const rings = new RingSide(quietArray({ units: 1 }));
    const id = rings.array.addFault({ fault: { kind: "no-answer", execution, giveUp: false }, where: { port: 0 } });
    rings.submit(0, 0, cdbs.write16(0, 1), DATA, 30);
    rings.turn();
    rings.at(5000);
    t.deepEqual(readBack(rings), ZERO);
    rings.array.liftFault(id);
    const late = execution === "on-lift";
    t.deepEqual(
      rings.turn().map(({ hostStatus }) => hostStatus),
      [late ? 0 : TRANSPORT_DISRUPTED],
    );
    t.deepEqual(readBack(rings), late ? DATA : ZERO);
  }
});

test("a black hole that opens under commands in flight swallows them too", (t) => {
  const rings = new RingSide(quietArray({ units: 1, service: { latencyUs: 10_000 } }));
  rings.submit(0, 0, cdbs.write16(0, 1), DATA, 500);
  rings.turn();
  rings.at(1005).array.addFault({ fault: { kind: "no-answer" }, where: { port: 0 } });
  t.deepEqual(rings.at(1010).turn(), []);
  t.deepEqual(
    rings
      .at(1500)
      .turn()
      .map(({ hostStatus }) => hostStatus),
    [TIME_OUT],
  );
  t.deepEqual(readBack(rings), ZERO);
});

test("late: the write lands and is answered after the delay", (t) => {
  const rings = new RingSide(quietArray({ units: 1 }));
  rings.array.addFault({ fault: { kind: "late", delayMs: 300 }, where: { port: 0 } });
  rings.submit(0, 0, cdbs.write16(0, 1), DATA, 1000);
  t.deepEqual(rings.turn(), []);
  t.deepEqual(readBack(rings), ZERO);
  t.is(rings.at(1300).turn().length, 1);
  t.deepEqual(readBack(rings), DATA);
});

test("late, the answer lost: the write lands, the host times out", (t) => {
  const rings = new RingSide(quietArray({ units: 1 }));
  rings.array.addFault({ fault: { kind: "late", delayMs: 300, answer: false }, where: { port: 0 } });
  rings.submit(0, 0, cdbs.write16(0, 1), DATA, 1000);
  rings.turn();
  t.deepEqual(rings.at(1300).turn(), []);
  t.deepEqual(readBack(rings), DATA);
  t.deepEqual(
    rings
      .at(2000)
      .turn()
      .map(({ hostStatus }) => hostStatus),
    [TIME_OUT],
  );
});

test("late beyond the timeout: the write lands afterwards only when it is told to, with the data as they were sent", (t) => {
  for (const landsAfterGiveUp of [false, true]) {
    const rings = new RingSide(quietArray({ units: 1 }));
    rings.array.addFault({ fault: { kind: "late", delayMs: 300, landsAfterGiveUp }, where: { port: 0 } });
    rings.submit(0, 0, cdbs.write16(0, 1), DATA, 100);
    rings.turn();
    t.deepEqual(
      rings
        .at(1100)
        .turn()
        .map(({ hostStatus }) => hostStatus),
      [TIME_OUT],
    );
    // The core uses slot and buffer for something else by now.
    rings.submit(0, 1, cdbs.write16(5, 1), pattern(512, 77));
    rings.turn();
    t.deepEqual(rings.at(1300).turn(), []);
    t.deepEqual(readBack(rings), landsAfterGiveUp ? DATA : ZERO);
  }
});

test("a reset settles a write that would have landed late", (t) => {
  const rings = new RingSide(quietArray({ units: 1 }));
  rings.array.addFault({ fault: { kind: "late", delayMs: 300, landsAfterGiveUp: true }, where: { port: 0 } });
  rings.submit(0, 0, cdbs.write16(0, 1), DATA, 100);
  rings.turn();
  rings.at(1100).turn();
  rings.reset(9, 0, RESET_DEVICE);
  rings.turn();
  rings.at(1300).turn();
  t.deepEqual(readBack(rings), ZERO);
});

test("queued: a command in the host's queue survives its timeout and a reset, and is delivered in order when lifted", (t) => {
  const rings = new RingSide(quietArray({ units: 1 }));
  const id = rings.array.addFault({ fault: { kind: "queued" }, where: { port: 0 } });
  rings.array.addFault({ fault: { kind: "late", delayMs: 1 }, where: { port: 0 } });
  rings.submit(1, 0, cdbs.write16(0, 1), DATA, 30);
  rings.submit(2, 0, cdbs.write16(0, 1), pattern(512, 10), 30);
  t.deepEqual(rings.turn(), []);
  t.is(rings.deadlineMs, Infinity);
  rings.at(9000).reset(9, 0, RESET_DEVICE);
  t.deepEqual(
    rings.turn().map(({ tag }) => tag),
    [9],
  );
  t.deepEqual(readBack(rings), ZERO);
  t.true(rings.array.liftFault(id));
  // The first of them meets the unit attention that the reset has left.
  t.deepEqual(
    rings.turn().map(({ tag, hostStatus, status }) => [tag, hostStatus, status]),
    [
      [1, 0, 2],
      [2, 0, 0],
    ],
  );
  t.deepEqual(readBack(rings), pattern(512, 10));
});
