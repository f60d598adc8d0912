// What a client of the API sends, or leaves unread, costs the daemon little memory and nobody else their answers.

import { once } from "node:events";
import { createServer, connect, type Socket } from "node:net";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import fastify from "fastify";
import {
  Connections,
  CONNECTIONS_MAX,
  PEER_CONNECTIONS_MAX,
  REQUESTS_AHEAD_MAX,
  ROOT_RESERVE,
} from "../../../host/control/api/connections.ts";
import { jsonPieces, lazily, sendPieces, SLICE_MS } from "../../../host/control/ground/answer-pieces.ts";
import type { EventList } from "../../../host/control/schemas/event-schema.ts";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const ARRAY = "[array]\nunits = 1\npaths = 4\nunit_mib = 1\n";

const requestOf = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`;

async function connected(t: ExecutionContext, path: string): Promise<Socket> {
  const socket = connect(path);
  socket.on("error", () => undefined);
  t.teardown(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** Says so many events that a whole history is much to read; of a kind that is recorded one by one, however many there are. */
function fillEvents(daemon: TestDaemon, count: number): void {
  const { hub } = daemon.daemon;
  for (let i = 0; i < count; i++) hub.say("command-done", { detail: { note: "x".repeat(200), i } });
  hub.flush();
}

/** The messages of connections that were closed, with the reason. */
async function closings(t: ExecutionContext, daemon: TestDaemon): Promise<unknown[]> {
  const { events } = await daemon.get<"events">(t, "/v1/events?limit=1000");
  return events.filter(({ message }) => message === 680).map(({ detail }) => detail["why"]);
}

test("requests sent ahead are answered in order, one after the other", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  const socket = await connected(t, daemon.socket);
  const count = REQUESTS_AHEAD_MAX;
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  socket.write(Array.from({ length: count }, (_, i) => requestOf(`/v1/units/none${i}`)).join(""));
  await until("all are answered", () => text.split("HTTP/1.1 404").length === count + 1);
  const order = [...text.matchAll(/none(\d+)/g)].map(([, i]) => Number(i));
  t.deepEqual([...new Set(order)], [...Array(count).keys()]);
});

test("a client that sends a thousand requests ahead and reads nothing is closed, counted and told of", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  fillEvents(daemon, 2000);
  const socket = await connected(t, daemon.socket);
  const closed = new Promise((resolve) => {
    socket.once("close", resolve);
  });
  socket.write(requestOf("/v1/events?limit=1000").repeat(1500));
  socket.pause();
  await until("it is told of", async () => (await closings(t, daemon)).includes("too many requests ahead"));
  socket.resume();
  await closed;
  t.deepEqual(await closings(t, daemon), ["too many requests ahead"]);
});

test("a client that never takes its answer is closed; what lies there for it is one piece, not the whole", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY, undefined, { unreadMsMax: 400 });
  fillEvents(daemon, 5000);
  const socket = await connected(t, daemon.socket);
  socket.pause();
  socket.write(requestOf("/v1/events?limit=1000").repeat(3));
  await until("it is closed", async () => (await closings(t, daemon)).includes("answer left unread"));
  t.deepEqual(await closings(t, daemon), ["answer left unread"]);
});

test("of a whole history that a hundred streams leave unread, each has but a little read and kept for it", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  fillEvents(daemon, 9000);
  const { hub } = daemon.daemon;
  const after = hub.after.bind(hub);
  let read = 0;
  hub.after = (since, limit) => {
    const page = after(since, limit);
    read += page.length;
    return page;
  };
  const sockets = await Promise.all(Array.from({ length: 100 }, () => connected(t, daemon.socket)));
  for (const socket of sockets) {
    socket.pause();
    socket.write(requestOf("/v1/events/stream?since=0"));
  }
  for (let i = 0; i < 50; i++) await daemon.get<"mode">(t, "/v1/mode");
  t.true(read > 100 * 100, "all of them are told something");
  // What the kernel's buffers take, and a page.
  t.true(read < 100 * 2000, `${read} events`);
});

test("a stream tells a long history page by page, each event once, then what happens", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  fillEvents(daemon, 450);
  const last = daemon.daemon.hub.last;
  const socket = await connected(t, daemon.socket);
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  socket.write(requestOf("/v1/events/stream?since=5"));
  await until("the history is told", () => text.includes(`id: ${last}\n`));
  fillEvents(daemon, 3);
  await until("so is what happens", () => text.includes(`id: ${last + 3}\n`));
  const ids = [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
  t.deepEqual(
    ids,
    Array.from({ length: last + 3 - 5 }, (_, i) => 6 + i),
  );
});

test("events come in pages of at most a thousand, and the page before is asked for by id", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  fillEvents(daemon, 30);
  const newest = await daemon.get<"events">(t, "/v1/events?limit=10");
  const first = newest.events[0]?.id ?? 0;
  const older = await daemon.get<"events">(t, `/v1/events?limit=10&before=${first}`);
  t.is(older.events.at(-1)?.id, first - 1);
  t.is(older.events.length, 10);
  const refused = await daemon.call<EventList>("GET", "/v1/events?limit=1001");
  t.is(refused.status, 400);
});

/** A server whose connections belong to the peers that `names` says, in their order. */
async function server(t: ExecutionContext, names: string[]) {
  const told: string[] = [];
  const connections = new Connections({
    peerOf: () => {
      const name = names.shift() ?? "somebody";
      return { name, isRoot: name === "root" };
    },
    onClosed: (why, peer) => told.push(`${peer}: ${why}`),
  });
  const listening = createServer();
  connections.watch(listening);
  const path = join(mkdtempSync(join(tmpdir(), "pm-peers-")), "socket");
  listening.listen(path);
  await once(listening, "listening");
  t.teardown(() => listening.close());
  return { connections, path, told };
}

async function open(t: ExecutionContext, path: string, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let i = 0; i < count; i++) sockets.push(await connected(t, path));
  return sockets;
}

test("a peer has its share of the places: its own oldest idle connection goes for its newest", async (t) => {
  const names = [...Array<string>(PEER_CONNECTIONS_MAX + 1).fill("user 1000"), "user 1001"];
  const { connections, path, told } = await server(t, names);
  const [oldest, ...others] = await open(t, path, PEER_CONNECTIONS_MAX);
  const gone = once(oldest as Socket, "close");
  await open(t, path, 2);
  await gone;
  t.is(connections.count, PEER_CONNECTIONS_MAX + 1);
  t.true(others.every((socket) => !socket.destroyed));
  t.deepEqual(told, ["user 1000: too many connections"]);
});

test("when all places are taken the peer with the most gives one up; root has places of its own", async (t) => {
  const share = PEER_CONNECTIONS_MAX;
  const places = CONNECTIONS_MAX - ROOT_RESERVE;
  const names = [
    ...Array<string>(share).fill("user 1"),
    ...Array<string>(share).fill("user 2"),
    ...Array<string>(places - 2 * share).fill("user 3"),
    "user 4",
    ...Array<string>(ROOT_RESERVE).fill("root"),
  ];
  const { connections, path, told } = await server(t, names);
  const sockets = await open(t, path, places);
  const gone = once(sockets[0] as Socket, "close");
  const [late] = await open(t, path, 1);
  await gone;
  t.deepEqual(told, ["user 1: too many connections"]);
  const roots = await open(t, path, ROOT_RESERVE);
  t.is(connections.count, CONNECTIONS_MAX);
  t.true([late as Socket, ...roots].every((socket) => !socket.destroyed));
});

/** An item that takes as long as half a slice, whatever the machine is like. */
function slow(item: number): { item: number; text: string } {
  const end = performance.now() + SLICE_MS / 2;
  while (performance.now() < end);
  return { item, text: "x".repeat(1000) };
}

test("a long answer is made a slice at a time: whatever else has to be done is done meanwhile", async (t) => {
  const items = Array.from({ length: 200 }, (_, i) => i);
  const app = fastify();
  app.get("/", (_request, reply) =>
    sendPieces(reply, { items: lazily(items, slow) }, (thrown) => t.fail(String(thrown))),
  );
  t.teardown(() => app.close());
  let turns = 0;
  const turn = (): void => {
    turns++;
    pending = setImmediate(turn);
  };
  let pending = setImmediate(turn);
  const { body } = await app.inject("/");
  clearImmediate(pending);
  t.deepEqual(
    (JSON.parse(body) as { items: { item: number }[] }).items.map(({ item }) => item),
    items,
  );
  // Two items a slice; made in one go it would be a turn or two.
  t.true(turns >= items.length / 4, `${turns} turns of the event loop`);
});

test("JSON made piece by piece is the JSON of the whole", (t) => {
  const list = [{ a: 1 }, { b: [1, 2, { c: 'ä"' }] }];
  const whole = { time: 5, list, empty: [], none: null, nested: { list }, last: "x" };
  const lazy = { ...whole, list: lazily(list, (item) => ({ ...item })), empty: [].values() };
  t.is([...jsonPieces(lazy)].join(""), JSON.stringify(whole));
  t.is([...jsonPieces({})].join(""), "{}");
});
