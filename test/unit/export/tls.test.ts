// TLS over real sockets: who gets in, who does not, and that bytes come through whole, in order, and bounded.

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import { connect, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import test, { type ExecutionContext } from "ava";
import type { Rule } from "../../../host/export/permission.ts";
import type { NegotiatedConnection } from "../../../host/export/address.ts";
import { isBroken } from "../../../host/native/index.ts";
import { until } from "../../until.ts";
import { infoData, option, replies, u32 } from "./client.ts";
import * as T from "./tls-client.ts";

const LIST = Buffer.concat([option(3), option(2)]);
const GO = option(7, infoData("0"));
const ANSWER_BYTES = 20 + 12 + (20 + 14) + 20;

/** What the server says to LIST and ABORT, or why it says nothing. */
async function lists(port: number, options: ConnectionOptions): Promise<string> {
  try {
    const client = await T.secure(port, options);
    client.write(LIST);
    const chunks: Buffer[] = [];
    client.on("data", (chunk) => chunks.push(Buffer.from(chunk)));
    await once(client, "close");
    return replies(Buffer.concat(chunks))
      .filter(({ type }) => type === 2)
      .map(({ data }) => data.subarray(4).toString())
      .join();
  } catch (error) {
    return error instanceof Error ? `refused: ${error.message}` : "refused";
  }
}

const refusals = ({ events }: T.Server): string =>
  events.map((event) => ("reason" in event ? event.reason : "")).join("\n");

/** Waits until so many clients were refused. */
async function refused({ events }: T.Server, count: number): Promise<void> {
  await until(`${count} were refused`, () => events.filter(({ kind }) => kind === "untrusted").length >= count);
}

for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
  const at = { minVersion: version, maxVersion: version };

  test.serial(`${version}: a certificate that the authority has signed, and a key of the file, get in`, async (t) => {
    const { port } = await T.tlsServer(t);
    t.is(await lists(port, T.byCertificate("client1", at)), "lu0,lu1");
    t.is(await lists(port, T.byKey("alice", T.PSK, at)), "lu0,lu1");
  });

  test.serial(`${version}: nobody else does`, async (t) => {
    const server = await T.tlsServer(t);
    const { port } = server;
    const strangers: [string, ConnectionOptions][] = [
      ["no certificate", { ca: T.fixture("authority"), servername: "localhost", ...at }],
      ["another authority", T.byCertificate("stranger", at)],
      ["expired", T.byCertificate("expired", at)],
      ["a server's certificate", T.byCertificate("server", at)],
      ["a wrong key", T.byKey("alice", randomBytes(32), at)],
      ["an unknown identity", T.byKey("mallory", T.PSK, at)],
      ["an empty identity", T.byKey("", T.PSK, at)],
    ];
    for (const [what, options] of strangers) t.is((await lists(port, options)).replace(/refused.*/s, ""), "", what);
    await refused(server, strangers.length);
    t.regex(refusals(server), /CERT_HAS_EXPIRED/);
    t.is(await lists(port, T.byCertificate("client2", at)), "lu0,lu1");
  });
}

test.serial(
  "TLS 1.1, ciphers without authentication or forward secrecy, and a second session by ticket are refused",
  async (t) => {
    const { port } = await T.tlsServer(t);
    const old = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "ALL:@SECLEVEL=0" } as const;
    t.regex(await lists(port, T.byCertificate("client1", old)), /refused/);
    for (const ciphers of ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA", "AES128-GCM-SHA256"]) {
      t.regex(await lists(port, T.byCertificate("client1", { maxVersion: "TLSv1.2", ciphers })), /refused/, ciphers);
    }
    const ciphers = "ECDHE-PSK-AES128-CBC-SHA256:PSK-AES128-GCM-SHA256";
    t.regex(await lists(port, T.byKey("alice", T.PSK, { maxVersion: "TLSv1.2", ciphers })), /refused/);
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      const first = await T.secure(port, T.byCertificate("client1", { maxVersion }));
      let session: Buffer | undefined = first.getSession();
      first.on("session", (later: Buffer) => (session = later));
      first.write(option(3));
      await once(first, "readable");
      const second = await T.secure(port, T.byCertificate("client1", { maxVersion, ...(session ? { session } : {}) }));
      t.false(second.isSessionReused(), maxVersion);
      first.destroy();
      second.destroy();
    }
  },
);

