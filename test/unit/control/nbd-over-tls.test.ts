// NBD over TLS as the configuration has it: files, rules, reload, and what is told.

import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import type { ConnectionOptions } from "node:tls";
import { loadConfiguration } from "../../../host/control/settings/configuration.ts";
import { ControlError } from "../../../host/control/ground/control-errors.ts";
import { parsePskFile } from "../../../host/control/tls/psk-file.ts";
import { expiryOf } from "../../../host/control/tls/sources.ts";
import { infoData, option, replies } from "../export/client.ts";
import * as T from "../export/tls-client.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const ARRAY = "[array]\nunits = 2\npaths = 2\nunit_mib = 1\n";

interface Files {
  readonly folder: string;
  put(name: string, fixture: string): void;
  /** The table, but for its rules. */
  readonly toml: string;
}

function files(t: ExecutionContext, psk = `alice:${T.PSK.toString("hex")}\n`): Files {
  const folder = mkdtempSync(join(tmpdir(), "pm-nbd-tls-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const put = (name: string, fixture: string): void => {
    const file = join(folder, name);
    copyFileSync(fileURLToPath(new URL(`../export/fixtures/tls/${fixture}.pem`, import.meta.url)), file);
    chmodSync(file, 0o600);
  };
  put("server.pem", "server");
  put("server-key.pem", "server-key");
  put("ca.pem", "authority");
  writeFileSync(join(folder, "keys.psk"), psk, { mode: 0o640 });
  const keys = { certificate: "server.pem", key: "server-key.pem", authorities: "ca.pem", psk_file: "keys.psk" };
  const lines = Object.entries(keys).map(([key, name]) => `${key} = "${join(folder, name)}"`);
  return { folder, put, toml: `[sockets.nbd_tcp]\nlisten = "127.0.0.1:0"\n${lines.join("\n")}\n` };
}

const port = ({ daemon }: TestDaemon): number => Number(/:(\d+)$/.exec(daemon.doors.nbdTcp ?? "")?.[1]);

/** Which of the two units a client may open, or that it is turned away. */
async function opens(at: number, options: ConnectionOptions): Promise<string> {
  try {
    const client = await T.secure(at, options);
    client.write(Buffer.concat([option(6, infoData("0")), option(6, infoData("1")), option(2)]));
    const chunks: Buffer[] = [];
    client.on("data", (chunk) => chunks.push(Buffer.from(chunk)));
    await once(client, "close");
    const found = replies(Buffer.concat(chunks));
    // Of INFO_EXPORT, the transmission flags: bit 1 is read-only.
    const infos = found.filter(({ type, data }) => type === 3 && data.readUInt16BE(0) === 0);
    const modes = infos.map(({ data }) => ((data.readUInt16BE(10) & 2) === 0 ? "w" : "r"));
    const unknown = found.filter(({ type }) => type === 0x80000006).length;
    return chunks.length === 0 ? "turned away" : `${modes.join("")}${"-".repeat(unknown)}`;
  } catch {
    return "turned away";
  }
}

const rule = (who: string, exports: string, access: string): string =>
  `[[sockets.nbd_tcp.allow]]\n${who}\nexports = ${exports}\naccess = "${access}"\n`;

test.serial(
  "clients with a certificate or a key get what the rules say; a reload changes rules without a restart",
  async (t) => {
    const made = files(t);
    const rules =
      rule('psk = "alice"', '["0"]', "read-only") + rule('san = "DNS:client2.example.com"', '"all"', "read-write");
    const daemon = await TestDaemon.start(t, `${made.toml}${rules}${ARRAY}`);
    t.is(await opens(port(daemon), T.byKey("alice")), "r-");
    t.is(await opens(port(daemon), T.byCertificate("client2")), "ww");
    t.is(await opens(port(daemon), T.byCertificate("client1")), "--");
    t.is(await opens(port(daemon), T.byCertificate("stranger")), "turned away");
    const next = rule('subject = "CN=client1,O=Example"', '"all"', "read-only");
    TestDaemon.configure(daemon.folder, `${made.toml}${next}${ARRAY}`);
    const report = await daemon.change<{ applied: string[]; restartNeeded: string[] }>(t, "POST", "/v1/config/reload");
    t.deepEqual([report.applied, report.restartNeeded], [["sockets.nbd_tcp.allow"], []]);
    t.is(await opens(port(daemon), T.byCertificate("client1")), "rr");
    t.is(await opens(port(daemon), T.byKey("alice")), "--");
  },
);

test.serial("a reload reads certificates and keys anew; a file that is wrong changes nothing", async (t) => {
  const made = files(t);
  const daemon = await TestDaemon.start(t, `${made.toml}${ARRAY}`);
  t.is(await opens(port(daemon), T.byCertificate("client1")), "ww");
  writeFileSync(join(made.folder, "keys.psk"), "alice:12\n");
  made.put("ca.pem", "stranger-authority");
  const error = await daemon.refused(t, "POST", "/v1/config/reload");
  t.regex(error.message, /sockets\.nbd_tcp\.psk_file: .*keys\.psk:1: the key has 1 byte;/);
  t.is(await opens(port(daemon), T.byCertificate("client1")), "ww");
  writeFileSync(join(made.folder, "keys.psk"), `bob:${T.PSK.toString("hex")}\n`);
  await daemon.change(t, "POST", "/v1/config/reload");
  t.is(await opens(port(daemon), T.byCertificate("client1")), "turned away");
  t.is(await opens(port(daemon), T.byCertificate("stranger")), "ww");
  t.is(await opens(port(daemon), T.byKey("alice")), "turned away");
  t.is(await opens(port(daemon), T.byKey("bob")), "ww");
  // What turned them away is told once for their address.
  const { events } = await daemon.get<"events">(t, "/v1/events");
  const told = events.filter(({ message }) => message === 683);
  t.is(told.length, 1);
  t.regex(JSON.stringify(told), /127\.0\.0\.1/);
});

test.serial(
  "files that others may read, or that are none, stop the start, and the key that names them is told",
  async (t) => {
    const made = files(t);
    const starts = (toml: string): Promise<unknown> => TestDaemon.start(t, `${toml}${ARRAY}`);
    for (const [key, name] of [
      ["key", "server-key.pem"],
      ["psk_file", "keys.psk"],
    ] as const) {
      chmodSync(join(made.folder, name), 0o644);
      await t.throwsAsync(starts(made.toml), { message: new RegExp(`sockets\\.nbd_tcp\\.${key}: others .*${name}`) });
      chmodSync(join(made.folder, name), 0o600);
    }
    const missing = made.toml.replace(/^authorities = .*$/m, 'authorities = "/nonexistent/ca"');
    await t.throwsAsync(starts(missing), { message: /sockets\.nbd_tcp\.authorities: cannot read \/nonexistent\/ca/ });
    for (const name of ["server.pem", "ca.pem"]) {
      writeFileSync(join(made.folder, name), "no certificate\n");
      await t.throwsAsync(starts(made.toml), { message: /sockets\.nbd_tcp.*certificate/, instanceOf: ControlError });
      made.put(name, name === "ca.pem" ? "authority" : "server");
    }
    made.put("server-key.pem", "client1-key");
    await t.throwsAsync(starts(made.toml), { message: /are no certificate and its key/ });
  },
);

test.serial("a certificate of the daemon that has expired is told at the start, with its file", async (t) => {
  const made = files(t);
  made.put("server.pem", "expired-server");
  made.put("server-key.pem", "expired-server-key");
  const daemon = await TestDaemon.start(t, `${made.toml}${ARRAY}`);
  const { events } = await daemon.get<"events">(t, "/v1/events");
  const told = events.filter(({ message }) => message === 682);
  t.is(told.length, 1);
  t.regex(JSON.stringify(told), /sockets\.nbd_tcp\.certificate.*server\.pem/);
  t.deepEqual(
    events.filter(({ message }) => message === 681),
    [],
  );
});

test.serial("without TLS, by insecure = true, everybody may open what is for anyone", async (t) => {
  const toml = '[sockets.nbd_tcp]\nlisten = "127.0.0.1:0"\ninsecure = true\n';
  const daemon = await TestDaemon.start(t, `${toml}${rule("anyone = true", '["1"]', "read-only")}${ARRAY}`);
  const { connect } = await import("node:net");
  const client = connect(port(daemon), "127.0.0.1");
  client.write(
    Buffer.concat([Buffer.from([0, 0, 0, 3]), option(5), option(6, infoData("0")), option(7, infoData("1"))]),
  );
  const said = await T.take(client, 18 + 20);
  t.is(said.readUInt32BE(18 + 12), 0x80000001, "STARTTLS is not offered");
  client.destroy();
});

test("the first certificate of a file to expire is what counts", (t) => {
  const both = Buffer.concat([T.fixture("server"), T.fixture("expired-server")]);
  t.is(expiryOf(both)?.getTime(), expiryOf(T.fixture("expired-server"))?.getTime());
  t.true((expiryOf(T.fixture("server"))?.getTime() ?? 0) > Date.now());
  t.is(expiryOf(Buffer.from("nothing")), null);
});

const parse = (text: string): Map<string, Uint8Array> => parsePskFile(text, "p", "f");

test("a file of keys: lines as psktool makes them; mistakes are named by their line, and no key is shown", (t) => {
  const key = "00112233445566778899AABBCCDDEEFF";
  t.deepEqual([...parse(`alice:${key}\n\nuser:with:colons:${key}\r\n`).keys()], ["alice", "user:with:colons"]);
  t.is(parse(`a:${key}`).get("a")?.length, 16);
  for (const wrong of [
    "alice",
    `alice:${key}0`,
    `:${key}`,
    `alice: ${key}`,
    `#61:${key}`,
    "alice:0011",
    `a:${key}\na:${key}`,
    "",
  ]) {
    const error = t.throws(() => parse(wrong), { instanceOf: ControlError, message: /^p: (f:[12]: |no key)/ }, wrong);
    t.false(error.message.includes(key), wrong);
  }
});

test("a configuration with TLS is read whole", (t) => {
  const made = files(t);
  const file = join(made.folder, "pathmanager.toml");
  writeFileSync(file, `${made.toml}${rule("anyone = true", '["lu0"]', "read-only")}`);
  const { sockets } = loadConfiguration(file, true).configuration;
  t.is(sockets.nbd_tcp?.insecure, false);
  t.is(sockets.nbd_tcp?.allow[0]?.access, "read-only");
});
