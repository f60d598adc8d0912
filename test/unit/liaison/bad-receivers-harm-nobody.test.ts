// Receivers as they should not be: expired, of another name, slow, endless, garbage. Each gives a reason that names what is wrong, in
// one line; nothing is sent to whom it is not for.

import { once } from "node:events";
import { createServer as createHttp } from "node:http";
import { createServer as createHttps } from "node:https";
import { createServer as createTcp, type AddressInfo, type Server, type Socket } from "node:net";
import { createServer as createTls } from "node:tls";
import test, { type ExecutionContext } from "ava";
import type { Notice } from "../../../host/liaison/receivers/notice.ts";
import { Receiver, type Transport } from "../../../host/liaison/receivers/receiver.ts";
import { SyslogReceiver } from "../../../host/liaison/receivers/syslog-receiver.ts";
import { Webhook } from "../../../host/liaison/receivers/webhook.ts";
import { until } from "../../until.ts";
import { selfSigned } from "../cli/certificate.ts";

const notice = (id: number): Notice => ({
  id,
  time: Date.UTC(2026, 10, 22, 16, 15, 3),
  message: 258,
  kind: "failover-done",
  level: "warning",
  alive: true,
  manager: true,
  text: "Failover was done: LogicalUnit #0, path 5:0:0:0",
  unit: 0,
  identity: "naa.6001405a1b2c3d4e5f60718293a4b500",
  array: "PATHMGR EMULATED DISK",
  path: "5:0:0:0",
  detail: {},
});

const noSignal = new AbortController().signal;

/** Listens, and ends with the test whatever is still connected. */
async function listening<S extends Server>(t: ExecutionContext, server: S): Promise<number> {
  const sockets = new Set<Socket>();
  for (const event of ["connection", "secureConnection"])
    server.on(event, (socket: Socket) => void sockets.add(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

const noDatagram = (): void => {
  throw new Error("no Unix socket here");
};

/** Certificates that are not to be trusted, though their authority is; and what is said of them. */
const UNTRUSTED = [
  ["expired", { fromDay: -9, toDay: -1 }, /certificate has expired/],
  ["not yet valid", { fromDay: 1, toDay: 9 }, /not yet valid/],
  ["another's", { host: "elsewhere.example" }, /does not match certificate's altnames/],
] as const;

for (const [name, what, reason] of UNTRUSTED) {
  test(`a certificate that is ${name}: neither webhook nor syslog server gets anything`, async (t) => {
    const { certificate, key } = selfSigned(what);
    let got = 0;
    const web = createHttps({ cert: certificate, key }, (request, response) => {
      got++;
      request.resume();
      response.end();
    });
    const log = createTls({ cert: certificate, key }, (socket) => {
      socket.on("error", () => undefined);
      socket.on("data", () => got++);
    });
    for (const server of [web, log]) server.on("tlsClientError", () => undefined);
    const authority = Buffer.from(certificate);
    const url = `https://localhost:${await listening(t, web)}/hook`;
    const webhook = new Webhook({ url, shape: "plain", host: "h", authority });
    await t.throwsAsync(webhook.send([notice(1)], noSignal), { message: reason });
    const address = { kind: "tls", host: "localhost", port: await listening(t, log) } as const;
    const syslog = new SyslogReceiver({ address, host: "h", sendDatagram: noDatagram, authority });
    t.teardown(() => syslog.close());
    await t.throwsAsync(syslog.send([notice(1)], noSignal), { message: reason });
    t.is(got, 0);
  });
}

/** A receiver with short patience, and what it reports about itself. */
function receiverOf(t: ExecutionContext, transport: Transport) {
  const told: string[] = [];
  const listener = { failed: (_: string, reason: string) => told.push(reason), restored: () => told.push("restored") };
  const receiver = new Receiver({
    name: "r",
    kind: "x",
    transport,
    queueMax: 10,
    sendMsMax: 200,
    pauseMsMin: 1,
    listener,
  });
  t.teardown(() => receiver.stop());
  return { receiver, told };
}

const httpTo = (port: number): Webhook => new Webhook({ url: `http://127.0.0.1:${port}/`, shape: "plain", host: "h" });

test("a webhook that never answers, or answers without an end, is given up, and tried again", async (t) => {
  const silent = createTcp((socket) => void socket.on("error", () => undefined));
  let asked = 0;
  const endless = createHttp((request, response) => {
    asked++;
    request.resume();
    response.writeHead(500);
    const timer = setInterval(() => response.write("x".repeat(1000)), 1);
    response.on("close", () => clearInterval(timer));
    response.on("error", () => undefined);
  });
  const first = receiverOf(t, httpTo(await listening(t, silent)));
  first.receiver.offer(notice(1));
  await until("the silent one is told", () => first.told.length > 0);
  t.regex(first.told[0] ?? "", /did not answer within 0\.2 s/);
  const second = receiverOf(t, httpTo(await listening(t, endless)));
  second.receiver.offer(notice(1));
  await until("the endless one is asked again", () => asked > 1);
  t.regex(second.told[0] ?? "", /answered 500: x|did not answer within/);
  t.true((second.told[0] ?? "").length <= 300);
  t.is(second.told.length, 1, "it is told once");
});

test("garbage, a redirect and a closed door are told in one line without control characters", async (t) => {
  const garbage = createTcp((socket) => {
    socket.on("error", () => undefined);
    socket.end("HTTP/1.1 \u001b[2J\r\n\r\n\u0000");
  });
  const redirect = createHttp((request, response) => {
    request.resume();
    response.writeHead(307, { location: "http://127.0.0.1:1/\u0085x" }).end();
  });
  const closed = createTcp((socket) => void socket.destroy());
  for (const server of [garbage, redirect, closed]) {
    const { receiver, told } = receiverOf(t, httpTo(await listening(t, server)));
    receiver.offer(notice(1));
    await until("it is told", () => told.length > 0);
    t.regex(told[0] ?? "", /^[^\p{Cc}]+$/u);
    t.is(receiver.status.queued, 1, "it stays in the queue");
  }
});
