// The API over TCP: only with TLS, only with the token, and then all of it.

import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { get as getPlain } from "node:http";
import { request } from "node:https";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";

import test, { type ExecutionContext } from "ava";
import { freePort } from "../../free-port.ts";

import { selfSigned } from "./certificate.ts";
import { RealDaemon } from "./daemon.ts";

const TOKEN = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

interface Place {
  readonly folder: string;
  readonly certificate: string;
  readonly files: { readonly certificate: string; readonly key: string };
  readonly port: number;
  /** What the configuration says of it. */
  readonly toml: string;
}

async function place(t: ExecutionContext, token = TOKEN): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), "pathmanager-tls-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const { certificate, key } = selfSigned();
  const files = {
    certificate: join(folder, "cert.pem"),
    key: join(folder, "key.pem"),
    token_file: join(folder, "token"),
  };
  await writeFile(files.certificate, certificate);
  await writeFile(files.key, key, { mode: 0o600 });
  await writeFile(files.token_file, `${token}\n`, { mode: 0o640 });
  const port = await freePort();
  const lines = Object.entries({ listen: `127.0.0.1:${port}`, ...files }).map(
    ([name, value]) => `${name} = "${value}"`,
  );
  return { folder, certificate, files, port, toml: `[sockets.api_tcp]\n${lines.join("\n")}\n` };
}

interface Answer {
  readonly status: number;
  readonly body: { readonly error?: { readonly code: string; readonly message: string } } & Record<string, unknown>;
}

async function ask({ port, certificate }: Place, token: string | null, method: string, path: string): Promise<Answer> {
  const headers = token === null ? {} : { authorization: `Bearer ${token}` };
  const sent = request({ host: "localhost", port, ca: certificate, method, path, headers, agent: false });
  sent.end();
  const [response] = await once(sent, "response");
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode, body: JSON.parse(Buffer.concat(chunks).toString()) };
}

test("with the token everything can be read and changed; without it, or with another one, nothing", async (t) => {
  const tcp = await place(t);
  await using daemon = await RealDaemon.start(`policy = "static"\n${tcp.toml}`);
  const status = await ask(tcp, TOKEN, "GET", "/v1/status");
  t.is(status.status, 200);
  t.is((status.body["sockets"] as { apiTcp: string }).apiTcp, `127.0.0.1:${tcp.port}`);
  t.is((await ask(tcp, TOKEN, "POST", "/v1/paths/4:0:0:0/disable")).body["enabled"], false);

  for (const wrong of [null, "", `${TOKEN}0`, TOKEN.slice(1), TOKEN.toUpperCase()]) {
    for (const [method, path] of [
      ["GET", "/v1/status"],
      ["GET", "/v1/events/stream"],
      ["GET", "/openapi.json"],
      ["POST", "/v1/paths/4:0:0:0/enable"],
    ] as const) {
      const refused = await ask(tcp, wrong, method, path);
      t.is(refused.status, 401, `${method} ${path} with ${wrong}`);
      t.is(refused.body.error?.code, "NOT_AUTHENTICATED");
      t.false(JSON.stringify(refused.body).includes(TOKEN));
    }
  }
  const path = (await daemon.client.call<{ paths: { number: string; enabled: boolean }[] }>("GET", "/v1/paths")).paths;
  t.is(path.find(({ number }) => number === "4:0:0:0")?.enabled, false);
});

