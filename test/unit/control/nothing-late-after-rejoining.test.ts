// A host that another one has preempted may still have writes under way. Where it is registered again, the device carries them out, over
// what the other host has written: so it is not registered before they are over, whoever asks for it.

import test, { type ExecutionContext } from "ava";
import { NbdClient } from "../../../host/cli/demo/nbd-client.ts";
import type { PathView } from "../../../host/control/schemas/path-schema.ts";
import type { ReservationView } from "../../../host/control/schemas/reservation-schema.ts";
import { reserveOutCommand, type ReserveOut } from "../../../host/discovery/persistent-reservations.ts";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const ONE =
  "policy = 'round-robin'\n[array]\nunits = 1\npaths = 4\nunit_mib = 1\n[patrol]\ninterval_s = 1\nthreshold_s = 1\ntimeout_s = 1\n";
const ROUTE = "/v1/units/0/reservation";
/** The port that plays the other host, and the keys. */
const OTHER = 3;
const [OURS, THEIRS] = ["0xa1", "0xb2"];
const BLOCK = 512;
const BLOCKS = 8;
const HELD = "4:0:0:0";
const WRITE_10 = Uint8Array.of(0x2a, 0, 0, 0, 0, 0, 0, 0, BLOCKS, 0);
const READ_10 = Uint8Array.of(0x28, 0, 0, 0, 0, 0, 0, 0, BLOCKS, 0);
const UNIT_ATTENTION_TRIES = 8;

/** A command of the other host. A unit attention comes first. */
async function byOther(daemon: TestDaemon, cdb: Uint8Array, data: Uint8Array | number): Promise<Uint8Array> {
  for (let tries = 0; tries < UNIT_ATTENTION_TRIES; tries++) {
    const answer = await daemon.daemon.reactor.arrayCommand(OTHER, cdb, data);
    if (answer.status === 0) return answer.data;
    if (answer.status !== 2) throw new Error(`the other host's command ${cdb[0] ?? 0} got status ${answer.status}`);
  }
  throw new Error("unit attentions without end");
}

function orderByOther(daemon: TestDaemon, out: ReserveOut): Promise<Uint8Array> {
  const { cdb, list } = reserveOutCommand(out);
  return byOther(daemon, cdb, list);
}

const order = (daemon: TestDaemon, t: ExecutionContext, body: Record<string, unknown>): Promise<ReservationView> =>
  daemon.change(t, "POST", ROUTE, body) as Promise<ReservationView>;

/** Leaves a write of ours held back on the first path, while another one has carried out the same. */
async function heldWrite(daemon: TestDaemon, t: ExecutionContext): Promise<void> {
  const ofHeld = async (): Promise<PathView | undefined> =>
    (await daemon.get<"paths">(t, "/v1/paths")).paths.find(({ number }) => number === HELD);
  await until("it carries I/O", async () => (await ofHeld())?.conditions.length === 0);
  const client = await NbdClient.connect(daemon.daemon.options.places.nbdSocket, "lu0");
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "queued" }, where: { path: HELD } });
  for (let block = 0; block < BLOCKS; block++) await client.write(block * BLOCK, Buffer.alloc(BLOCK, "A"));
  client.close();
  await until("a write is held", async () => ((await ofHeld())?.statistics.orphans ?? 0) > 0);
}

/** The other host removes our key, and writes. */
async function preempted(daemon: TestDaemon): Promise<void> {
  await orderByOther(daemon, { action: "register-ignore", key: "0x0", serviceActionKey: THEIRS });
  await orderByOther(daemon, { action: "preempt", key: THEIRS, serviceActionKey: OURS, type: 5 });
  await byOther(daemon, WRITE_10, Buffer.alloc(BLOCKS * BLOCK, "B"));
}

const CASES: readonly { readonly how: string; readonly isKnown: boolean }[] = [
  { how: "when this host knows that it was preempted", isKnown: true },
  { how: "when it does not know yet", isKnown: false },
];

for (const { how, isKnown } of CASES) {
  test(`a host is not let in again while its former writes are under way, ${how}`, async (t) => {
    // Without patrol nobody notices the preemption before the operator's command.
    const daemon = await TestDaemon.start(t, isKnown ? ONE : ONE.replaceAll(/_s = 1/g, "_s = 60"));
    await order(daemon, t, { action: "register", serviceActionKey: OURS });
    await order(daemon, t, { action: "reserve", type: 5 });
    await heldWrite(daemon, t);
    await preempted(daemon);
    if (isKnown) {
      await until("the unit is preempted", async () => {
        return (await daemon.get<"reservation">(t, ROUTE)).state === "preempted";
      });
    }
    const refused = await daemon.call("POST", ROUTE, { action: "register-ignore", serviceActionKey: OURS });
    t.is(refused.status, 409);
    t.regex(JSON.stringify(refused.body), /under way/);
    await daemon.change(t, "DELETE", "/v1/array/faults");
    let again: Awaited<typeof refused> | null = null;
    await until("it is registered", async () => {
      again = await daemon.call("POST", ROUTE, { action: "register-ignore", serviceActionKey: OURS });
      return again.status === 200;
    });
    const medium = Buffer.from(await byOther(daemon, READ_10, BLOCKS * BLOCK)).toString("latin1");
    t.is(medium, "B".repeat(BLOCKS * BLOCK), "a former write came late, and over the other host's");
  });
}
