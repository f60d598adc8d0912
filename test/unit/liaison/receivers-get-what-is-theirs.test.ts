// Receivers: in order, within bounds, and each able to fail without harm to anything but its own messages.

import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer as createHttp, type IncomingMessage, type RequestListener } from "node:http";
import { createServer as createHttps } from "node:https";
import { createServer as createTcp, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTls } from "node:tls";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { journalEntry, JournalReceiver } from "../../../host/liaison/receivers/journal-receiver.ts";
import { MailReceiver, mailText } from "../../../host/liaison/receivers/mail-receiver.ts";
import { isFor, type Notice } from "../../../host/liaison/receivers/notice.ts";
import { Receiver, Refusal, type Transport } from "../../../host/liaison/receivers/receiver.ts";
import { syslogMessage } from "../../../host/liaison/receivers/syslog-message.ts";
import { syslogAddress, SyslogReceiver } from "../../../host/liaison/receivers/syslog-receiver.ts";
import { signature, SIGNATURE_HEADER, TIME_HEADER, Webhook } from "../../../host/liaison/receivers/webhook.ts";
import { until } from "../../until.ts";
import { selfSigned } from "../cli/certificate.ts";

const notice = (id: number, more: Partial<Notice> = {}): Notice => ({
  id,
  time: Date.UTC(2026, 10, 22, 16, 15, 3, 120),
  message: 258,
  kind: "failover-done",
  level: "warning",
  alive: true,
  manager: true,
  text: "Failover was done: LogicalUnit #0, path 5:0:0:0 (from 4:0:0:0)",
  unit: 0,
  identity: "naa.6001405a1b2c3d4e5f60718293a4b500",
  array: "PATHMGR EMULATED DISK",
  path: "5:0:0:0",
  detail: { from: "4:0:0:0" },
  ...more,
});

const noSignal = new AbortController().signal;
const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

/** A transport that remembers, and fails while it is told to. */
class Fake implements Transport {
  batchMax = 2;
  fails: Error | null = null;
  hangs = false;
  readonly got: number[] = [];

  async send(batch: readonly Notice[]): Promise<void> {
    if (this.hangs) await new Promise<void>(() => undefined);
    if (this.fails !== null) throw this.fails;
    this.got.push(...batch.map(({ id }) => id));
  }

  close(): void {
    // Nothing is open.
  }
}

function receiverOf(t: ExecutionContext, transport: Transport, queueMax = 100) {
  const told: string[] = [];
  const receiver = new Receiver({
    name: "r",
    kind: "fake",
    transport,
    queueMax,
    sendMsMax: 50,
    pauseMsMin: 1,
    listener: {
      failed: (_, reason) => told.push(`failed ${reason}`),
      restored: (_, _sent, dropped) => told.push(`restored ${dropped}`),
    },
  });
  t.teardown(() => receiver.stop());
  return { receiver, told };
}

test("what a receiver could not take comes in order once it can; it is told once that it fails, once that it works", async (t) => {
  const transport = new Fake();
  const { receiver, told } = receiverOf(t, transport);
  transport.fails = new Error("down\u001b[2J");
  for (let id = 1; id <= 7; id++) receiver.offer(notice(id));
  await until("it failed a few times", () => receiver.status.failures > 3);
  t.is(receiver.status.failing, "down\\x1b[2J");
  transport.fails = null;
  await until("everything is there", () => transport.got.length === 7);
  t.deepEqual(transport.got, [1, 2, 3, 4, 5, 6, 7]);
  t.deepEqual(told, ["failed down\\x1b[2J", "restored 0"]);
  t.is(receiver.status.sent, 7);
});

test("ten thousand messages to a receiver that hangs cost only those that its queue has no room for", async (t) => {
  const transport = new Fake();
  transport.hangs = true;
  const { receiver, told } = receiverOf(t, transport, 10);
  for (let id = 1; id <= 10_000; id++) receiver.offer(notice(id));
  t.is(receiver.status.queued, 10);
  t.is(receiver.status.dropped, 9990);
  await until("it is told", () => told.length === 1);
  t.regex(told[0] ?? "", /did not answer within/);
  transport.hangs = false;
  await until("the rest is there", () => transport.got.length === 10);
  const { sent, dropped, queued } = receiver.status;
  t.is(sent + dropped + queued, 10_000);
});

test("what a receiver refuses for good is not sent again, what follows is", async (t) => {
  const transport = new Fake();
  transport.batchMax = 1;
  const { receiver } = receiverOf(t, transport);
  transport.fails = new Refusal("no such thing");
  receiver.offer(notice(1));
  await until("it is dropped", () => receiver.status.dropped === 1);
  transport.fails = null;
  receiver.offer(notice(2));
  await until("the next one is there", () => transport.got.length === 1);
  t.deepEqual(transport.got, [2]);
});