test("with the reader's token everything can be read but secrets, and nothing be changed", async (t) => {
  const reader = "ffeeddccbbaa99887766554433221100";
  const tcp = await place(t);
  const file = join(tcp.folder, "read-token");
  await writeFile(file, `${reader}\n`, { mode: 0o640 });
  const toml = `${tcp.toml}read_token_file = "${file}"\n`;
  await using daemon = await RealDaemon.start(`policy = "static"\n${toml}`);
  for (const path of ["/v1/status", "/v1/units", "/v1/events", "/openapi.json"]) {
    t.is((await ask(tcp, reader, "GET", path)).status, 200, path);
  }
  t.is((await ask(tcp, reader, "GET", "/v1/units/0/reservation")).body.error?.code, "NOT_ALLOWED");
  t.is((await ask(tcp, TOKEN, "GET", "/v1/units/0/reservation")).status, 200);
  const refused = await ask(tcp, reader, "POST", "/v1/paths/4:0:0:0/disable");
  t.is(refused.status, 403);
  t.is(refused.body.error?.code, "NOT_ALLOWED");
  t.regex(refused.body.error?.message ?? "", /may look, not change/);
  t.false(JSON.stringify(refused.body).includes(TOKEN));
  for (const wrong of [`${reader}0`, reader.slice(1), reader.toUpperCase(), ""]) {
    t.is((await ask(tcp, wrong, "GET", "/v1/status")).status, 401, wrong);
  }
  t.is((await ask(tcp, TOKEN, "POST", "/v1/paths/4:0:0:0/disable")).body["enabled"], false);
  t.truthy(daemon.socket);
});

test("a reader's token is checked like the other one, and is not the other one", async (t) => {
  const tcp = await place(t);
  const file = join(tcp.folder, "read-token");
  const toml = `${tcp.toml}read_token_file = "${file}"\n`;
  await t.throwsAsync(RealDaemon.start(toml), { message: /sockets\.api_tcp\.read_token_file: cannot read/ });
  await writeFile(file, `${TOKEN}\n`, { mode: 0o640 });
  await t.throwsAsync(RealDaemon.start(toml), { message: /read_token_file: .* holds the token of token_file/ });
  await writeFile(file, "short\n");
  await t.throwsAsync(RealDaemon.start(toml), { message: /the token in .* is shorter than 16 bytes/ });
  await chmod(file, 0o644);
  await t.throwsAsync(RealDaemon.start(toml), { message: /read_token_file: others .* \(mode 0644\)/ });
});

test("a browser gets the pages without the token, and with them nothing about this host", async (t) => {
  const tcp = await place(t);
  await using daemon = await RealDaemon.start(tcp.toml);
  t.truthy(daemon.socket);
  const sent = request({ host: "localhost", port: tcp.port, ca: tcp.certificate, path: "/", agent: false });
  sent.end();
  const [response] = await once(sent, "response");
  t.is(response.statusCode, 200);
  // build/page/page.html
  let page = "";
  for await (const chunk of response) page += String(chunk);
  t.false(page.includes(hostname().length > 3 ? hostname() : "4:0:0:0"));
  t.is((await ask(tcp, null, "GET", "/v1/latencies")).status, 401);
});

test("events are streamed to who has the token", async (t) => {
  const tcp = await place(t);
  await using daemon = await RealDaemon.start(tcp.toml);
  const sent = request({
    host: "localhost",
    port: tcp.port,
    ca: tcp.certificate,
    path: "/v1/events/stream",
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  sent.end();
  const [response] = await once(sent, "response");
  t.is(response.statusCode, 200);
  const seen = new Promise<string>((resolve) => {
    let text = "";
    response.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('"message":275')) resolve(text);
    });
  });
  await daemon.client.call("POST", "/v1/paths/4:0:0:0/disable");
  t.regex(await seen, /^event: event$/m);
  sent.destroy();
});

test("plain HTTP, TLS 1.1 and a certificate that nobody vouches for get nowhere", async (t) => {
  const tcp = await place(t);
  await using daemon = await RealDaemon.start(tcp.toml);
  t.truthy(daemon.socket);
  const headers = { authorization: `Bearer ${TOKEN}` };
  const plain = getPlain({ host: "127.0.0.1", port: tcp.port, path: "/v1/status", headers, agent: false });
  await t.throwsAsync(once(plain, "response"));
  const old = connect({
    host: "127.0.0.1",
    port: tcp.port,
    ca: tcp.certificate,
    maxVersion: "TLSv1.1",
    minVersion: "TLSv1",
  });
  await t.throwsAsync(once(old, "secureConnect"));
  const stranger = connect({ host: "127.0.0.1", port: tcp.port, ca: selfSigned().certificate });
  await t.throwsAsync(once(stranger, "secureConnect"));
  // None of it harmed the others.
  t.is((await ask(tcp, TOKEN, "GET", "/v1/status")).status, 200);
});

