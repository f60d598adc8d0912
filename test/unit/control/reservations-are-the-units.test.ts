// Persistent reservations through us: an application reserves a unit, and every path of it is registered, or none.

import { statSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { ReservationView } from "../../../host/control/schemas/reservation-schema.ts";
import { reserveOutCommand, type ReserveOut } from "../../../host/discovery/persistent-reservations.ts";
import { until } from "../../until.ts";
import { reservationReply } from "../../../host/control/reservations/scsi-reply.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const ONE = "policy = 'static'\n[array]\nunits = 1\npaths = 4\nunit_mib = 1\n";
/** Operation codes of PERSISTENT RESERVE IN and OUT. */
const [READS, REGISTERS] = [0x5e, 0x5f];
const ROUTE = "/v1/units/0/reservation";

const order = (daemon: TestDaemon, t: ExecutionContext, body: Record<string, unknown>): Promise<ReservationView> =>
  daemon.change(t, "POST", ROUTE, body) as Promise<ReservationView>;

const view = (daemon: TestDaemon, t: ExecutionContext): Promise<ReservationView> => daemon.get<"reservation">(t, ROUTE);

/** What somebody else does on one of the ports: the emulated array cannot tell who sends. */
async function onPort(daemon: TestDaemon, port: number, out: ReserveOut): Promise<number> {
  const { cdb, list } = reserveOutCommand(out);
  return (await daemon.daemon.reactor.arrayCommand(port, cdb, list)).status;
}

async function said(daemon: TestDaemon, t: ExecutionContext, kind: string): Promise<string[]> {
  const { events } = await daemon.get<"events">(t, "/v1/events?limit=1000");
  return events.filter((event) => event.kind === kind).map(({ text }) => text);
}

test("a key is registered on every path, kept in a file that only its owner reads, and unregistered on every path", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  const now = await order(daemon, t, { action: "register", serviceActionKey: "0x00ABC" });
  t.is(now.state, "registered");
  t.is(now.key, "0xabc");
  t.deepEqual(now.device?.keys, ["0xabc", "0xabc", "0xabc", "0xabc"]);
  t.deepEqual(
    now.paths.map(({ registered }) => registered),
    [true, true, true, true],
  );
  const file = join(daemon.folder, "state", "reservation-keys");
  t.is(statSync(file).mode & 0o777, 0o600);
  t.true(readFileSync(file, "utf8").includes("0xabc"));
  const later = await order(daemon, t, { action: "register", serviceActionKey: "0" });
  t.is(later.state, "none");
  t.deepEqual(later.device?.keys, []);
  t.false(readFileSync(file, "utf8").includes("0xabc"));
});

test("the key changes on every path; one that names another key is refused, and told with who holds what", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  await order(daemon, t, { action: "register", serviceActionKey: "1" });
  const refused = await daemon.refused(t, "POST", ROUTE, { action: "register", key: "5", serviceActionKey: "2" });
  t.is(refused.code, "RESERVATION_CONFLICT");
  const ignored = await order(daemon, t, { action: "register-ignore", key: "5", serviceActionKey: "3" });
  t.deepEqual(new Set(ignored.device?.keys), new Set(["0x3"]));
  const changed = await order(daemon, t, { action: "register", key: "3", serviceActionKey: "2" });
  t.deepEqual(changed.device?.keys, ["0x2", "0x2", "0x2", "0x2"]);
  t.is((await said(daemon, t, "reservation-conflict")).length, 1);
});

test("a reservation is held by one path, and released through whichever is there", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  await order(daemon, t, { action: "register", serviceActionKey: "7" });
  const held = await order(daemon, t, { action: "reserve", type: 5 });
  t.deepEqual(held.device?.held, { key: "0x7", scope: 0, type: 5 });
  t.is(held.type, 5);
  t.is(held.holder, "4:0:0:0");
  // Again is no conflict, as for any holder; another type is.
  await order(daemon, t, { action: "reserve", type: 5 });
  t.is((await daemon.refused(t, "POST", ROUTE, { action: "reserve", type: 6 })).code, "RESERVATION_CONFLICT");
  t.is((await daemon.refused(t, "POST", ROUTE, { action: "release", type: 6 })).code, "INVALID_REQUEST");
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "port-down" }, where: { path: "4:0:0:0" } });
  const released = await order(daemon, t, { action: "release", type: 5 });
  t.is(released.device?.held, null);
  t.is(released.state, "registered");
  t.deepEqual(new Set(released.device?.keys), new Set(["0x7"]));
});

