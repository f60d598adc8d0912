// NBD over TLS with the libraries and tools that clients use: GnuTLS in libnbd, nbdkit and QEMU, certificates from certtool,
// keys from psktool.

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { type ChildProcess, spawn } from "node:child_process";
import { createServer, connect as connectTcp } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import type { ConnectionOptions } from "node:tls";
import { byKey, secure } from "../../unit/export/tls-client.ts";
import { infoData, option, replies } from "../../unit/export/client.ts";
import { until } from "../../until.ts";
import { type Case, check, type Context, same } from "../case.ts";
import { Daemon } from "../daemon.ts";
import { nbdsh, run } from "../run.ts";

const MIB = 1 << 20;

/** Certificates and keys, in the folders and with the names that libnbd and QEMU expect. */
class Pki {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  at(...names: string[]): string {
    return join(this.folder, ...names);
  }

  /** A client's folder: its certificate, and the authority by which it verifies the server. */
  client(name: string): string {
    return this.at(name);
  }

  async authority(name: string): Promise<void> {
    await run("certtool", ["--generate-privkey", "--key-type=ecdsa", "--outfile", this.at(`${name}-key.pem`)]);
    writeFileSync(this.at("template"), `cn = "${name}"\nca\ncert_signing_key\nexpiration_days = 30\n`);
    const key = ["--load-privkey", this.at(`${name}-key.pem`)];
    const files = ["--template", this.at("template"), "--outfile", this.at(`${name}.pem`)];
    await run("certtool", ["--generate-self-signed", ...key, ...files]);
  }

  async certificate(name: string, by: string, ...template: string[]): Promise<void> {
    await run("certtool", ["--generate-privkey", "--key-type=ecdsa", "--outfile", this.at(`${name}-key.pem`)]);
    writeFileSync(this.at("template"), `${[`cn = "${name}"`, "signing_key", ...template].join("\n")}\n`);
    const authority = ["--load-ca-certificate", this.at(`${by}.pem`), "--load-ca-privkey", this.at(`${by}-key.pem`)];
    const files = ["--template", this.at("template"), "--outfile", this.at(`${name}.pem`)];
    await run("certtool", [
      "--generate-certificate",
      "--load-privkey",
      this.at(`${name}-key.pem`),
      ...authority,
      ...files,
    ]);
    mkdirSync(this.at(name), { recursive: true });
    copyFileSync(this.at("ca.pem"), this.at(name, "ca-cert.pem"));
    const role = name.startsWith("server") ? "server" : "client";
    copyFileSync(this.at(`${name}.pem`), this.at(name, `${role}-cert.pem`));
    copyFileSync(this.at(`${name}-key.pem`), this.at(name, `${role}-key.pem`));
  }

  async keys(file: string, ...identities: string[]): Promise<void> {
    for (const identity of identities) await run("psktool", ["--username", identity, "--pskfile", this.at(file)]);
  }
}

async function makePki(folder: string): Promise<Pki> {
  const pki = new Pki(folder);
  const valid = "expiration_days = 20";
  await pki.authority("ca");
  await pki.authority("stranger");
  await pki.certificate("server", "ca", "dns_name = localhost", "ip_address = 127.0.0.1", "tls_www_server", valid);
  await pki.certificate("alice", "ca", "dns_name = alice.example.com", "tls_www_client", valid);
  await pki.certificate("reader", "ca", "organization = Example", "tls_www_client", valid);
  const past = ['activation_date = "2020-01-01 00:00:00"', 'expiration_date = "2020-02-01 00:00:00"'];
  await pki.certificate("late", "ca", "tls_www_client", ...past);
  await pki.certificate("foreign", "stranger", "tls_www_client", valid);
  await pki.keys("keys.psk", "hypervisor1", "backup");
  await pki.keys("wrong.psk", "hypervisor1");
  // For QEMU, which looks for the keys in a folder.
  mkdirSync(pki.at("psk"), { recursive: true });
  copyFileSync(pki.at("keys.psk"), pki.at("psk", "keys.psk"));
  return pki;
}

const RULES = `
[[sockets.nbd_tcp.allow]]
san = "DNS:alice.example.com"
exports = "all"
access = "read-write"
[[sockets.nbd_tcp.allow]]
psk = "hypervisor1"
exports = ["0"]
access = "read-write"
[[sockets.nbd_tcp.allow]]
subject = "CN=reader,O=Example"
exports = ["1"]
access = "read-only"
`;

