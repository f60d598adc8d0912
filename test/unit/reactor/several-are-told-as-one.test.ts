// What several reactors measured is one answer: histograms stand where their unit was asked for, and limits are those of all.

import test from "ava";
import fc from "fast-check";
import { VALUES_OF, type Which } from "../../../host/reactor/coarse-histograms.ts";
import { handleIn, ownHandle } from "../../../host/reactor/handles.ts";
import type { CoarseRequest, ReactorLoad } from "../../../host/reactor/reactor-messages.ts";
import { mergedHistograms, mergedLoad } from "../../../host/reactor/several.ts";

/** What a reactor answers: of each unit its own handle and the reactor's number, in every place. */
const answered = (reactor: number, { which, handles }: CoarseRequest): Float64Array => {
  const each = VALUES_OF[which];
  const values = new Float64Array(handles.length * each);
  for (const [index, handle] of handles.entries()) {
    for (let at = 0; at < each; at++) values[index * each + at] = reactor * 1e6 + handle * 1e3 + at;
  }
  return values;
};

const places = fc.uniqueArray(fc.record({ reactor: fc.nat(3), own: fc.nat(900) }), {
  maxLength: 30,
  selector: ({ reactor, own }) => handleIn(reactor, own),
});

test("histograms stand where their unit was asked for, whichever reactor has it", async (t) => {
  const which = fc.constantFrom<Which>("units", "paths", "sizes");
  await fc.assert(
    fc.asyncProperty(which, places, fc.subarray([0, 1, 2, 3]), async (kind, asked, present) => {
      const handles = asked.map(({ reactor, own }) => handleIn(reactor, own));
      const each = VALUES_OF[kind];
      const all = await mergedHistograms({ which: kind, handles }, present, async (reactor, part) => {
        t.true(present.includes(reactor));
        return answered(reactor, part);
      });
      t.is(all.length, handles.length * each);
      for (const [index, { reactor, own }] of asked.entries()) {
        const record = all.subarray(index * each, (index + 1) * each);
        // Zeros would be a counter that fell.
        const first = present.includes(reactor) ? reactor * 1e6 + ownHandle(handleIn(reactor, own)) * 1e3 : NaN;
        t.is(record[0], first);
        t.is(record[each - 1], first + each - 1);
      }
    }),
  );
});

test("work, room and free pool are those of all reactors; the largest request is that of one", (t) => {
  const limits = { connections: 8, requests: 32, commands: 64, poolBytes: 1 << 20, units: 4, paths: 16, events: 128 };
  const load = (poolFreeBytes: number, counts: readonly number[], poolBytes = limits.poolBytes): ReactorLoad => ({
    limits: { ...limits, poolBytes, payloadBytes: 4096 },
    busyNs: 1000,
    firstClassNs: 512,
    counts,
    descriptorRefusals: 2,
    poolFreeBytes,
  });
  const one = load(5, [1, 2, 3]);
  t.deepEqual(mergedLoad([one]), one);
  t.deepEqual(mergedLoad([one, load(7, [10, 20, 30]), load(1, [0, 0, 4], 100)]), {
    limits: {
      connections: 24,
      requests: 96,
      commands: 192,
      poolBytes: 2 * (1 << 20) + 100,
      units: 12,
      paths: 48,
      events: 384,
      payloadBytes: 4096,
    },
    busyNs: 3000,
    firstClassNs: 512,
    counts: [11, 22, 37],
    descriptorRefusals: 6,
    poolFreeBytes: 13,
  });
  t.throws(() => mergedLoad([]), { code: "REACTOR_STOPPED" });
});
