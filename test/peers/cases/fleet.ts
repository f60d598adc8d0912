// Three hosts watched by a real Prometheus, with the configuration of docs/fleet.md.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../free-port.ts";
import { until } from "../../until.ts";
import { selfSigned } from "../../unit/cli/certificate.ts";
import { type Case, same } from "../case.ts";
import { Daemon } from "../daemon.ts";
import { run } from "../run.ts";

const HOSTS = ["db1", "db2", "db3"] as const;
const TOKEN = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
/** Prometheus may read, and nothing else. */
const READ_TOKEN = "f0e1d2c3b4a5968778695a4b3c2d1e0f";
const file = (name: string): string => new URL(`../../../${name}`, import.meta.url).pathname;

interface Answer {
  readonly data: {
    readonly result: readonly { readonly metric: Record<string, string>; readonly value: [number, string] }[];
  };
}

/** The values of a query, each with one of its labels. */
async function values(port: number, query: string, label: string): Promise<Record<string, string>> {
  const response = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`);
  const { data } = (await response.json()) as Answer;
  return Object.fromEntries(data.result.map(({ metric, value }) => [metric[label] ?? "", value[1]]));
}

const sorted = (found: Record<string, string>): string => JSON.stringify(Object.entries(found).toSorted());

/** The configuration of the document, for what runs here. */
function configurationOf(folder: string, targets: readonly string[]): string {
  const text = readFileSync(file("docs/fleet.md"), "utf8");
  const yaml = /```yaml\n# prometheus\.yml\n([\s\S]*?)```/.exec(text)?.[1] ?? "";
  const changes: readonly (readonly [string, string])[] = [
    ["15s", "1s"],
    ["[pathmanager-alerts.yml]", `[${file("host/cli/packaging/pathmanager-alerts.yml")}]`],
    ["/etc/prometheus/pathmanager.read-token", join(folder, "read-token")],
    ["/etc/prometheus/pathmanager-ca.pem", join(folder, "cert.pem")],
    ...HOSTS.map((host, at) => [`${host}.example:9443`, targets[at] ?? ""] as const),
  ];
  return changes.reduce((all, [before, after]) => {
    if (!all.includes(before)) throw new Error(`docs/fleet.md does not say ${before}`);
    return all.replace(before, after);
  }, yaml);
}

async function prepared(
  folder: string,
): Promise<{ readonly daemons: readonly Daemon[]; readonly targets: readonly string[] }> {
  const { certificate, key } = selfSigned();
  writeFileSync(join(folder, "cert.pem"), certificate);
  writeFileSync(join(folder, "key.pem"), key, { mode: 0o600 });
  writeFileSync(join(folder, "token"), TOKEN, { mode: 0o600 });
  writeFileSync(join(folder, "read-token"), READ_TOKEN, { mode: 0o600 });
  const targets: string[] = [];
  const daemons: Daemon[] = [];
  for (const host of HOSTS) {
    const target = `localhost:${await freePort()}`;
    targets.push(target);
    const tokens = { token_file: "token", read_token_file: "read-token" };
    const tls = { listen: target, certificate: "cert.pem", key: "key.pem", ...tokens };
    const lines = Object.entries(tls).map(
      ([name, value]) => `sockets.api_tcp.${name} = "${name === "listen" ? value : join(folder, value)}"`,
    );
    const array = "[array]\nunits = 2\nunit_mib = 1\npaths = 2\n";
    daemons.push(new Daemon(join(folder, host), { configuration: `${lines.join("\n")}\n${array}` }));
  }
  return { daemons, targets };
}

/** Prometheus asks all three until `work` has seen what it wants. */
async function watched(
  folder: string,
  targets: readonly string[],
  work: (port: number) => Promise<void>,
): Promise<void> {
  const configuration = join(folder, "prometheus.yml");
  writeFileSync(configuration, configurationOf(folder, targets));
  await run("promtool", ["check", "config", configuration]);
  const port = await freePort();
  const storage = join(folder, "tsdb");
  mkdirSync(storage);
  const args = [
    `--config.file=${configuration}`,
    `--storage.tsdb.path=${storage}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  const child: ChildProcess = spawn("prometheus", [...args, "--log.level=warn"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let log = "";
  child.stderr?.on("data", (chunk) => (log += String(chunk)));
  const gone = once(child, "exit");
  try {
    await until("prometheus answers", async () => {
      if (child.exitCode !== null) throw new Error(`prometheus ended: ${log}`);
      return fetch(`http://127.0.0.1:${port}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
    });
    await work(port);
  } finally {
    child.kill("SIGKILL");
    await gone;
  }
}

export const cases: readonly Case[] = [
  {
    name: "prometheus watches three hosts over TLS, and tells which of them is degraded",
    run: async ({ folder: suite }) => {
      const folder = join(suite, "fleet");
      mkdirSync(folder);
      const { daemons, targets } = await prepared(folder);
      try {
        // One after the other: on a busy machine three starts at once would each take three times as long.
        for (const daemon of daemons) await daemon.start();
        await watched(folder, targets, async (port) => {
          const [first = "", second = "", third = ""] = targets;
          const all = (a: string, b: string, c: string) => ({ [first]: a, [second]: b, [third]: c });
          const is = async (query: string, label: string, expected: Record<string, string>): Promise<void> => {
            let found: Record<string, string> = {};
            await until(`${query} is ${sorted(expected)}`, async () => {
              found = await values(port, query, label);
              return sorted(found) === sorted(expected);
            }).catch((error: unknown) => {
              throw new Error(`${String(error)}; found ${sorted(found)}`);
            });
          };
          await is('up{job="pathmanager"}', "instance", all("1", "1", "1"));
          await is("pathmanager_health", "instance", all("0", "0", "0"));
          // The emulated arrays are one to look at: each unit is seen by all three hosts.
          const { units } = (await daemons[0]?.call<{ units: { identity: { text: string } }[] }>(
            "GET",
            "/v1/units",
          )) ?? { units: [] };
          same(units.length, 2, "units");
          const shared = Object.fromEntries(units.map(({ identity }) => [identity.text, "3"]));
          await is("count by (identity) (pathmanager_unit_info)", "identity", shared);
          await daemons[1]?.addFault({ fault: { kind: "port-down" }, where: { path: "4:0:0:0" } });
          await is("pathmanager_paths_faulty", "instance", all("0", "1", "0"));
          await is("pathmanager_health", "instance", all("0", "1", "0"));
          await daemons[2]?.stop("SIGKILL");
          await is('up{job="pathmanager"}', "instance", all("1", "1", "0"));
        });
      } finally {
        await Promise.all(daemons.map((daemon) => daemon.stop("SIGKILL")));
      }
    },
  },
];