test("a receiver that hangs does not hold up the end", async (t) => {
  const transport = new Fake();
  transport.hangs = true;
  const { receiver } = receiverOf(t, transport);
  receiver.offer(notice(1));
  await receiver.stop(5);
  t.is(receiver.status.sent, 0);
});

test("a test message is sent past the queue, and what came back is said", async (t) => {
  const transport = new Fake();
  const { receiver } = receiverOf(t, transport);
  t.is(await receiver.test(notice(9)), null);
  transport.fails = new Error("no");
  t.is(await receiver.test(notice(9)), "no");
});

test("filters: who it is for, least level, numbers, units", (t) => {
  const all = { only: "all", level: "info" } as const;
  t.true(isFor(notice(1, { manager: false, level: "info" }), all));
  t.false(isFor(notice(1, { manager: false }), { ...all, only: "manager" }));
  t.false(isFor(notice(1, { alive: false }), { ...all, only: "alive" }));
  t.false(isFor(notice(1, { level: "info" }), { ...all, level: "warning" }));
  t.true(isFor(notice(1, { level: "error" }), { ...all, level: "warning" }));
  t.false(isFor(notice(1), { ...all, messages: [257] }));
  t.false(isFor(notice(1, { unit: null }), { ...all, units: [0] }));
  t.true(isFor(notice(1), { ...all, messages: [258], units: [0] }));
});

interface Posted {
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

const collectPosts =
  (posts: Posted[], status = 200): RequestListener =>
  (request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      posts.push({ headers: request.headers, body });
      response.writeHead(status, { location: "http://elsewhere.invalid/" }).end("\u001b[31mno\nway");
    });
  };

async function listening<S extends Server>(t: ExecutionContext, server: S): Promise<S> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  return server;
}

test("a webhook is signed, over TLS whose certificate is verified", async (t) => {
  const { certificate, key } = selfSigned();
  const posts: Posted[] = [];
  const server = await listening(t, createHttps({ cert: certificate, key }, collectPosts(posts)));
  const url = `https://localhost:${portOf(server)}/hook`;
  const secret = Buffer.from("0123456789abcdef");
  const common = { url, shape: "plain", host: "h1", secret } as const;
  await t.throwsAsync(new Webhook(common).send([notice(1)], noSignal), { message: /self-signed certificate/ });
  t.is(posts.length, 0);
  await new Webhook({ ...common, authority: Buffer.from(certificate) }).send([notice(1), notice(2)], noSignal);
  const [{ headers, body } = { headers: {}, body: "" }] = posts;
  t.is(headers[SIGNATURE_HEADER], signature(secret, String(headers[TIME_HEADER]), body));
  const { host, events } = JSON.parse(body) as { host: string; events: Notice[] };
  t.is(host, "h1");
  t.deepEqual(events, [notice(1), notice(2)]);
});

test("a webhook that redirects, refuses, or answers garbage is told so, on one line", async (t) => {
  const cases = [
    [302, /redirects to http:\/\/elsewhere\.invalid\//, false],
    [422, /answered 422: .*no way/, true],
    [503, /answered 503/, false],
  ] as const;
  for (const [status, message, isRefusal] of cases) {
    const posts: Posted[] = [];
    const server = await listening(t, createHttp(collectPosts(posts, status)));
    const webhook = new Webhook({ url: `http://127.0.0.1:${portOf(server)}`, shape: "plain", host: "h" });
    const thrown = await t.throwsAsync(webhook.send([notice(1)], noSignal), { message });
    t.is(thrown instanceof Refusal, isRefusal);
    t.is(posts.length, 1, "no second request");
  }
  const garbage = await listening(
    t,
    createTcp((socket) => {
      socket.on("error", () => undefined);
      socket.end("\u0000\u0001 this is no HTTP\r\n\r\n");
    }),
  );
  const webhook = new Webhook({ url: `http://127.0.0.1:${portOf(garbage)}`, shape: "plain", host: "h" });
  await t.throwsAsync(webhook.send([notice(1)], noSignal));
});

test("a webhook has the shapes of Alertmanager and of CloudEvents", async (t) => {
  const posts: Posted[] = [];
  const server = await listening(t, createHttp(collectPosts(posts)));
  for (const shape of ["alertmanager", "cloudevents"] as const) {
    await new Webhook({ url: `http://127.0.0.1:${portOf(server)}`, shape, host: "h 1" }).send([notice(7)], noSignal);
  }
  const [alert] = JSON.parse(posts[0]?.body ?? "") as {
    labels: Record<string, string>;
    annotations: object;
    startsAt: string;
  }[];
  t.like(alert?.labels, {
    alertname: "PathManagerEvent",
    severity: "warning",
    instance: "h 1",
    unit: "0",
    identity: "naa.6001405a1b2c3d4e5f60718293a4b500",
    array: "PATHMGR EMULATED DISK",
    path: "5:0:0:0",
  });
  t.is(alert?.startsAt, "2026-11-22T16:15:03.120Z");
  t.regex(posts[1]?.headers["content-type"] ?? "", /^application\/cloudevents-batch\+json/);
  const [event] = JSON.parse(posts[1]?.body ?? "") as Record<string, unknown>[];
  t.like(event, { specversion: "1.0", id: "7", source: "/pathmanager/h%201", type: "pathmanager.failover-done" });
});

const RFC5424 =
  /^<\d{1,3}>1 \d{4}-\d\d-\d\dT[\d:.]+Z [!-~]{1,255} pathmanager \d+ [!-~]{1,32} \[pathmanager@32473(?: [a-z]+="(?:[^"\\\]]|\\["\\\]])*")*\] \ufeff[^\n]*$/u;

