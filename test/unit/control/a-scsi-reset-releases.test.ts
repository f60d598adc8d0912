// A logical unit reset of a unit's SCSI device ends what an initiator has reserved by RESERVE: the reactor asks control as if it had
// been released. What the reactor asks is what control carries out, so both are tried together; the kernel's ring is played.

import test from "ava";
import { ScsiTargets } from "../../../host/control/operations/scsi-targets.ts";
import type { LegacyCommand } from "../../../host/control/reservations/legacy-reserve.ts";
import type { Core } from "../../../host/reactor/core-loader.ts";
import type { Ring } from "../../../host/native/index.ts";
import { ScsiQueues, type ReservationReply, type ScsiServing } from "../../../host/reactor/scsi-queues.ts";

const HANDLE = 0;
const nothing = (): void => {};

test("the reservation is released once for each reset, nothing is answered for it, and nobody is warned", async (t) => {
  const resets: NonNullable<ReturnType<Ring["nextTcmuNews"]>>[] = [];
  const ring = {
    addTcmu: () => HANDLE,
    tcmuClient: nothing,
    nextTcmuNews: () => resets.shift() ?? null,
    nextAsked: () => null,
    answerAsked: nothing,
  } as unknown as Ring;
  const core = { doorTags: 256, exports: { blockOpen: () => 3, blockClose: nothing } } as unknown as Core;
  const queues = new ScsiQueues(core, ring);
  queues.open({
    unit: 0,
    flags: 0,
    name: 7,
    uio: "/dev/uio0",
    bytes: 1,
    blocks: 1,
    presented: {},
  } as unknown as ScsiServing);

  const unit = { number: 7 };
  const ordered: LegacyCommand[] = [];
  const replies: ReservationReply[] = [];
  const context = {
    reactor: {
      onTarget: nothing,
      scsiAsked: (_: number, isNew: boolean) => Promise.resolve(queues.take(isNew)),
      scsiReply: (_: number, reply: ReservationReply) =>
        Promise.resolve(queues.reply(reply)).then(() => replies.push(reply)),
    },
    inventory: { units: () => [unit] },
    reservations: {
      orderLegacy: (asked: unknown, command: LegacyCommand) =>
        Promise.resolve(void (asked === unit && ordered.push(command))),
    },
  } as unknown as ConstructorParameters<typeof ScsiTargets>[0];
  const targets = new ScsiTargets(context, (problem) => t.fail(problem));

  let asks = 0;
  queues.onAsked = () => asks++;
  for (const times of [1, 2]) {
    resets.push({ what: "reset", device: HANDLE });
    queues.attend();
    t.is(asks, times);
    await targets.asked(0);
    t.deepEqual(ordered.splice(0), [{ action: "release", bytes: 6 }]);
    t.is(replies.length, times);
    t.deepEqual(queues.take(true), [], "it is over");
  }
});