interface Stage {
  readonly pki: Pki;
  readonly port: number;
  /** URI for a client with the named certificate. */
  x509(name: string, unit?: string): string;
  psk(identity: string, unit?: string, file?: string): string;
  /** Options of QEMU's tools for unit 0: objects, image. */
  qemu(how: "x509" | "psk"): readonly [string, string];
  readonly daemon: Daemon;
}

/** A separate daemon with TLS on a free port; the certificates are created once. */
async function onStage({ folder }: Context, work: (stage: Stage) => Promise<void>): Promise<void> {
  const place = join(folder, "tls");
  const pki = await (made ??= makePki(join(place, "pki")));
  const files = { certificate: "server.pem", key: "server-key.pem", authorities: "ca.pem", psk_file: "keys.psk" };
  const lines = Object.entries(files).map(([key, name]) => `${key} = "${pki.at(name)}"`);
  const table = `[sockets.nbd_tcp]\nlisten = "127.0.0.1:0"\n${lines.join("\n")}\n`;
  const daemon = new Daemon(join(place, "daemon"), {
    configuration: `${table}${RULES}[array]\nunits = 2\nunit_mib = 64\npaths = 4\ncontrollers = 2\n`,
  });
  await daemon.start();
  const port = Number(/:(\d+)$/.exec((await daemon.status()).sockets.nbdTcp ?? "")?.[1]);
  const image = `driver=nbd,server.type=inet,server.host=localhost,server.port=${port},export=0,tls-creds=t`;
  try {
    await work({
      pki,
      port,
      daemon,
      x509: (name, unit = "0") => `nbds://localhost:${port}/${unit}?tls-certificates=${pki.client(name)}`,
      psk: (identity, unit = "0", file = "keys.psk") =>
        `nbds://${identity}@localhost:${port}/${unit}?tls-psk-file=${pki.at(file)}`,
      qemu: (how) => [
        how === "x509"
          ? `tls-creds-x509,id=t,dir=${pki.client("alice")},endpoint=client`
          : `tls-creds-psk,id=t,dir=${pki.at("psk")},username=hypervisor1,endpoint=client`,
        image,
      ],
    });
  } finally {
    await daemon.stop();
  }
}
let made: Promise<Pki> | undefined;

/** Checks that a program fails with such a message. */
async function fails(says: RegExp, program: string, ...args: string[]): Promise<void> {
  const { stdout, stderr } = await run(program, args, { statuses: [1] });
  check(says.test(stdout + stderr), `${program} ${args.join(" ")} said:\n${stdout}${stderr}`);
}

/** A round trip with nbdcopy, compared with cmp and qemu-img; written by one client, read by the other. */
async function carries(stage: Stage, context: Context, uri: string, how: "x509" | "psk"): Promise<void> {
  const source = join(context.folder, "tls-source.raw");
  const back = join(context.folder, "tls-back.raw");
  await run("dd", ["if=/dev/urandom", `of=${source}`, "bs=1M", "count=64", "status=none"]);
  await run("nbdcopy", ["--connections=4", "--requests=64", "--flush", source, uri]);
  await run("nbdcopy", ["--request-size=65536", uri, back]);
  await run("cmp", [source, back]);
  const [object, image] = stage.qemu(how);
  const compare = ["compare", "--object", object, "--image-opts", image];
  await run("qemu-img", [...compare, `driver=raw,file.driver=file,file.filename=${source}`]);
  const commands = ["write -P 0x5a 1M 3M", "flush", "read -P 0x5a 1M 3M", "write -z 2M 64k", "discard 8M 1M"];
  await run("qemu-io", ["--object", object, "--image-opts", image, ...commands.flatMap((one) => ["-c", one])]);
  const read = "assert h.pread(65536, 1 << 20) == b'\\x5a' * 65536; assert h.pread(4096, 2 << 20) == bytes(4096)";
  await nbdsh(`h = nbd.NBD()\nh.set_uri_allow_local_file(True)\nh.connect_uri(${JSON.stringify(uri)})\n${read}\n`);
  const shown = JSON.parse((await run("nbdinfo", ["--json", uri])).stdout);
  same([shown.protocol, shown.TLS], ["newstyle-fixed", true], "protocol");
}

