// Our messages as the real receivers get them: rsyslogd over UDP, TCP and TLS, snmptrapd with versions 2c and 3, and what smilint thinks of
// the MIB.

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

import type { Notice } from "../../../host/liaison/receivers/notice.ts";
import { engineId, SnmpReceiver, type SnmpOptions } from "../../../host/liaison/receivers/snmp-receiver.ts";
import { SyslogReceiver } from "../../../host/liaison/receivers/syslog-receiver.ts";
import { selfSigned } from "../../unit/cli/certificate.ts";
import { until } from "../../until.ts";
import { type Case, check, same } from "../case.ts";
import { run } from "../run.ts";

const file = (name: string): string => new URL(`../../../${name}`, import.meta.url).pathname;
const noSignal = new AbortController().signal;

const notice = (id: number): Notice => ({
  id,
  time: Date.UTC(2026, 10, 22, 16, 15, 3),
  message: 258,
  kind: "failover-done",
  level: "warning",
  alive: true,
  manager: true,
  text: `Failover was done: LogicalUnit #0, path 5:0:0:0 (from "4:0:0:0", number ${id})`,
  unit: 0,
  identity: "naa.6001405a1b2c3d4e5f60718293a4b500",
  array: "PATHMGR EMULATED DISK",
  path: "5:0:0:0",
  detail: {},
});

/** A free port; another program may take it until it is used. */
async function freePort(): Promise<number> {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address() as AddressInfo;
  socket.close();
  return port;
}

const read = (name: string): string => (existsSync(name) ? readFileSync(name, "utf8") : "");

/** Runs a server in the foreground while `work` goes on; its output goes to a file. */
async function beside(program: string, args: readonly string[], log: string, work: () => Promise<void>): Promise<void> {
  const child: ChildProcess = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (bytes: Buffer) => (output += bytes.toString()));
  const ended = once(child, "close");
  try {
    await work();
  } catch (thrown) {
    throw new Error(`${thrown instanceof Error ? thrown.message : String(thrown)}\n${program}: ${output}${read(log)}`, {
      cause: thrown,
    });
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}

/** What rsyslogd needs to take TLS, with a certificate of its own; the rest is as over TCP. */
function secured(place: string): { readonly lines: string; readonly authority: Buffer } {
  const { certificate, key } = selfSigned();
  writeFileSync(join(place, "cert.pem"), certificate);
  writeFileSync(join(place, "key.pem"), key);
  const files = { CA: "cert", Cert: "cert", Key: "key" };
  const given = Object.entries(files).map(([of, name]) => `DefaultNetstreamDriver${of}File="${place}/${name}.pem"`);
  return { lines: `global(DefaultNetstreamDriver="gtls" ${given.join(" ")})\n`, authority: Buffer.from(certificate) };
}

async function rsyslog(folder: string, kind: "udp" | "tcp" | "tls"): Promise<void> {
  const place = join(folder, `rsyslog-${kind}`);
  mkdirSync(place, { recursive: true });
  const port = await freePort();
  const log = join(place, "log");
  const configuration = join(place, "rsyslog.conf");
  const input = kind === "udp" ? "imudp" : "imtcp";
  const tls = kind === "tls" ? secured(place) : null;
  writeFileSync(
    configuration,
    `${tls?.lines ?? ""}module(load="${input}"${tls === null ? "" : ' StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon"'})
input(type="${input}" port="${port}" address="127.0.0.1")
template(name="parts" type="string" string="%syslogseverity-text%|%app-name%|%msgid%|%structured-data%|%msg%\\n")
action(type="omfile" file="${log}" template="parts")
`,
  );
  await beside("rsyslogd", ["-n", "-f", configuration, "-i", join(place, "pid")], log, async () => {
    const address = { kind, host: "127.0.0.1", port };
    const receiver = new SyslogReceiver({
      address,
      host: "h1",
      sendDatagram: () => undefined,
      authority: tls?.authority,
    });
    // Until it listens, nothing arrives.
    await until("rsyslogd listens", async () => {
      await receiver.send([notice(0)], noSignal).catch(() => undefined);
      return read(log).includes("number 0");
    });
    await receiver.send([notice(1), notice(2), notice(3)], noSignal);
    await until("all are there", () => read(log).includes("number 3"));
    receiver.close();
  });
  const lines = read(log)
    .split("\n")
    .filter((line) => /number [123]\)/.test(line));
  same(lines.length, 3, "lines");
  for (const [index, line] of lines.entries()) {
    const [severity, program, kindOf, data = "", text = ""] = line.split("|");
    same([severity, program, kindOf], ["warning", "pathmanager", "failover-done"], "parts");
    check(data.startsWith(`[pathmanager@32473 id="${index + 1}" message="258"`), line);
    check(
      text.includes(`258 Failover was done: LogicalUnit #0, path 5:0:0:0 (from "4:0:0:0", number ${index + 1})`),
      line,
    );
  }
}