test.serial("a client opens what its certificate's name or its key is given, and nothing else", async (t) => {
  const rules: Rule[] = [
    { who: { kind: "psk", identity: "alice" }, exports: ["lu1"], isReadOnly: true },
    { who: { kind: "subject", subject: "CN=client1,O=Example" }, exports: ["lu0"], isReadOnly: false },
    { who: { kind: "name", name: "DNS:client2.example.com" }, exports: "all", isReadOnly: true },
  ];
  const { port } = await T.tlsServer(t, { rules });
  t.is(await lists(port, T.byKey("alice")), "lu1");
  t.is(await lists(port, T.byCertificate("client1")), "lu0");
  t.is(await lists(port, T.byCertificate("client2")), "lu0,lu1");
});

/** How many bytes of what was written to it are taken before nothing more is, for half a second. */
async function taken(from: Socket): Promise<number> {
  let before = -1;
  return await until("nothing more is taken", async () => {
    await sleep(500);
    const now = from.bytesWritten - from.writableLength;
    const isStill = now === before;
    before = now;
    return isStill ? now : false;
  });
}

/** A server whose connections are kept, and a client in its transmission phase. */
async function connected(t: ExecutionContext): Promise<{ client: TLSSocket; core: Socket; server: T.Server }> {
  const { promise, resolve } = Promise.withResolvers<NegotiatedConnection>();
  const server = await T.tlsServer(t, { hand: resolve });
  const client = await T.secure(server.port, T.byCertificate("client1"));
  client.write(GO);
  await T.take(client, ANSWER_BYTES);
  const { descriptor, preloaded } = await promise;
  t.is(preloaded.length, 0);
  const core = new Socket({ fd: descriptor, allowHalfOpen: true });
  core.on("error", () => {});
  t.teardown(() => {
    core.destroy();
    client.destroy();
  });
  return { client, core, server };
}

test.serial("bytes come through whole and in order, both ways at once", async (t) => {
  const { client, core } = await connected(t);
  const [up, down] = [randomBytes(8 << 20), randomBytes(8 << 20)];
  client.write(up);
  core.write(down);
  const [received, answered] = await Promise.all([T.take(core, up.length), T.take(client, down.length)]);
  t.true(received.equals(up));
  t.true(answered.equals(down));
});

test.serial("whoever does not read makes the other side wait: nothing piles up in between", async (t) => {
  const { client, core } = await connected(t);
  const piece = Buffer.alloc(1 << 20);
  const swallowed = async (from: Socket): Promise<number> => {
    for (let i = 0; i < 256; i++) from.write(piece);
    return await taken(from);
  };
  // The kernel's own buffers for TCP take some megabytes, too.
  const [up, down] = [await swallowed(client), await swallowed(core)];
  t.true(up < 64 << 20, `${up} bytes`);
  t.true(down < 64 << 20, `${down} bytes`);
});

test.serial("the client's end reaches the core behind its last byte; the core's reaches the client", async (t) => {
  const first = await connected(t);
  const bytes = randomBytes(300_000);
  first.client.end(bytes);
  t.true((await T.take(first.core, bytes.length)).equals(bytes));
  first.core.resume();
  await once(first.core, "end");
  first.core.end(bytes);
  t.true((await T.take(first.client, bytes.length)).equals(bytes), "answers to what it had asked");
  const second = await connected(t);
  second.core.end(bytes);
  t.true((await T.take(second.client, bytes.length)).equals(bytes));
  second.client.resume();
  await once(second.client, "end");
});

test.serial(
  "a client that is cut off is gone for the core at once, and half a record of it never arrives",
  async (t) => {
    const { client, core } = await connected(t);
    const below: unknown = Reflect.get(client, "_parent");
    if (!(below instanceof Socket)) return t.fail("no socket below TLS");
    // A record that is announced and not sent whole: nobody has vouched for these bytes.
    below.write(Buffer.from([0x17, 3, 3, 0x10, 0, 1, 2, 3]));
    below.end();
    const chunks: Buffer[] = [];
    core.on("data", (chunk) => chunks.push(Buffer.from(chunk)));
    await once(core, "end");
    t.is(Buffer.concat(chunks).length, 0);
    const other = await connected(t);
    const gone = once(other.core, "close");
    const socket: unknown = Reflect.get(other.client, "_parent");
    if (!(socket instanceof Socket)) return t.fail("no socket below TLS");
    socket.resetAndDestroy();
    other.core.resume();
    other.core.on("end", () => other.core.destroy());
    await gone;
    return undefined;
  },
);