/** Another server on a free port, until the work with it is done. */
async function beside(
  program: string,
  args: (port: string) => string[],
  work: (port: number) => Promise<void>,
): Promise<void> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  probe.close();
  await once(probe, "close");
  const child: ChildProcess = spawn(program, args(String(port)), { stdio: ["ignore", "ignore", "inherit"] });
  try {
    await until(`${program} listens`, async () => {
      const client = connectTcp(port, "127.0.0.1");
      const listens = await new Promise<boolean>((resolve) => {
        client.once("connect", () => resolve(true));
        client.once("error", () => resolve(false));
      });
      client.destroy();
      return listens;
    });
    await work(port);
  } finally {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
}

/** A server's answer to the tests' own client about its only export. */
async function asks(port: number, options: ConnectionOptions): Promise<void> {
  const client = await secure(port, options);
  client.write(Buffer.concat([option(6, infoData("")), option(2)]));
  const chunks: Buffer[] = [];
  client.on("data", (chunk) => chunks.push(Buffer.from(chunk)));
  await once(client, "close");
  const info = replies(Buffer.concat(chunks)).find(({ type, data }) => type === 3 && data.readUInt16BE(0) === 0);
  same(Number(info?.data.readBigUInt64BE(2)), MIB, "size of the export");
}

/** Names of the exports that a client sees. */
const lists = async (uri: string): Promise<string[]> => {
  const shown = JSON.parse((await run("nbdinfo", ["--list", "--json", uri])).stdout) as {
    exports: { "export-name": string }[];
  };
  return shown.exports.map((one) => one["export-name"]);
};

/** Writes and reads for some seconds on one connection. */
const writesAndReads = (uri: string): string => `
import time
h = nbd.NBD()
h.set_uri_allow_local_file(True)
h.connect_uri(${JSON.stringify(uri)})
end = time.monotonic() + 3
while time.monotonic() < end:
    h.pwrite(b"\\x33" * 65536, 0)
    assert h.pread(65536, 0) == b"\\x33" * 65536
`;