test("a token that is too short, or files that are not there, stop the start, each in one line that names the key", async (t) => {
  const short = await place(t, "0123456789abcde");
  await t.throwsAsync(RealDaemon.start(short.toml), { message: /the token in .* is shorter than 16 bytes/ });
  const tcp = await place(t);
  for (const key of ["certificate", "key", "token_file"]) {
    const toml = tcp.toml.replace(new RegExp(`^${key} = .*$`, "m"), `${key} = "/nonexistent/${key}"`);
    await t.throwsAsync(RealDaemon.start(toml), {
      message: new RegExp(`sockets\\.api_tcp\\.${key}: cannot read /nonexistent/${key}`),
    });
  }
  const broken = tcp.toml.replace(/^key = .*$/m, `key = "${join(tcp.folder, "token")}"`);
  await t.throwsAsync(RealDaemon.start(broken), { message: /sockets\.api_tcp/ });
});

test("a key or token that others may read stops the start, in one line that says how to mend it", async (t) => {
  const tcp = await place(t);
  for (const [key, file] of Object.entries({ key: "key.pem", token_file: "token" })) {
    const name = join(tcp.folder, file);
    await chmod(name, 0o644);
    await t.throwsAsync(RealDaemon.start(tcp.toml), {
      message: new RegExp(`sockets\\.api_tcp\\.${key}: others .* ${name} \\(mode 0644\\)[^]*chmod 0640 ${name}`),
    });
    await chmod(name, 0o640);
  }
});

test("of TLS 1.2 only ciphers with forward secrecy and authenticated encryption are spoken", async (t) => {
  const tcp = await place(t);
  await using daemon = await RealDaemon.start(tcp.toml);
  t.truthy(daemon.socket);
  const at = { host: "127.0.0.1", port: tcp.port, servername: "localhost", ca: tcp.certificate };
  const weak = ["AES128-GCM-SHA256", "AES256-SHA", "DHE-RSA-AES128-GCM-SHA256"];
  const unauthenticated = ["ECDHE-RSA-AES128-SHA256", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA"];
  for (const ciphers of [...weak, ...unauthenticated]) {
    await t.throwsAsync(once(connect({ ...at, maxVersion: "TLSv1.2", ciphers }), "secureConnect"), undefined, ciphers);
  }
  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    const fine = connect({ ...at, maxVersion });
    await once(fine, "secureConnect");
    t.regex(fine.getCipher().name, /GCM|CHACHA20/);
    fine.destroy();
  }
});

test("a reload takes a new certificate, one that is broken changes nothing; connections stay", async (t) => {
  const tcp = await place(t);
  await using daemon = await RealDaemon.start(tcp.toml);
  const open = connect({ host: "127.0.0.1", port: tcp.port, servername: "localhost", ca: tcp.certificate });
  await once(open, "secureConnect");
  const next = selfSigned();
  await writeFile(tcp.files.certificate, next.certificate);
  await t.throwsAsync(daemon.client.call("POST", "/v1/config/reload"), { message: /are no certificate and its key/ });
  t.is((await ask(tcp, TOKEN, "GET", "/v1/status")).status, 200);
  await writeFile(tcp.files.key, next.key);
  await daemon.client.call("POST", "/v1/config/reload");
  await t.throwsAsync(ask(tcp, TOKEN, "GET", "/v1/status"));
  t.is((await ask({ ...tcp, certificate: next.certificate }, TOKEN, "GET", "/v1/status")).status, 200);
  open.write(`GET /v1/status HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\n\r\n`);
  t.regex(String((await once(open, "data"))[0]), /^HTTP\/1\.1 200/);
  open.destroy();
});