async function snmptrapd(
  folder: string,
  name: string,
  lines: readonly string[],
  options: Pick<SnmpOptions, "access" | "isConfirmed">,
): Promise<void> {
  const place = join(folder, `snmptrapd-${name}`);
  mkdirSync(place, { recursive: true });
  const port = await freePort();
  const log = join(place, "log");
  const configuration = join(place, "snmptrapd.conf");
  writeFileSync(configuration, `${lines.join("\n")}\npersistentDir ${place}\n`);
  const args = ["-f", "-On", "-m", "", "-C", "-c", configuration, "-Lf", log, `udp:127.0.0.1:${port}`];
  await beside("snmptrapd", args, log, async () => {
    const receiver = new SnmpReceiver({ server: "127.0.0.1", port, host: "h1", ...options });
    await until("snmptrapd hears", async () => {
      await receiver.send([notice(1)], noSignal).catch(() => undefined);
      return read(log).includes("number 1");
    });
    await receiver.send([notice(2)], noSignal);
    await until("the second is there", () => read(log).includes("number 2"));
  });
  const text = read(log);
  check(text.includes(".1.3.6.1.6.3.1.1.4.1.0 = OID: .1.3.6.1.4.1.32473.1.0.258"), text);
  check(/\.1\.3\.6\.1\.4\.1\.32473\.1\.1\.8\.0 = STRING: "5:0:0:0"/.test(text), text);
  check(/\.1\.3\.6\.1\.4\.1\.32473\.1\.1\.4\.0 = INTEGER: 2/.test(text), text);
}

const V3 = { version: "3", user: "ops", auth: "authentication1", privacy: "encryption1" } as const;
const ACCESS = "authUser log ops priv";

export const cases: readonly Case[] = [
  { name: "rsyslogd takes our messages over UDP", run: ({ folder }) => rsyslog(folder, "udp") },
  { name: "rsyslogd takes our messages over TCP", run: ({ folder }) => rsyslog(folder, "tcp") },
  { name: "rsyslogd takes our messages over TLS", run: ({ folder }) => rsyslog(folder, "tls") },
  {
    name: "snmptrapd takes our traps of version 2c",
    run: ({ folder }) =>
      snmptrapd(folder, "2c", ["authCommunity log secret1"], {
        access: { version: "2c", community: "secret1" },
        isConfirmed: false,
      }),
  },
  {
    name: "snmptrapd confirms our informs of version 3",
    run: ({ folder }) =>
      snmptrapd(folder, "inform", [`createUser ops SHA-256 ${V3.auth} AES ${V3.privacy}`, ACCESS], {
        access: V3,
        isConfirmed: true,
      }),
  },
  {
    name: "snmptrapd takes our traps of version 3",
    run: ({ folder }) =>
      snmptrapd(
        folder,
        "trap",
        [`createUser -e 0x${engineId("h1")} ops SHA-256 ${V3.auth} AES ${V3.privacy}`, ACCESS],
        { access: V3, isConfirmed: false },
      ),
  },
  {
    name: "smilint finds nothing wrong with the MIB",
    run: async () => {
      const standard = file("node_modules/net-snmp/lib/mibs");
      const args = [`SMIPATH=${standard}`, "smilint", "-l", "6", file("docs/PATHMANAGER-MIB.txt")];
      const { stdout, stderr } = await run("env", args);
      same(stdout + stderr, "", "complaints");
    },
  },
];