test("a syslog message has the form of RFC 5424", (t) => {
  t.is(
    syslogMessage(notice(1), "host-1", 7).toString(),
    '<28>1 2026-11-22T16:15:03.120Z host-1 pathmanager 7 failover-done [pathmanager@32473 id="1" message="258" ' +
      'kind="failover-done" unit="0" identity="naa.6001405a1b2c3d4e5f60718293a4b500" array="PATHMGR EMULATED DISK" path="5:0:0:0"] \ufeff258 Failover was done: LogicalUnit #0, path 5:0:0:0 (from 4:0:0:0)',
  );
  fc.assert(
    fc.property(fc.string(), fc.nat(300), (host, more) => {
      t.regex(syslogMessage(notice(1), host, 1).toString(), RFC5424);
      const cut = syslogMessage(notice(1, { text: "ä€😀".repeat(100) }), "h", 1, 200 + more);
      t.true(cut.length <= 200 + more);
      t.false(cut.toString().endsWith("\ufffd"), "cut within a character");
    }),
  );
});

test("addresses of syslog servers", (t) => {
  t.deepEqual(syslogAddress("unix:/dev/log"), { kind: "unix", path: "/dev/log" });
  t.deepEqual(syslogAddress("udp://logs"), { kind: "udp", host: "logs", port: 514 });
  t.deepEqual(syslogAddress("tls://[2001:db8::1]:7000"), { kind: "tls", host: "2001:db8::1", port: 7000 });
  for (const wrong of ["", "logs:514", "http://logs", "tcp://logs:99999", "udp://", "unix:relative"]) {
    t.is(syslogAddress(wrong), null, wrong);
  }
});

const noDatagram = (): void => {
  throw new Error("no Unix socket here");
};

test("syslog over UDP: a datagram each", async (t) => {
  const server = createSocket("udp4");
  t.teardown(() => server.close());
  const got: string[] = [];
  server.on("message", (bytes) => got.push(bytes.toString()));
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  const address = { kind: "udp", host: "127.0.0.1", port: portOf(server) } as const;
  const receiver = new SyslogReceiver({ address, host: "h", sendDatagram: noDatagram });
  await receiver.send([notice(1), notice(2)], noSignal);
  await until("both are there", () => got.length === 2);
  for (const text of got) t.regex(text, RFC5424);
});

/** The messages in a stream that counts octets. */
function framesIn(bytes: Buffer): string[] {
  const frames: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const blank = bytes.indexOf(0x20, at);
    const length = Number(bytes.toString("latin1", at, blank));
    if (blank + 1 + length > bytes.length) break;
    frames.push(bytes.toString("utf8", blank + 1, blank + 1 + length));
    at = blank + 1 + length;
  }
  return frames;
}