for (const array of ["spc", "lio"]) {
  test(`a path that is refused takes the others with it (an array of the kind ${array})`, async (t) => {
    const daemon = await TestDaemon.start(t, `${ONE}registrations = "${array}"\n`);
    // Somebody has registered the last path with another key.
    t.is(await onPort(daemon, 3, { action: "register", key: "0x0", serviceActionKey: "0x99" }), 0);
    const refused = await daemon.refused(t, "POST", ROUTE, { action: "register", serviceActionKey: "1" });
    t.is(refused.code, "RESERVATION_CONFLICT");
    const now = await view(daemon, t);
    t.is(now.state, "none");
    t.deepEqual(now.device?.keys, ["0x99"]);
    const undone = await said(daemon, t, "registration-undone");
    t.is(undone.length, 1);
    t.notRegex(undone[0] ?? "", /paths left [1-9]/);
  });

  test(`the key of a unit is changed, and taken back (an array of the kind ${array})`, async (t) => {
    const daemon = await TestDaemon.start(t, `${ONE}registrations = "${array}"\n`);
    await order(daemon, t, { action: "register", serviceActionKey: "1" });
    const changed = await order(daemon, t, { action: "register", key: "1", serviceActionKey: "2" });
    t.deepEqual(changed.device?.keys, ["0x2", "0x2", "0x2", "0x2"]);
    const left = await order(daemon, t, { action: "register", serviceActionKey: "0" });
    t.like(left, { state: "none", device: { keys: [] } });
  });
}

test("a device that is busy is asked again; one that does not answer is named path by path", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  const strike = (fault: object, when: object): Promise<unknown> =>
    daemon.change(t, "POST", "/v1/array/faults", { fault, when });
  await strike({ kind: "error", status: 8 }, { opcode: REGISTERS, times: 2 });
  await strike({ kind: "error", status: 0x40 }, { opcode: READS, times: 1 });
  const now = await order(daemon, t, { action: "register", serviceActionKey: "1" });
  t.deepEqual(now.device?.keys, ["0x1", "0x1", "0x1", "0x1"]);
  await strike({ kind: "error", hostStatus: 1 }, { opcode: READS });
  const { problem } = await view(daemon, t);
  t.regex(problem ?? "", /no path of LogicalUnit #0 answers: 4:0:0:0 \(host status 0x1\); 4:0:1:0 \(/);
});

test("an array without reservations says so; with reservations on one controller only, nothing is left registered", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  const unknown = { kind: "error", senseKey: 5, asc: 0x20 };
  for (const opcode of [READS, REGISTERS]) {
    await daemon.change(t, "POST", "/v1/array/faults", { fault: unknown, where: { controller: 1 }, when: { opcode } });
  }
  const half = await daemon.refused(t, "POST", ROUTE, { action: "register", serviceActionKey: "1" });
  t.is(half.code, "RESERVATION_UNSUPPORTED");
  const now = await view(daemon, t);
  t.is(now.state, "none");
  t.deepEqual(now.device?.keys, []);
  for (const opcode of [READS, REGISTERS]) {
    await daemon.change(t, "POST", "/v1/array/faults", { fault: unknown, when: { opcode } });
  }
  const none = await daemon.refused(t, "POST", ROUTE, { action: "register", serviceActionKey: "1" });
  t.is(none.code, "RESERVATION_UNSUPPORTED");
  t.regex(none.message, /has no persistent reservations/);
});

test("what is wrong is named", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  for (const key of ["", "xyz", "0x", "12345678901234567"]) {
    const refused = await daemon.refused(t, "POST", ROUTE, { action: "register", serviceActionKey: key });
    t.is(refused.code, "INVALID_REQUEST", key);
    t.regex(refused.message, /16 hexadecimal digits/, key);
  }
  for (const type of [0, 2, 4, 9, 15]) {
    const refused = await daemon.refused(t, "POST", ROUTE, { action: "reserve", type });
    t.is(refused.code, "INVALID_REQUEST", String(type));
    t.regex(refused.message, new RegExp(`there is no type ${type}`));
  }
  t.regex((await daemon.refused(t, "POST", ROUTE, { action: "reserve" })).message, /type: is missing/);
  const moved = await daemon.refused(t, "POST", ROUTE, { action: "register-move", serviceActionKey: "1" });
  t.regex(moved.message, /REGISTER AND MOVE/);
  const unregistered = await daemon.refused(t, "POST", ROUTE, { action: "reserve", type: 5 });
  t.is(unregistered.code, "RESERVATION_CONFLICT");
  t.regex(unregistered.message, /not registered/);
  await order(daemon, t, { action: "register", serviceActionKey: "1" });
  const nobody = await daemon.refused(t, "POST", ROUTE, { action: "preempt", serviceActionKey: "0", type: 5 });
  t.is(nobody.code, "INVALID_REQUEST");
  t.is((await daemon.refused(t, "GET", `${ROUTE}/in?action=everything`)).code, "INVALID_REQUEST");
});

