// From Node's socket to the ring: no byte is lost, none is read twice, and nobody reads but the ring afterwards.

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { NbdAddress, NegotiatedConnection } from "../../../host/export/address.ts";
import { NbdServer } from "../../../host/export/server.ts";
import { closeDescriptor, duplicate } from "../../../host/native/index.ts";
import { until } from "../../until.ts";
import { BACKENDS, type Backend, Bench, FREE } from "../native/harness.ts";
import { infoData, option, u32 } from "./client.ts";

const ROOM = 1 << 20;
const GO = Buffer.concat([u32(3), option(7, infoData("0"))]);
/** Bytes of the greeting and of the answers to GO: EXPORT, BLOCK_SIZE, ACK. */
const ANSWER_BYTES = 18 + (20 + 12) + (20 + 14) + 20;

interface Taken {
  readonly connection: NegotiatedConnection;
  readonly client: Socket;
}

class Stage {
  readonly server: NbdServer;
  readonly #taken: ((connection: NegotiatedConnection) => void)[] = [];
  #address: NbdAddress = { kind: "unix", path: "" };

  constructor() {
    this.server = new NbdServer({
      duplicate,
      hand: (connection) => {
        this.#taken.shift()?.(connection);
        return Promise.resolve(0);
      },
    });
    this.server.setExports([{ unit: 3, number: 0, bytes: 1n << 20n, blockBytes: 512, capabilities: 0 }]);
  }

  async listen(t: ExecutionContext, kind: "unix" | "tcp"): Promise<this> {
    const folder = mkdtempSync(join(tmpdir(), "pm-export-"));
    t.teardown(async () => {
      await this.server.close();
      rmSync(folder, { recursive: true, force: true });
    });
    const unix: NbdAddress = { kind: "unix", path: join(folder, "nbd.sock") };
    this.#address = await this.server.listen(kind === "unix" ? unix : { kind: "tcp", host: "127.0.0.1", port: 0 });
    return this;
  }

  /** Connects a client that says all of this at once. */
  async client(...said: Uint8Array[]): Promise<Taken> {
    const taken = new Promise<NegotiatedConnection>((resolve) => this.#taken.push(resolve));
    const address = this.#address;
    const client = address.kind === "unix" ? connect(address.path) : connect(address.port, address.host);
    client.on("error", () => {});
    client.write(Buffer.concat(said));
    return { connection: await taken, client };
  }
}

/** Receives by the ring until the stream ends; Node's loop gets its turns, for the client lives there. */
async function drain(bench: Bench, handle: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (;;) {
    bench.recv(handle, 1, FREE, ROOM);
    let completed = bench.completions();
    while (completed.length === 0) {
      bench.ring.enter(1000);
      completed = bench.completions();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const result = completed[0]?.result ?? -1;
    if (result < 0) throw new Error(`RECV answers ${result}`);
    if (result === 0) return Buffer.concat(parts);
    parts.push(Buffer.from(bench.memory.subarray(FREE, FREE + result)));
  }
}

for (const kind of ["unix", "tcp"] as const) {
  for (const backend of BACKENDS) {
    test(`${kind}, ${backend}: what a client sends right behind GO arrives once and in order`, async (t) => {
      const stage = await new Stage().listen(t, kind);
      const bench = new Bench(backend);
      for (const bytes of [0, 1, 27, 28, 29, 4096, 60_000, 65_536, 200_000, 1_000_000]) {
        const said = randomBytes(bytes);
        const { connection, client } = await stage.client(GO, said);
        t.is(connection.unit, 3);
        t.true(connection.preloaded.length <= 65_536);
        const handle = bench.ring.addSocket(connection.descriptor);
        client.end();
        const all = Buffer.concat([connection.preloaded, await drain(bench, handle)]);
        t.true(all.equals(said), `${bytes} bytes`);
        bench.submit({ op: 4, tag: 2, handle });
        bench.until(1);
        client.destroy();
      }
      bench.ring.close();
    });
  }
}

test("a client whose host has lost its power is noticed: its connection is kept alive", async (t) => {
  const stage = await new Stage().listen(t, "tcp");
  const { connection, client } = await stage.client(GO);
  const port = (client.remotePort ?? 0).toString(16).toUpperCase().padStart(4, "0");
  t.teardown(() => {
    closeDescriptor(connection.descriptor);
    client.destroy();
  });
  client.resume();
  // Columns of /proc/net/tcp: number, local address, remote address, state (01: established), queues, timer (01: something
  // is not acknowledged yet, 02: keepalive).
  const timer = (): string | undefined => {
    const rows = readFileSync("/proc/net/tcp", "utf8").split("\n");
    const row = rows.find((line) => line.split(/\s+/)[2]?.endsWith(`:${port}`) === true && / 01 /.test(line));
    return / (\d\d):[0-9A-F]{8} /.exec(row?.slice(row.indexOf(" 01 ") + 21) ?? "")?.[1];
  };
  t.is(await until("nothing is left to acknowledge", () => timer() === "02" && timer()), "02");
});

function waits(backend: Backend): void {
  test(`${backend}: a RECV on the handed-over socket waits without spinning, and Node takes nothing from it`, async (t) => {
    const stage = await new Stage().listen(t, "unix");
    const bench = new Bench(backend);
    const { connection, client } = await stage.client(GO);
    const answer: Buffer[] = [];
    client.on("data", (chunk) => answer.push(Buffer.from(chunk)));
    const handle = bench.ring.addSocket(connection.descriptor);
    bench.recv(handle, 1, FREE, 4096);
    const before = process.cpuUsage();
    bench.ring.enter(300_000);
    const { user, system } = process.cpuUsage(before);
    t.deepEqual(bench.completions(), []);
    t.true(user + system < 150_000, `${user + system} us of CPU in 300 ms of waiting`);
    client.write("request");
    // Node's own loop runs here: it must not see these bytes.
    await new Promise((resolve) => setTimeout(resolve, 20));
    t.is(bench.results(1).get(1), 7);
    bench.memory.set(Buffer.from("reply"), FREE);
    bench.send(handle, 2, FREE + 4096, [[FREE, 5]]);
    t.is(bench.results(1).get(2), 5);
    while (Buffer.concat(answer).length < ANSWER_BYTES + 5) await once(client, "data");
    t.is(Buffer.concat(answer).subarray(ANSWER_BYTES).toString(), "reply");
    const closed = new Promise((resolve) => client.on("close", resolve));
    bench.ring.close();
    await closed;
  });
}

for (const backend of BACKENDS) waits(backend);

test("no descriptor is left behind, whoever hangs up and whenever", async (t) => {
  const stage = await new Stage().listen(t, "unix");
  for (let round = 0; round < 50; round++) {
    const { connection, client } = await stage.client(GO);
    if (round % 2 === 0) client.destroy();
    closeDescriptor(connection.descriptor);
    // The server's own descriptor must be gone too, or the client would wait for ever.
    if (!client.destroyed) await once(client.resume(), "end");
    client.destroy();
  }
  t.is(stage.server.negotiating, 0);
});