test.serial(
  "a client that breaks off while the core takes nothing of it is gone for the core, and what it had sent is not read",
  async (t) => {
    const { client, core } = await connected(t);
    const descriptor: unknown = Reflect.get(Reflect.get(core, "_handle") as object, "fd");
    if (typeof descriptor !== "number") return t.fail("no descriptor");
    // Requests until nothing more goes: they lie in the pair, in the relay, and in the TCP socket behind it.
    for (let i = 0; i < 64; i++) client.write(Buffer.alloc(1 << 20));
    await taken(client);
    t.false(isBroken(descriptor));
    const below: unknown = Reflect.get(client, "_parent");
    if (!(below instanceof Socket)) return t.fail("no socket below TLS");
    below.resetAndDestroy();
    // It may reconnect and send them again, so they must not reach the core behind their successors.
    await until("it is gone for the core", () => isBroken(descriptor));
    return undefined;
  },
);

test.serial("garbage, silence and a hello in pieces end the handshake in time; the others do not notice", async (t) => {
  const server = await T.tlsServer(t, { negotiationTimeoutMs: 4000 });
  const { port } = server;
  const garbage = await T.asked(port);
  garbage.write(randomBytes(4096));
  const silent = await T.asked(port);
  const slow = await T.asked(port);
  slow.write(Buffer.from([0x16, 3, 1, 0x02, 0x00, 1]));
  const inTheClear = await T.asked(port);
  inTheClear.write(option(3));
  const clients = [garbage, silent, slow, inTheClear];
  const closed = clients.map((client) => {
    client.resume();
    return once(client, "close");
  });
  t.is(await lists(port, T.byCertificate("client1")), "lu0,lu1");
  await Promise.all(closed);
  t.is(server.server.negotiating, 0);
  t.regex(refusals(server), /4000 ms/);
});

test.serial("what is pipelined behind STARTTLS in the clear is not answered, and the connection ends", async (t) => {
  const server = await T.tlsServer(t);
  const client = connect(server.port, "127.0.0.1");
  client.write(Buffer.concat([u32(3), option(5), option(3)]));
  const chunks: Buffer[] = [];
  client.on("data", (chunk) => chunks.push(Buffer.from(chunk)));
  await once(client, "close");
  t.is(Buffer.concat(chunks).length, 18);
  t.regex(refusals(server), /in the clear behind STARTTLS/);
});

/** How many sockets this process has, in which both sides live. */
function sockets(): number {
  const links = readdirSync("/proc/self/fd").map((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`);
    } catch {
      return "the folder itself";
    }
  });
  return links.filter((link) => link.startsWith("socket:")).length;
}

test.serial("a client that hangs up in its handshake, or before the answer, leaves nothing behind", async (t) => {
  const server = await T.tlsServer(t);
  const { port } = server;
  const before = sockets();
  t.is(await lists(port, T.byCertificate("client1")), "lu0,lu1");
  for (let i = 0; i < 20; i++) {
    const client = i % 2 === 0 ? await T.asked(port) : connect(port, "127.0.0.1");
    client.on("error", () => {});
    if (i % 2 === 1) client.write(Buffer.concat([u32(3), option(5)]));
    if (i % 3 === 0) client.resetAndDestroy();
    else client.destroy();
  }
  t.is(await lists(port, T.byCertificate("client1")), "lu0,lu1");
  await until("all are gone", () => server.server.negotiating === 0);
  await until("their sockets are closed", () => sockets() === before);
  t.is(server.server.negotiating, 0);
});

test.serial("new certificates hold for those who come, and those who are there stay", async (t) => {
  const { client, core, server } = await connected(t);
  server.terminator.replace({
    x509: {
      certificate: T.fixture("server"),
      key: T.fixture("server-key"),
      authorities: T.fixture("stranger-authority"),
    },
    psk: new Map([["bob", T.PSK]]),
  });
  t.regex(await lists(server.port, T.byCertificate("client1")), /refused|^$/);
  t.regex(await lists(server.port, T.byKey("alice")), /refused|^$/);
  t.is(await lists(server.port, T.byCertificate("stranger")), "lu0,lu1");
  t.is(await lists(server.port, T.byKey("bob")), "lu0,lu1");
  client.write("still here");
  t.is((await T.take(core, 10)).toString(), "still here");
});

test.serial("by keys only: no certificate is needed, and none helps", async (t) => {
  const { port } = await T.tlsServer(t, { settings: { psk: new Map([["alice", T.PSK]]) } });
  t.is(await lists(port, T.byKey("alice")), "lu0,lu1");
  t.regex(await lists(port, T.byCertificate("client1")), /refused/);
});

test.serial("the TLS client of the tests trusts the server for its certificate", async (t) => {
  const { port } = await T.tlsServer(t);
  const wrong = connectTls({ socket: await T.asked(port), ...T.byCertificate("client1"), ca: T.fixture("stranger") });
  const [error] = (await once(wrong, "error")) as [Error];
  t.truthy(error.message);
});
