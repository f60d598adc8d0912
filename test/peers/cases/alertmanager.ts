// Our events in Debian's Alertmanager, with the configuration of docs/fleet.md, as its own tool shows them.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { freePort } from "../../free-port.ts";
import { until } from "../../until.ts";
import { type Case, check, same } from "../case.ts";
import { Daemon } from "../daemon.ts";
import { run } from "../run.ts";

const file = (name: string): string => new URL(`../../../${name}`, import.meta.url).pathname;

/** The configuration of the document. Nobody is called: what takes its notifications is a port that is closed. */
function configurationOf(): string {
  const text = readFileSync(file("docs/fleet.md"), "utf8");
  const yaml = /```yaml\n# alertmanager\.yml[^\n]*\n([\s\S]*?)```/.exec(text)?.[1] ?? "";
  return [
    ["https://on-call.example/hook", "http://127.0.0.1:9/hook"],
    ["localhost:25", "127.0.0.1:9"],
  ].reduce((all, [before = "", after = ""]) => {
    if (!all.includes(before)) throw new Error(`docs/fleet.md does not say ${before}`);
    return all.replace(before, after);
  }, yaml);
}

/** Runs Alertmanager while `work` goes on. */
async function beside(folder: string, port: number, work: (url: string) => Promise<void>): Promise<void> {
  const configuration = join(folder, "alertmanager.yml");
  writeFileSync(configuration, configurationOf());
  await run("amtool", ["check-config", configuration]);
  const args = [
    `--config.file=${configuration}`,
    `--storage.path=${join(folder, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
    "--cluster.listen-address=",
  ];
  const child = spawn("prometheus-alertmanager", args, { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr.on("data", (chunk) => (log += String(chunk)));
  const gone = once(child, "exit");
  const url = `http://127.0.0.1:${port}`;
  try {
    await until("alertmanager answers", async () => {
      if (child.exitCode !== null) throw new Error(`alertmanager ended: ${log}`);
      return fetch(`${url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
    });
    await work(url);
  } catch (thrown) {
    throw new Error(`${thrown instanceof Error ? thrown.message : String(thrown)}\n${log.slice(-2000)}`, {
      cause: thrown,
    });
  } finally {
    child.kill("SIGKILL");
    await gone;
  }
}

interface Shown {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** What `amtool alert` shows. */
async function shown(url: string, ...matchers: readonly string[]): Promise<readonly Shown[]> {
  const args = ["alert", "query", `--alertmanager.url=${url}`, "--output=json", ...matchers];
  const { stdout } = await run("amtool", args);
  return JSON.parse(stdout) as Shown[];
}

export const cases: readonly Case[] = [
  {
    name: "alertmanager shows our events with their labels until the message that ends them",
    run: async ({ folder: suite }) => {
      const folder = join(suite, "alertmanager");
      mkdirSync(folder);
      const port = await freePort();
      const receiver = `[[receivers]]
name = "alertmanager"
kind = "webhook"
url = "http://127.0.0.1:${port}/api/v2/alerts"
shape = "alertmanager"
level = "warning"
`;
      const patrol = "patrol.interval_s = 1\npatrol.threshold_s = 1\npatrol.timeout_s = 1\n";
      const array = "[array]\nunits = 1\nunit_mib = 1\npaths = 2\n";
      const daemon = new Daemon(join(folder, "daemon"), { configuration: `${patrol}${array}${receiver}` });
      try {
        await daemon.start();
        await beside(folder, port, async (url) => {
          await daemon.addFault({ fault: { kind: "port-down" }, where: { path: "4:0:0:0" } });
          const [alert] = await until("amtool shows the alert", async () => {
            const alerts = await shown(url, "kind=not-redundant");
            return alerts.length > 0 ? alerts : undefined;
          });
          const { units } = await daemon.call<{ units: { identity: { text: string } }[] }>("GET", "/v1/units");
          const { array: product = "", ...labels } = alert?.labels ?? {};
          const expected = {
            alertname: "PathManagerEvent",
            identity: units[0]?.identity.text,
            instance: hostname(),
            kind: "not-redundant",
            message: "278",
            severity: "warning",
            unit: "0",
          };
          same(Object.entries(labels).toSorted(), Object.entries(expected).toSorted(), "labels");
          check(product !== "", "the array's vendor and product");
          check(
            alert?.annotations["summary"]?.startsWith("Some paths are not redundant") === true,
            JSON.stringify(alert),
          );
          await daemon.removeFaults();
          await until("the message that ends it resolves the alert", async () => {
            const alerts = await shown(url, "alertname=PathManagerEvent", "kind=not-redundant");
            return alerts.length === 0;
          });
        });
      } finally {
        await daemon.stop("SIGKILL");
      }
    },
  },
];
