// The sockets of the export: who may connect, how long a client may take, how many may come.

import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { ExportError } from "../../../host/export/export-errors.ts";
import { ConnectionRoom, NoRoom } from "../../../host/export/connection-limit.ts";
import { NbdServer, type NbdServerEvent, type NbdServerOptions } from "../../../host/export/server.ts";
import { closeDescriptor, duplicate } from "../../../host/native/index.ts";
import { until } from "../../until.ts";
import { infoData, option, replies, u32 } from "./client.ts";

const LU0 = { unit: 0, number: 0, bytes: 1n << 20n, blockBytes: 512, capabilities: 0 };

function folder(t: { teardown: (undo: () => void) => void }): string {
  const path = mkdtempSync(join(tmpdir(), "pm-export-"));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A server whose clients never get past the negotiation. */
function negotiator(options: Partial<NbdServerOptions> = {}): { server: NbdServer; events: NbdServerEvent[] } {
  const events: NbdServerEvent[] = [];
  const server = new NbdServer({
    hand: () => Promise.reject(new Error("not in this test")),
    duplicate: () => {
      throw new Error("not in this test");
    },
    onEvent: (event) => events.push(event),
    ...options,
  });
  server.setExports([LU0]);
  return { server, events };
}

/** Everything the server says until it closes. */
async function everything(client: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  client.on("data", (chunk) => chunks.push(Buffer.from(chunk)));
  // Not `once`: it rejects on an error, and to be reset while writing is a fair way to be closed.
  client.on("error", () => {});
  await new Promise((resolve) => client.on("close", resolve));
  return Buffer.concat(chunks);
}

test("the Unix socket is for owner and group only, and gone after close", async (t) => {
  const path = join(folder(t), "nbd.sock");
  const { server } = negotiator();
  await server.listen({ kind: "unix", path });
  t.is(statSync(path).mode & 0o777, 0o660);
  await server.close();
  t.throws(() => statSync(path));
});

test("the folder of the socket is made when it is missing, as after a boot", async (t) => {
  const path = join(folder(t), "pathmanager", "nbd.sock");
  const { server } = negotiator();
  await server.listen({ kind: "unix", path });
  t.true(statSync(path).isSocket());
  await server.close();
});

test("a folder of the socket that cannot be made is an error that names the socket", async (t) => {
  const file = join(folder(t), "file");
  writeFileSync(file, "");
  const { server } = negotiator();
  const path = join(file, "nbd.sock");
  const error = await t.throwsAsync(server.listen({ kind: "unix", path }), { instanceOf: ExportError });
  t.is(error?.code, "EXPORT_LISTEN_FAILED");
  t.true(error?.message.includes(path));
});

test("a socket file that a killed daemon left behind is replaced", async (t) => {
  const path = join(folder(t), "nbd.sock");
  const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  const { spawnSync } = await import("node:child_process");
  t.is(spawnSync(process.execPath, ["-e", script]).signal, "SIGKILL");
  t.true(statSync(path).isSocket());
  const { server } = negotiator();
  await server.listen({ kind: "unix", path });
  const client = connect(path);
  await once(client, "data");
  client.destroy();
  await server.close();
});

test("a socket that another server listens on is refused, and so is a file", async (t) => {
  const path = join(folder(t), "nbd.sock");
  const other = createServer().listen(path);
  await once(other, "listening");
  const { server } = negotiator();
  const taken = await t.throwsAsync(server.listen({ kind: "unix", path }), { instanceOf: ExportError });
  t.is(taken.code, "EXPORT_ADDRESS_IN_USE");
  other.close();
  const file = join(folder(t), "file");
  writeFileSync(file, "precious");
  const refused = await t.throwsAsync(server.listen({ kind: "unix", path: file }), { instanceOf: ExportError });
  t.true(refused.message.includes(file));
  t.true(statSync(file).isFile());
});

test("TCP: port 0 takes a free one and tells it", async (t) => {
  const { server } = negotiator();
  const address = await server.listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
  if (address.kind !== "tcp") throw new Error("not TCP");
  const client = connect(address.port, "127.0.0.1");
  const [greeting] = await once(client, "data");
  t.is(Buffer.from(greeting).subarray(0, 8).toString(), "NBDMAGIC");
  client.destroy();
  await server.close();
});

test("a client that sends one byte at a time is answered like any other", async (t) => {
  const path = join(folder(t), "nbd.sock");
  const { server } = negotiator();
  await server.listen({ kind: "unix", path });
  const client = connect(path);
  const said = everything(client);
  for (const byte of Buffer.concat([u32(1), option(3), option(6, infoData("0")), option(2)])) {
    await new Promise((resolve) => client.write(Buffer.from([byte]), resolve));
  }
  const types = replies((await said).subarray(18)).map(({ type }) => type);
  t.deepEqual(types, [2, 1, 3, 3, 1, 1]);
  await server.close();
});

test("a client that says nothing is closed, others are served meanwhile", async (t) => {
  const path = join(folder(t), "nbd.sock");
  const { server, events } = negotiator({ negotiationTimeoutMs: 2000 });
  await server.listen({ kind: "unix", path });
  const silent = connect(path);
  const silence = everything(silent);
  await once(silent, "connect");
  const busy = connect(path);
  const said = everything(busy);
  busy.write(Buffer.concat([u32(1), option(3), option(2)]));
  t.is(replies((await said).subarray(18)).length, 3);
  t.is((await silence).length, 18);
  t.true(events.some((event) => event.kind === "refused" && event.reason.includes("2000 ms")));
  t.is(server.negotiating, 0);
  await server.close();
});

test("a client that trickles bytes does not gain time", async (t) => {
  const path = join(folder(t), "nbd.sock");
  const { server } = negotiator({ negotiationTimeoutMs: 200 });
  await server.listen({ kind: "unix", path });
  const client = connect(path);
  const closed = everything(client);
  const trickle = setInterval(() => client.write(Buffer.from([0])), 20);
  t.teardown(() => clearInterval(trickle));
  client.write(Buffer.concat([u32(1), option(99, Buffer.alloc(0), 60000)]));
  t.is((await closed).length, 18);
  await server.close();
});

test("one client too many is closed at once; a place that becomes free is used", async (t) => {
  const path = join(folder(t), "nbd.sock");
  const { server } = negotiator({ negotiatingMax: 2, silentMs: Infinity });
  await server.listen({ kind: "unix", path });
  const first = connect(path);
  const second = connect(path);
  await Promise.all([once(first, "data"), once(second, "data")]);
  t.is((await everything(connect(path))).length, 0);
  first.destroy();
  await until("the place is free", () => server.negotiating <= 1);
  const [greeting] = await once(connect(path), "data");
  t.is(greeting.length, 18);
  second.destroy();
  await server.close();
});

test("silent clients on one address keep nobody from another one", async (t) => {
  const path = join(folder(t), "nbd.sock");
  const { server, events } = negotiator({ negotiatingMax: 4, silentMs: Infinity });
  await server.listen({ kind: "unix", path });
  const address = await server.listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
  const port = address.kind === "tcp" ? address.port : 0;
  const silent = [connect(port, "127.0.0.1"), connect(port, "127.0.0.1")];
  await Promise.all(silent.map((client) => once(client, "data")));
  t.is((await everything(connect(port, "127.0.0.1"))).length, 0);
  t.true(events.some((event) => event.kind === "refused" && event.isFull));
  const local = connect(path);
  const [greeting] = await once(local, "data");
  t.is(greeting.length, 18);
  for (const client of [...silent, local]) client.destroy();
  await server.close();
});

test("of clients that say nothing the one that came first goes for the next, counted and told with its name", async (t) => {
  const told: string[] = [];
  const { server } = negotiator({
    negotiatingMax: 4,
    silentMs: 0,
    onRefused: (why, peer) => told.push(`${peer}: ${why}`),
  });
  const address = await server.listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
  const port = address.kind === "tcp" ? address.port : 0;
  const silent: Socket[] = [];
  for (let i = 0; i < 2; i++) {
    const client = connect(port, "127.0.0.1");
    await once(client, "data");
    silent.push(client);
  }
  const gone = everything(silent[0] as Socket);
  // Only one that has been silent for a while has to give way.
  await until("one gives way", async () => (await everythingOrGreeting(connect(port, "127.0.0.1"))) > 0);
  await gone;
  t.false((silent[1] as Socket).destroyed);
  t.is(server.negotiating, 2);
  t.true(server.refused["too many negotiate"] > 0);
  t.deepEqual(told, ["address 127.0.0.1: too many negotiate"]);
  for (const client of silent) client.destroy();
  await server.close();
});

/** How much the server says at first; it may close instead. */
async function everythingOrGreeting(client: Socket): Promise<number> {
  client.on("error", () => {});
  return await new Promise((resolve) => {
    client.once("data", (chunk) => resolve(chunk.length));
    client.once("close", () => resolve(0));
  });
}

const user = (uid: number) => ({ name: `user ${uid}`, isRoot: uid === 0 });

test("a peer has its share of the connections, and the last are for root and the kernel's devices", (t) => {
  const room = new ConnectionRoom({ connections: 8, remote: 6, perPeer: 4, reserve: 2 });
  for (let i = 0; i < 4; i++) room.keep("unix", user(1000));
  t.regex(room.full("unix", user(1000)) ?? "", /user 1000 has 4 connections.*raise limits.connections_per_peer/);
  room.keep("unix", user(1001));
  room.open("unix", 7, user(1001));
  room.keep("unix", user(1002));
  t.regex(room.full("unix", user(1003)) ?? "", /the last 2 connections are for root.*raise limits.connections/);
  t.is(room.full("unix", user(0)), null);
  t.is(room.full("kernel"), null);
  room.keep("unix", user(0));
  room.keep("kernel");
  t.regex(room.full("kernel") ?? "", /all 8 connections are in use/);
  t.is(room.left("kernel"), 0);
  room.closed(7);
  t.is(room.full("kernel"), null);
  t.is(room.left("kernel"), 1);
  t.is(room.left("unix", user(1000)), -1);
  room.release("unix", user(1000));
  t.is(
    room.full("unix", user(1003)),
    "the last 2 connections are for root and for block devices of the kernel; raise limits.connections and restart the daemon",
  );
  room.release("kernel");
  room.release("unix", user(0));
  t.is(room.full("unix", user(1000)), null);
});

/** A server that hands connections to nobody; `room` decides how many there may be. */
function roomy(
  room: ConnectionRoom,
  more: Partial<NbdServerOptions> = {},
): { server: NbdServer; events: NbdServerEvent[]; handed: () => number } {
  let handed = 0;
  const made = negotiator({
    room,
    duplicate,
    hand: ({ descriptor }) => {
      closeDescriptor(descriptor);
      return Promise.resolve(handed++);
    },
    ...more,
  });
  return { ...made, handed: () => handed };
}

/** What the server says to a client that asks with GO, then ABORT: types of the replies, and the text of an error. */
async function go(client: Socket): Promise<[number, string][]> {
  const chunks: Buffer[] = [];
  client.on("error", () => {});
  client.on("data", (chunk) => chunks.push(Buffer.from(chunk)));
  client.write(Buffer.concat([u32(3), option(7, infoData("0", [3])), option(2)]));
  const said = (): ReturnType<typeof replies> => {
    try {
      return replies(Buffer.concat(chunks).subarray(18));
    } catch {
      return [];
    }
  };
  await until("ABORT is answered", () => said().some(({ type }) => type === 1));
  return said().map(({ type, data }) => [type, type >= 0x80000000 ? data.toString() : ""]);
}

test("clients over TCP leave room for others; one that has gone makes room for the next", async (t) => {
  const path = join(folder(t), "nbd.sock");
  const room = new ConnectionRoom({ connections: 8, remote: 2 });
  const { server, events, handed } = roomy(room);
  await server.listen({ kind: "unix", path });
  const address = await server.listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
  const port = address.kind === "tcp" ? address.port : 0;
  const comes = async (client: Socket): Promise<number> => {
    const before = events.length;
    await go(client);
    await until("it is told", () => events.length > before);
    return handed();
  };
  t.is(await comes(connect(port, "127.0.0.1")), 1);
  t.is(await comes(connect(port, "127.0.0.1")), 2);
  const refused = await go(connect(port, "127.0.0.1"));
  t.is(refused[0]?.[0], 0x80000002);
  t.regex(refused[0]?.[1] ?? "", /all 2 connections for clients over TCP.*raise limits.connections/);
  t.is(handed(), 2);
  t.true(events.some((event) => event.kind === "refused" && event.isFull));
  t.is(await comes(connect(path)), 3);
  room.closed(0);
  t.is(await comes(connect(port, "127.0.0.1")), 4);
  await server.close();
});

test("a client that might find no room is greeted when it is known which connections have closed", async (t) => {
  const path = join(folder(t), "nbd.sock");
  const room = new ConnectionRoom({ connections: 1, remote: 1 });
  let asked = 0;
  const settled = async (): Promise<void> => {
    asked++;
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (asked === 1) room.closed(0);
    else throw new Error("not to be known now");
  };
  const { server, handed } = roomy(room, { settled });
  await server.listen({ kind: "unix", path });
  await go(connect(path));
  await until("it is handed over", () => handed() === 1);
  t.is(asked, 0, "there was room");
  t.is((await go(connect(path)))[0]?.[0], 3, "the first one has gone, which was news");
  await until("it is handed over", () => handed() === 2);
  t.is((await go(connect(path)))[0]?.[0], 0x80000002, "what cannot be known does not keep a client waiting");
  t.is(asked, 2);
  await server.close();
});

test("the connection over limits.connections is refused before it is acknowledged, and the key is named", async (t) => {
  const path = join(folder(t), "nbd.sock");
  const room = new ConnectionRoom({ connections: 3, remote: 3 });
  const { server, events, handed } = roomy(room);
  await server.listen({ kind: "unix", path });
  t.is(await room.connect("kernel", () => Promise.resolve(100)), 100);
  t.deepEqual((await go(connect(path))).at(-1), [1, ""]);
  t.deepEqual((await go(connect(path))).at(-1), [1, ""]);
  const refused = await go(connect(path));
  t.is(refused[0]?.[0], 0x80000002);
  t.regex(refused[0]?.[1] ?? "", /all 3 connections are in use; raise limits.connections/);
  t.is(handed(), 2);
  t.regex(
    events.map((event) => (event.kind === "refused" && event.isFull ? event.reason : "")).join(""),
    /raise limits.connections/,
  );
  await t.throwsAsync(() => room.connect("kernel", () => Promise.resolve(101)), { instanceOf: NoRoom });
  room.closed(100);
  t.deepEqual((await go(connect(path))).at(-1), [1, ""]);
  await server.close();
});

test("a place is free again when its hand-over fails or its client has gone before", async (t) => {
  const path = join(folder(t), "nbd.sock");
  const room = new ConnectionRoom({ connections: 1, remote: 1 });
  const { server, events } = negotiator({
    room,
    duplicate,
    hand: ({ descriptor }) => {
      closeDescriptor(descriptor);
      return Promise.reject(new Error("no"));
    },
  });
  await server.listen({ kind: "unix", path });
  for (let i = 1; i <= 3; i++) {
    t.deepEqual((await go(connect(path))).at(-1), [1, ""]);
    await until("it is told", () => events.length >= i);
    t.is(room.full("unix"), null);
  }
  await t.throwsAsync(() => room.connect("kernel", () => Promise.reject(new Error("no"))));
  t.is(room.full("kernel"), null);
  await server.close();
});

test("a client that asks and never reads is closed, and what it made us keep is bounded", async (t) => {
  const path = join(folder(t), "nbd.sock");
  const { server, events } = negotiator({ negotiationTimeoutMs: 300 });
  server.setExports(Array.from({ length: 2000 }, (_, number) => ({ ...LU0, unit: number, number })));
  await server.listen({ kind: "unix", path });
  const client = connect(path);
  client.on("error", () => {});
  client.pause();
  client.write(Buffer.concat([u32(1), ...Array.from({ length: 1000 }, () => option(3))]));
  await until("it is closed", () => events.some((event) => event.kind === "refused"));
  t.is(server.negotiating, 0);
  client.destroy();
  await server.close();
});

test("closing the server drops who still negotiates", async (t) => {
  const path = join(folder(t), "nbd.sock");
  const { server } = negotiator();
  await server.listen({ kind: "unix", path });
  const client = connect(path);
  const closed = everything(client);
  await once(client, "connect");
  await until("it negotiates", () => server.negotiating > 0);
  await server.close();
  await closed;
  t.is(server.negotiating, 0);
});