test("the answers of PERSISTENT RESERVE IN are passed on byte by byte, as many as are asked for", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  await order(daemon, t, { action: "register", serviceActionKey: "1234567890abcdef" });
  const { data } = await daemon.get<"askReservation">(t, `${ROUTE}/in?action=keys`);
  t.is(data.slice(8), `00000020${"1234567890abcdef".repeat(4)}`);
  t.is((await daemon.get<"askReservation">(t, `${ROUTE}/in?action=keys&bytes=8`)).data, data.slice(0, 16));
  t.is((await daemon.get<"askReservation">(t, `${ROUTE}/in?action=capabilities`)).data.length, 16);
  t.true((await daemon.get<"askReservation">(t, `${ROUTE}/in?action=full-status`)).data.length > 4 * 48);
});

test("keys that are another host's, or damaged, are not used but moved away", async (t) => {
  const first = await TestDaemon.start(t, ONE);
  await order(first, t, { action: "register", serviceActionKey: "1" });
  const file = join(first.folder, "state", "reservation-keys");
  const text = readFileSync(file, "utf8");
  await first.stop();
  writeFileSync(file, text.replace(/"host": "[^"]*"/, '"host": "another"'));
  const second = await TestDaemon.start(t, "", first.folder);
  t.is((await view(second, t)).state, "none");
  t.regex((await said(second, t, "reservation-keys-unused"))[0] ?? "", /foreign/);
  t.true(readFileSync(`${file}.of-another-host`, "utf8").includes("0x1"));
  await second.stop();
  writeFileSync(file, text.slice(0, 40));
  const third = await TestDaemon.start(t, "", first.folder);
  t.is((await view(third, t)).state, "none");
  t.is((await said(third, t, "reservation-keys-unused")).length, 2);
});

const RESERVE = { action: "reserve", bytes: 6 } as const;
const RELEASE = { action: "release", bytes: 6 } as const;

/** What a refused command says. */
const refusal = (done: Promise<void>): Promise<{ code: string; scsiStatus: number } | null> =>
  done.then(
    () => null,
    (thrown: { code: string; scsiStatus: number }) => thrown,
  );

test("RESERVE of SPC-2 passes to the path in use, in cluster mode only; it is told when that path is lost", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  const { reservations, inventory } = daemon.daemon;
  const unit = inventory.unit("0");
  const write = Uint8Array.of(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0);
  const writeOn = async (port: number): Promise<number> => {
    const { status } = await daemon.daemon.reactor.arrayCommand(port, write, new Uint8Array(512));
    // A unit attention comes first.
    return status === 2 ? writeOn(port) : status;
  };
  t.like(await refusal(reservations.orderLegacy(unit, RESERVE)), { code: "RESERVATION_UNSUPPORTED", scsiStatus: 2 });
  t.is(await writeOn(1), 0, "nothing is reserved");
  await daemon.change(t, "PATCH", "/v1/mode", { cluster: true });
  const { paths } = await daemon.get<"paths">(t, "/v1/paths");
  const used = paths.find(({ state }) => state === "in use")?.number ?? "";
  const port = Number(used.split(":")[2]);
  const another = (port + 1) % 4;
  await reservations.orderLegacy(unit, RESERVE);
  t.deepEqual([await writeOn(port), await writeOn(another)], [0, 0x18], "the path in use may write, and no other");
  await reservations.orderLegacy(unit, RELEASE);
  t.is(await writeOn(another), 0);
  // Who else holds it is told.
  t.is((await daemon.daemon.reactor.arrayCommand(another, Uint8Array.of(0x16, 0, 0, 0, 0, 0), 0)).status, 0);
  t.like(await refusal(reservations.orderLegacy(unit, RESERVE)), { code: "RESERVATION_CONFLICT", scsiStatus: 0x18 });
  t.is((await daemon.daemon.reactor.arrayCommand(another, Uint8Array.of(0x17, 0, 0, 0, 0, 0), 0)).status, 0);
  await reservations.orderLegacy(unit, RESERVE);
  await daemon.change(t, "POST", `/v1/paths/${used}/disable`);
  await until("it is told", async () => (await said(daemon, t, "legacy-reservation-lost")).length === 1);
});

