// qemu-pr-helper's protocol: QEMU's guests make persistent reservations through the daemon, and nobody harms it.

import { closeSync, existsSync, openSync, readdirSync, statSync } from "node:fs";
import { mkdtempSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import test, { type ExecutionContext } from "ava";
import { listenPlain } from "../../../host/control/ground/listen.ts";
import { PrHelper, type HelperUnits } from "../../../host/control/reservations/pr-helper.ts";
import { invalid, INVALID_FIELD_IN_CDB } from "../../../host/control/reservations/reservation-parts.ts";
import { reserveInCdb, reserveOutCommand, type ReserveOut } from "../../../host/discovery/persistent-reservations.ts";
import { sendDescriptor } from "../../../host/native/index.ts";
import { until } from "../../until.ts";

/** A unit whose device is /dev/null. */
class NullUnit implements HelperUnits<string> {
  readonly orders: ReserveOut[] = [];

  unitOf({ isBlock, major, minor }: { isBlock: boolean; major: number; minor: number }): string | undefined {
    return !isBlock && major === 1 && minor === 3 ? "null" : undefined;
  }

  order(_: string, out: ReserveOut): Promise<void> {
    if (out.type === 4) throw invalid("type 4", "another", INVALID_FIELD_IN_CDB);
    this.orders.push(out);
    return Promise.resolve();
  }

  ask(_: string, action: string, bytes: number): Promise<Uint8Array> {
    return Promise.resolve(new Uint8Array(Math.min(bytes, 24)).fill(action.length));
  }
}

class Client {
  readonly socket: Socket;
  #bytes = Buffer.alloc(0);
  isClosed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (more: Buffer) => (this.#bytes = Buffer.concat([this.#bytes, more])));
    socket.on("close", () => (this.isClosed = true)).on("error", () => undefined);
  }

  static async connect(path: string): Promise<Client> {
    const socket = connect(path);
    await once(socket, "connect");
    return new Client(socket);
  }

  get descriptor(): number {
    return (Reflect.get(this.socket, "_handle") as { fd: number }).fd;
  }

  async take(length: number): Promise<Buffer> {
    await until(`${length} bytes have come`, () => this.#bytes.length >= length);
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return taken;
  }

  async greet(): Promise<void> {
    await this.take(4);
    this.socket.write(new Uint8Array(4));
  }

  /** As QEMU sends it: the command with the device's descriptor, then the parameter list. */
  async request(
    device: string | null,
    cdb: Uint8Array,
    list?: Uint8Array,
  ): Promise<{ status: number; sense: Buffer; data: Buffer }> {
    const whole = Buffer.alloc(16);
    whole.set(cdb);
    if (device === null) this.socket.write(whole);
    else {
      const fd = openSync(device, "r");
      sendDescriptor(this.descriptor, fd, whole.readUInt32LE(0));
      closeSync(fd);
      this.socket.write(whole.subarray(4));
    }
    if (list !== undefined) this.socket.write(list);
    const head = await this.take(104);
    const data = await this.take(head.readInt32BE(4));
    return { status: head.readInt32BE(0), sense: head.subarray(8), data };
  }
}

async function helper(t: ExecutionContext): Promise<{ path: string; unit: NullUnit; problems: string[] }> {
  const path = join(mkdtempSync(join(tmpdir(), "pm-helper-")), "pr.sock");
  const unit = new NullUnit();
  const problems: string[] = [];
  const made = new PrHelper(unit, (problem) => problems.push(problem));
  await listenPlain(made.server, { path, group: null, who: "owner" });
  t.teardown(() => made.stop());
  return { path, unit, problems };
}

test("a guest's commands reach the unit of the descriptor, and its answers the guest", async (t) => {
  const { path, unit } = await helper(t);
  t.is(statSync(path).mode & 0o777, 0o600);
  const client = await Client.connect(path);
  await client.greet();
  const keys = await client.request("/dev/null", reserveInCdb("keys", 4096));
  t.like(keys, { status: 0 });
  t.is(keys.data.length, 24);
  t.is((await client.request("/dev/null", reserveInCdb("keys", 8))).data.length, 8);
  const { cdb, list } = reserveOutCommand({ action: "register", key: "0x0", serviceActionKey: "0xabc", aptpl: true });
  t.like(await client.request("/dev/null", cdb, list), { status: 0 });
  t.deepEqual(unit.orders, [
    { action: "register", key: "0x0", serviceActionKey: "0xabc", type: 0, aptpl: true, allTargetPorts: false },
  ]);
  const odd = reserveOutCommand({ action: "reserve", key: "0xabc", type: 4 });
  const refused = await client.request("/dev/null", odd.cdb, odd.list);
  t.is(refused.status, 2);
  t.deepEqual([...refused.sense.subarray(0, 14)], [0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0]);
  client.socket.destroy();
});

test("devices that are not ours, commands that are others, and lists that are wrong are refused", async (t) => {
  const { path, unit } = await helper(t);
  const client = await Client.connect(path);
  await client.greet();
  const { cdb, list } = reserveOutCommand({ action: "clear", key: "0x1" });
  t.like(await client.request("/dev/zero", cdb, list), { status: 2 });
  t.like(await client.request(null, cdb, list), { status: 2 });
  t.like(await client.request("/dev/null", Uint8Array.of(0x2a, 0, 0, 0, 0, 0, 0, 0, 8)), { status: 2 });
  t.like(await client.request("/dev/null", Uint8Array.of(0x5e, 0x1f)), { status: 2 });
  t.like(await client.request("/dev/null", Uint8Array.of(0x5f, 0x1f, 0, 0, 0, 0, 0, 0, 24), list), { status: 2 });
  t.like(await client.request("/dev/null", Uint8Array.of(0x5f, 0, 0, 0, 0, 0, 0, 0, 8), list.subarray(0, 8)), {
    status: 2,
  });
  const scoped = Uint8Array.from(cdb);
  scoped[2] = 0x15;
  t.like(await client.request("/dev/null", scoped, list), { status: 2 });
  t.deepEqual(unit.orders, []);
  client.socket.destroy();
});

const HOSTILE: readonly (readonly [what: string, bytes: Uint8Array])[] = [
  ["features that there are not", Uint8Array.of(0, 0, 0, 1)],
  ["a list that is too long", Uint8Array.from([0, 0, 0, 0, 0x5f, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...new Uint8Array(7)])],
];

for (const [what, bytes] of HOSTILE) {
  test(`${what}: the connection ends, and the next client is served`, async (t) => {
    const { path } = await helper(t);
    const client = await Client.connect(path);
    client.socket.write(bytes);
    await until("it is closed", () => client.isClosed);
    const next = await Client.connect(path);
    await next.greet();
    t.like(await next.request("/dev/null", reserveInCdb("keys", 24)), { status: 0 });
    next.socket.destroy();
  });
}

test("whatever bytes a client sends, nothing is carried out, and the next one is served", async (t) => {
  const { path, unit, problems } = await helper(t);
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 200 });
  const commands = fc.tuple(fc.constantFrom(0x5e, 0x5f), bytes).map(([code, rest]) => Uint8Array.of(code, ...rest));
  const sends = fc.asyncProperty(fc.oneof(bytes, commands), fc.boolean(), async (given, isGreeted) => {
    const client = await Client.connect(path);
    if (isGreeted) await client.greet();
    client.socket.write(given);
    client.socket.end();
    await until("it is closed", () => client.isClosed);
    client.socket.destroy();
  });
  await fc.assert(sends, { numRuns: 60 });
  const next = await Client.connect(path);
  await next.greet();
  t.like(await next.request("/dev/null", reserveInCdb("keys", 24)), { status: 0 });
  next.socket.destroy();
  t.deepEqual(unit.orders, []);
  t.deepEqual(problems, []);
});

const openFiles = (): number => readdirSync("/proc/self/fd").length;

test("descriptors that nobody asked for are closed, also of clients that end within a message", async (t) => {
  const { path } = await helper(t);
  const before = openFiles();
  for (let round = 0; round < 20; round++) {
    const client = await Client.connect(path);
    const fd = openSync("/dev/null", "r");
    sendDescriptor(client.descriptor, fd, 0);
    sendDescriptor(client.descriptor, fd, 0x5e);
    sendDescriptor(client.descriptor, fd, 0);
    closeSync(fd);
    client.socket.destroy();
  }
  await until("all of them are closed", () => openFiles() <= before + 1);
  t.true(existsSync(path));
});