test("syslog over TCP and TLS counts octets, keeps its connection, and makes a new one where it broke", async (t) => {
  const { certificate, key } = selfSigned();
  for (const kind of ["tcp", "tls"] as const) {
    let bytes = Buffer.alloc(0);
    let connections = 0;
    const sockets = new Set<Socket>();
    const serve = (socket: Socket): void => {
      connections++;
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("data", (chunk: Buffer) => (bytes = Buffer.concat([bytes, chunk])));
    };
    const server = await listening(t, kind === "tcp" ? createTcp(serve) : createTls({ cert: certificate, key }, serve));
    const address = { kind, host: "localhost", port: portOf(server) };
    const common = { address, host: "h", sendDatagram: noDatagram };
    if (kind === "tls") {
      await t.throwsAsync(new SyslogReceiver(common).send([notice(1)], noSignal), { message: /self-signed/ });
      connections = 0;
    }
    const receiver = new SyslogReceiver({ ...common, authority: Buffer.from(certificate) });
    t.teardown(() => receiver.close());
    await receiver.send([notice(1), notice(2, { text: "ä\u20ac" })], noSignal);
    await receiver.send([notice(3)], noSignal);
    await until("three are there", () => framesIn(bytes).length === 3);
    t.is(connections, 1, kind);
    for (const text of framesIn(bytes)) t.regex(text, RFC5424);
    for (const socket of sockets) socket.destroy();
    await until("a message comes on a new connection", async () => {
      await receiver.send([notice(4)], noSignal).catch(() => undefined);
      return connections === 2;
    });
  }
});

test("a syslog server that never reads is given up at the signal", async (t) => {
  const server = await listening(
    t,
    createTcp((socket) => {
      socket.on("error", () => undefined);
      socket.pause();
    }),
  );
  const address = { kind: "tcp", host: "127.0.0.1", port: portOf(server) } as const;
  const receiver = new SyslogReceiver({ address, host: "h", sendDatagram: noDatagram });
  t.teardown(() => receiver.close());
  const large = notice(1, { text: "x".repeat(8_000_000) });
  await t.throwsAsync(receiver.send([large], AbortSignal.timeout(100)));
});

/** The fields of an entry of the journal's protocol. */
function fieldsIn(entry: Buffer): Map<string, string> {
  const fields = new Map<string, string>();
  for (let at = 0; at < entry.length;) {
    const end = entry.indexOf(0x0a, at);
    const equals = entry.indexOf(0x3d, at);
    if (equals !== -1 && equals < end) {
      fields.set(entry.toString("latin1", at, equals), entry.toString("utf8", equals + 1, end));
      at = end + 1;
      continue;
    }
    const length = Number(entry.readBigUInt64LE(end + 1));
    fields.set(entry.toString("latin1", at, end), entry.toString("utf8", end + 9, end + 9 + length));
    at = end + 10 + length;
  }
  return fields;
}

test("an entry of the journal has fields that no value can break out of", async (t) => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (value) => {
      const fields = fieldsIn(journalEntry(notice(1, { detail: { "for ms": `x${value}` } })));
      t.is(fields.get("PATHMANAGER_DETAIL_FOR_MS"), Buffer.from(`x${value}`).toString());
      t.is(fields.get("MESSAGE_ID"), "6f1d0c9b3a724e5f8b46d27c9e1a0102");
      t.is(fields.get("PRIORITY"), "4");
      for (const name of fields.keys()) t.regex(name, /^[A-Z][A-Z0-9_]*$/);
    }),
  );
  const sent: string[] = [];
  await new JournalReceiver((path) => sent.push(path)).send([notice(1), notice(2)]);
  t.deepEqual(
    sent,
    Array.from({ length: 2 }, () => "/run/systemd/journal/socket"),
  );
});

test("mail goes through the local program; a text cannot add headers", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "pm-mail-"));
  const program = join(folder, "sendmail");
  writeFileSync(program, `#!/bin/sh\necho "$@" > ${folder}/args\ncat > ${folder}/mail\n`);
  chmodSync(program, 0o755);
  const options = { program, to: "ops@example.com", host: "h1" };
  await new MailReceiver(options).send([notice(1), notice(2)], noSignal);
  t.is(readFileSync(join(folder, "args"), "utf8"), "-t -i\n");
  const mail = readFileSync(join(folder, "mail"), "utf8");
  t.regex(mail, /^To: ops@example\.com\nSubject: \[PathManager\] h1: warning 258 .* and 1 more\n/);
  t.regex(mail, /What to do: Find out why/);
  const [head = ""] = mailText([notice(1, { text: "ä\nBcc: x@example.com" })], options).split("\n\n");
  t.notRegex(head, /^Bcc:/m);
  writeFileSync(program, "#!/bin/sh\necho 'queue full' >&2\nexit 75\n");
  await t.throwsAsync(new MailReceiver(options).send([notice(1)], noSignal), { message: /status 75: queue full/ });
  const absent = new MailReceiver({ ...options, program: "/nonexistent/sendmail" });
  await t.throwsAsync(absent.send([notice(1)], noSignal), { message: /ENOENT/ });
});