test("a reset ends a RESERVE of SPC-2: its initiators are told, I/O goes on, and it can be made again", async (t) => {
  const daemon = await TestDaemon.start(t, `cluster = true\n${ONE}`);
  const { reservations, inventory, reactor } = daemon.daemon;
  const unit = inventory.unit("0");
  const told: number[] = [];
  reactor.scsiAttention = ({ name }, code) => Promise.resolve(void told.push(name, code));
  const { paths } = await daemon.get<"paths">(t, "/v1/paths");
  const used = Number((paths.find(({ state }) => state === "in use")?.number ?? "").split(":")[2]);
  await reservations.orderLegacy(unit, RESERVE);
  const other = (used + 1) % 4;
  const reserveAt = async (port: number): Promise<number> => {
    const { status } = await reactor.arrayCommand(port, Uint8Array.of(0x16, 0, 0, 0, 0, 0), 0);
    return status === 2 ? reserveAt(port) : status;
  };
  t.is(await reserveAt(other), 0x18);
  await reactor.addFault({ fault: { kind: "power-loss" } });
  await until("it is told", async () => (await said(daemon, t, "legacy-reservation-lost")).length === 1);
  t.deepEqual(told, [0, 0x2903]);
  await until("the path carries I/O", async () => {
    const now = await daemon.get<"paths">(t, "/v1/paths");
    return now.paths.every(({ conditions }) => conditions.length === 0);
  });
  await reservations.orderLegacy(unit, { action: "reserve", bytes: 10 });
  t.is(await reserveAt(other), 0x18);
  // What was made before cluster mode went off can still be released.
  await daemon.change(t, "PATCH", "/v1/mode", { cluster: false });
  await reservations.orderLegacy(unit, { action: "release", bytes: 10 });
  t.is(await reserveAt(other), 0);
  t.is((await said(daemon, t, "legacy-reservation-lost")).length, 1);
});

test("a RESERVE of SPC-2 is known to the next daemon: one that the array has lost meanwhile is told", async (t) => {
  const first = await TestDaemon.start(t, `cluster = true\n${ONE}`);
  await first.daemon.reservations.orderLegacy(first.daemon.inventory.unit("0"), RESERVE);
  const file = join(first.folder, "state", "legacy-reservations");
  t.regex(readFileSync(file, "utf8"), /"[45]:0:\d:0"/);
  await first.stop();
  // The array of the next daemon is new, and says so with a unit attention.
  const second = await TestDaemon.start(t, "", first.folder);
  await until("it is told", async () => (await said(second, t, "legacy-reservation-lost")).length === 1);
  t.is(readFileSync(file, "utf8"), "{}\n");
  await second.stop();
  writeFileSync(file, "nonsense");
  const third = await TestDaemon.start(t, "", first.folder);
  t.is((await said(third, t, "legacy-reservation-lost")).length, 1);
});

test("SPC-2's commands from an initiator: the whole unit, and nothing but it", async (t) => {
  const asked: string[] = [];
  const service = {
    order: () => Promise.reject(new Error("not asked")),
    ask: () => Promise.reject(new Error("not asked")),
    orderLegacy: (unit: string, { action, bytes }: { action: string; bytes: number }) =>
      Promise.resolve(void asked.push(`${unit} ${action} ${bytes}`)),
  };
  const reply = async (
    cdb: readonly number[],
    to: Parameters<typeof reservationReply<string>>[0] = service,
  ): Promise<string> => {
    const list = new Uint8Array(0);
    const bytes = new Uint8Array(16);
    bytes.set(cdb);
    const { status, sense = list } = await reservationReply(to, "u", bytes, list, (problem) => t.fail(problem));
    return `${status} ${[sense[2], sense[12]].join("/")}`;
  };
  for (const opcode of [0x16, 0x17, 0x56, 0x57]) t.is(await reply([opcode]), "0 /");
  t.deepEqual(asked, ["u reserve 6", "u release 6", "u reserve 10", "u release 10"]);
  // An extent, a third party, a list of parameters.
  for (const cdb of [
    [0x16, 1],
    [0x17, 0x10],
    [0x56, 0x12],
    [0x56, 0, 0, 0, 0, 0, 0, 0, 8],
  ]) {
    t.is(await reply(cdb), `2 5/${0x24}`, `${cdb}`);
  }
  const { orderLegacy: _, ...persistent } = service;
  t.is(await reply([0x16], persistent), `2 5/${0x20}`, "a guest's helper carries out persistent ones alone");
  t.is(asked.length, 4);
});
