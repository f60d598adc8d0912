// `pathctl --host`, `pathctl fleet show` and `pathctl page`: daemons of other hosts, and their pages in a browser on this one.

import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { request, type IncomingMessage } from "node:http";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import test, { type ExecutionContext } from "ava";
import { Client } from "../../../host/cli/api-client.ts";
import { pathctl } from "../../../host/cli/pathctl/main.ts";
import { servePages } from "../../../host/cli/pathctl/page-proxy.ts";
import { selfSigned } from "./certificate.ts";
import { RealDaemon } from "./daemon.ts";
import { recordedServer, run } from "./server.ts";
import { STATUS } from "./status-views.ts";

const TOKEN = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** A folder with what TLS needs, and a list of hosts. */
async function folderOf(
  t: ExecutionContext,
  hosts: string,
  mode = 0o600,
): Promise<Record<"PATHMANAGER_HOSTS", string>> {
  const folder = await mkdtemp(join(tmpdir(), "pathmanager-hosts-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, "hosts.toml");
  await writeFile(join(folder, "token"), `${TOKEN}\n`);
  await chmod(join(folder, "token"), mode);
  await writeFile(file, hosts.replaceAll("FOLDER", folder));
  return { PATHMANAGER_HOSTS: file };
}

test("a daemon of another host obeys by name, and the fleet is seen at a glance", async (t) => {
  t.timeout(180_000);
  const { certificate, key } = selfSigned();
  const port = await freePort();
  const env = await folderOf(
    t,
    `[defaults]\ntoken_file = "FOLDER/token"\nca_file = "FOLDER/cert.pem"\n` +
      `[hosts.db1]\naddress = "localhost:${port}"\n[hosts.db2]\naddress = "127.0.0.1:1"\n`,
  );
  const folder = env.PATHMANAGER_HOSTS.replace("/hosts.toml", "");
  await writeFile(join(folder, "cert.pem"), certificate);
  await writeFile(join(folder, "key.pem"), key, { mode: 0o600 });
  await using daemon = await RealDaemon.start(
    `[sockets.api_tcp]\nlisten = "127.0.0.1:${port}"\ncertificate = "${folder}/cert.pem"\nkey = "${folder}/key.pem"\ntoken_file = "${folder}/token"\n`,
  );
  const call = (...args: string[]) => run(pathctl, args, undefined, { env });
  const disabled = await call("path", "disable", "4:0:0:0", "--host", "db1");
  t.deepEqual([disabled.status, disabled.err], [0, ""]);
  const { paths } = await daemon.client.call<{ paths: { number: string; enabled: boolean }[] }>("GET", "/v1/paths");
  t.is(paths.find(({ number }) => number === "4:0:0:0")?.enabled, false);
  // Before the command, too.
  t.is((await call("--host", "db1", "show")).status, 0);

  const fleet = await call("fleet", "show");
  t.is(fleet.status, 2);
  t.regex(fleet.out, /^HOST +HEALTH +PATHS/m);
  t.regex(fleet.out, /^db1 +(ok|degraded) +\d+\/\d+ +\d+ +\d+\.\d+\.\d+ /m);
  t.regex(fleet.out, /^db2 +no answer .*nothing answers at db2 \(127\.0\.0\.1:1\) \(ECONNREFUSED\)/m);

  const stranger = await folderOf(t, `[hosts.db1]\naddress = "localhost:${port}"\ntoken_file = "FOLDER/token"\n`);
  const refused = await run(pathctl, ["status", "--host", "db1"], undefined, { env: stranger });
  t.is(refused.out, "");
  t.regex(refused.err, /db1 \(localhost:\d+\) cannot be trusted: .*; name its authority's certificate with ca_file/);
});

test("mistakes in the list of hosts are named", async (t) => {
  const call = async (hosts: string, ...args: string[]) =>
    (await run(pathctl, args, undefined, { env: await folderOf(t, hosts, 0o644) })).err;
  const one = '[hosts.db1]\naddress = "localhost:1"\ntoken_file = "FOLDER/token"\n';
  t.regex(await call(one, "status", "--host", "db2"), /there is no host db2; known are db1$/m);
  t.regex(await call(one, "status", "--host", "db1"), /hosts\.db1\.token_file: others may use .*; chmod 0640 /);
  t.regex(await call('[hosts.db1]\naddress = "localhost"\n', "fleet", "show"), /hosts\.db1\.address: is not HOST:PORT/);
  t.regex(
    await call('[hosts.db1]\nadress = "x:1"\n', "fleet", "show"),
    /hosts\.db1\.adress: unknown key; known here: address/,
  );
  t.regex(await call("[hosts", "fleet", "show"), /hosts\.toml: /);
  t.regex(await call(one, "status", "--host", "db1", "--socket", "/x"), /--host and --socket exclude each other/);
  const nowhere = await run(pathctl, ["fleet", "show"], undefined, {
    env: { PATHMANAGER_HOSTS: "/nonexistent/hosts.toml" },
  });
  t.regex(nowhere.err, /no other hosts are known: there is no \/nonexistent\/hosts\.toml; write one/);
});

interface Got {
  readonly status: number | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

test("a browser gets the pages through pathctl: once, by its own name, to read", async (t) => {
  await using server = await recordedServer({ "GET /v1/status": STATUS, "GET /": { page: true } });
  const proxy = await servePages(new Client(server.socket), 0);
  t.teardown(() => proxy.server.close());
  const { port } = proxy.server.address() as AddressInfo;
  const host = `127.0.0.1:${port}`;
  const get = async (path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Got> => {
    const sent = request({ host: "127.0.0.1", port, path, method, headers: { host, ...headers }, agent: false });
    sent.end();
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    return { status: response.statusCode, headers: response.headers, body: await text(response) };
  };
  const address = new URL(proxy.address);
  t.is(address.host, host);
  const keyed = `${address.pathname}${address.search}`;
  t.is((await get("/")).status, 403);
  t.is((await get("/?key=guess")).status, 403);
  // A name of somebody who has his name server answer with 127.0.0.1.
  t.is((await get(keyed, { host: `evil.example:${port}` })).status, 403);
  const entered = await get(keyed);
  t.is(entered.status, 303);
  t.is(entered.headers.location, "/");
  const setCookie = String(entered.headers["set-cookie"]);
  t.regex(setCookie, /; HttpOnly; SameSite=Strict; Path=\/$/);
  const cookie = setCookie.split(";")[0] ?? "";
  // Its address works once.
  t.is((await get(keyed)).status, 403);
  t.like(JSON.parse((await get("/v1/status", { cookie })).body), { host: STATUS.host });
  t.is((await get("/", { cookie })).status, 200);
  t.is((await get("/v1/paths/4:0:0:0/disable", { cookie }, "POST")).status, 405);
  t.is((await get("/v1/paths/4:0:0:0/disable", { cookie })).status, 404);
  t.is((await get("/v1/status", { cookie: cookie.replace(/.$/, (last) => (last === "_" ? "-" : "_")) })).status, 403);
  t.is((await get("/v1/status", { cookie, host: `evil.example:${port}` })).status, 403);
  t.deepEqual(
    server.seen.map(({ call }) => call),
    ["GET /v1/status", "GET /"],
  );
  await t.throwsAsync(servePages(new Client(server.socket), port), {
    message: /cannot listen on 127\.0\.0\.1:\d+ \(EADDRINUSE\)/,
  });
});