export const cases: readonly Case[] = [
  {
    name: "TLS with certificates: nbdcopy, nbdinfo, nbdsh, qemu-img, qemu-io",
    run: (context) => onStage(context, (stage) => carries(stage, context, stage.x509("alice"), "x509")),
  },
  {
    name: "TLS with keys: nbdcopy, nbdinfo, nbdsh, qemu-img, qemu-io",
    run: (context) => onStage(context, (stage) => carries(stage, context, stage.psk("hypervisor1"), "psk")),
  },
  {
    name: "TLS 1.2 with certificates, as GnuTLS speaks it",
    run: (context) =>
      onStage(context, async ({ x509 }) => {
        const file = join(context.folder, "gnutls.conf");
        const without = (...versions: string[]): string[] => {
          writeFileSync(file, `[overrides]\n${versions.map((one) => `disabled-version = ${one}\n`).join("")}`);
          return [`GNUTLS_SYSTEM_PRIORITY_FILE=${file}`, "nbdcopy", x509("alice"), "null:"];
        };
        await run("env", without("tls1.3"));
        // That TLS 1.2 was used and nothing else shows when it is disabled as well.
        await fails(/nbd_connect_uri/, "env", ...without("tls1.3", "tls1.2"));
      }),
  },
  {
    name: "TLS: nbdkit's nbd plugin and qemu-nbd's client pass it on",
    run: (context) =>
      onStage(context, async ({ pki, port }) => {
        const common = ["nbd", "hostname=localhost", `port=${port}`, "export=0", "tls=require"];
        const script = "nbdinfo --size $uri && nbdcopy $uri null:";
        for (const how of [
          [`tls-certificates=${pki.client("alice")}`],
          [`tls-psk=${pki.at("keys.psk")}`, "tls-username=hypervisor1"],
        ]) {
          const { stdout } = await run("nbdkit", ["-U", "-", ...common, ...how, "--run", script]);
          same(Number(stdout.trim()), 64 * MIB, "size behind nbdkit");
        }
      }),
  },
  {
    name: "TLS: who has no TLS, no certificate, a late or foreign one, or a wrong key is turned away",
    run: (context) =>
      onStage(context, async ({ pki, port, x509, psk, daemon }) => {
        await fails(/TLS/i, "nbdinfo", `nbd://localhost:${port}/0`);
        await fails(/not supported/, "nbdinfo", "--list", `nbd://localhost:${port}`);
        await fails(/TLS/i, "qemu-img", "info", `nbd://localhost:${port}/0`);
        mkdirSync(pki.at("nothing"), { recursive: true });
        copyFileSync(pki.at("ca.pem"), pki.at("nothing", "ca-cert.pem"));
        for (const name of ["nothing", "late", "foreign"]) await fails(/nbd_connect_uri/, "nbdinfo", x509(name));
        await fails(/nbd_connect_uri/, "nbdinfo", psk("hypervisor1", "0", "wrong.psk"));
        await fails(/nbd_connect_uri/, "nbdinfo", psk("nobody", "0", "keys.psk"));
        await run("nbdinfo", [x509("alice")]);
        const log = readFileSync(daemon.log, "utf8");
        const events = JSON.stringify(await daemon.call("GET", "/v1/events?limit=1000"));
        check(events.includes("client-untrusted") || log.includes("683"), "nobody was told of who was turned away");
      }),
  },
  {
    name: "TLS: each client lists and opens what the rules give it",
    run: (context) =>
      onStage(context, async ({ port, pki, x509, psk }) => {
        const at = (name: string): string => `nbds://localhost:${port}?tls-certificates=${pki.client(name)}`;
        same(await lists(at("alice")), ["lu0", "lu1"], "alice");
        same(await lists(at("reader")), ["lu1"], "reader");
        same(await lists(`nbds://hypervisor1@localhost:${port}?tls-psk-file=${pki.at("keys.psk")}`), ["lu0"], "key");
        await fails(/No such file or directory/, "nbdinfo", x509("reader", "0"));
        await fails(/No such file or directory/, "nbdinfo", psk("hypervisor1", "1"));
        await fails(/No such file or directory/, "nbdinfo", psk("backup", "0"));
        same((await run("nbdinfo", ["--is", "read-only", x509("reader", "1")])).status, 0, "read-only");
        const forced =
          "h.set_strict_mode(0)\ntry:\n  h.pwrite(bytes(512), 0)\n  raise SystemExit(3)\nexcept nbd.Error as e:\n  assert e.errnum == errno.EPERM, e\n";
        const connect = `h = nbd.NBD()\nh.set_uri_allow_local_file(True)\nh.connect_uri(${JSON.stringify(x509("reader", "1"))})\n`;
        await nbdsh(connect + forced);
      }),
  },
  {
    name: "TLS: a reload takes new keys while a copy runs on",
    run: (context) =>
      onStage(context, async ({ pki, x509, psk, daemon }) => {
        const running = nbdsh(writesAndReads(x509("alice")));
        await new Promise((resolve) => setTimeout(resolve, 500));
        const before = readFileSync(pki.at("keys.psk"));
        try {
          writeFileSync(pki.at("keys.psk"), readFileSync(pki.at("wrong.psk")));
          await daemon.call("POST", "/v1/config/reload");
          await run("nbdinfo", [psk("hypervisor1", "0", "wrong.psk")]);
          await fails(/nbd_connect_uri/, "nbdinfo", psk("hypervisor1", "0", "psk/keys.psk"));
        } finally {
          writeFileSync(pki.at("keys.psk"), before);
        }
        await running;
      }),
  },
  {
    name: "TLS: the client of bare bytes speaks to nbdkit and qemu-nbd as well, so what it proves of us means something",
    run: async (context) => {
      await onStage(context, async ({ pki }) => {
        const [identity, hex] = readFileSync(pki.at("keys.psk"), "utf8").split("\n")[0]?.split(":") ?? [];
        const options = byKey(identity ?? "", Buffer.from(hex ?? "", "hex"));
        const image = join(context.folder, "tls-one.raw");
        writeFileSync(image, Buffer.alloc(MIB));
        const require = ["--tls=require", `--tls-psk=${pki.at("keys.psk")}`];
        const kit = (port: string): string[] => ["-f", "-i", "127.0.0.1", "-p", port, ...require, "memory", `${MIB}`];
        await beside("nbdkit", kit, (port) => asks(port, options));
        const object = `tls-creds-psk,id=t,dir=${pki.at("psk")},endpoint=server`;
        const qemu = (port: string): string[] => [
          "--object",
          object,
          "--tls-creds",
          "t",
          "-t",
          "-f",
          "raw",
          "-b",
          "127.0.0.1",
          "-p",
          port,
          image,
        ];
        await beside("qemu-nbd", qemu, (port) => asks(port, options));
      });
    },
  },
];
