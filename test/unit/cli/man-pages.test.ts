import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

import test from "ava";
import * as z from "zod";

import { SYNOPSIS } from "../../../host/cli/spscmd/command-line.ts";
import { Configuration } from "../../../host/control/schemas/configuration-schema.ts";
import { POLICY_NAMES } from "../../../host/settings/names.ts";

const call = promisify(execFile);
const path = (name: string): string => new URL(`../../../${name}`, import.meta.url).pathname;

/** The words of a page: its source without requests and escapes. That it renders is shown by `npm run test:peers`. */
async function words(name: string): Promise<string> {
  const source = await readFile(path(`docs/man/${name}`), "utf8");
  return source
    .replaceAll(/^\.(TH|nh|nf|fi|TP|PP|RS|RE|SH|SS|B|I|BR|BI|IR|RB|RI) ?/gm, "")
    .replaceAll(/\\f[BIR]/g, "")
    .replaceAll("\\-", "-")
    .replaceAll(/" *(.*?) *"/g, "$1");
}

test("pathctl(8) is what the commands say", async (t) => {
  await t.notThrowsAsync(call(process.execPath, [path("host/cli/packaging/man.ts"), "--check"]));
});

test("pathmanager.toml(5) and docs/configuration.md are what the table of settings says", async (t) => {
  await t.notThrowsAsync(call(process.execPath, [path("host/cli/packaging/settings-pages.ts"), "--check"]));
});

test("spscmd(8) has every line of the synopsis", async (t) => {
  const page = (await words("spscmd.8")).replaceAll(/[ \n]+/g, " ");
  for (const line of SYNOPSIS.trimEnd().split("\n")) t.true(page.includes(line.replace(/^(usage:)? +/, "")), line);
});

test("pathmanagerd(8) has every option of --help", async (t) => {
  const page = await words("pathmanagerd.8");
  const { stdout } = await call(process.execPath, [path("host/cli/bin/pathmanagerd.js"), "--help"]);
  const options = new Set(stdout.match(/(?<=[ ,[])--[\w-]+/g));
  t.true(options.size >= 4);
  for (const option of options) t.true(page.includes(option), option);
});

/** Every key of a schema of tables, at any depth. */
function keysOf(schema: unknown): string[] {
  if (typeof schema !== "object" || schema === null) return [];
  const { properties, ...rest } = schema as { properties?: Record<string, unknown> };
  const children = [...Object.values(properties ?? {}), ...Object.values(rest).flat()];
  return Object.keys(properties ?? {}).concat(children.flatMap(keysOf));
}

test("pathmanager.toml(5) has every key of the configuration, and every policy", async (t) => {
  const page = await words("pathmanager.toml.5");
  const keys = new Set(keysOf(z.toJSONSchema(Configuration, { io: "input" })));
  t.true(keys.size > 50, String(keys.size));
  for (const key of keys) t.regex(page, new RegExp(`\\b${key}\\b`), key);
  for (const policy of POLICY_NAMES) t.true(page.includes(policy), policy);
});

test("the example of pathmanager.toml(5) is a valid configuration", async (t) => {
  const { parse } = await import("smol-toml");
  const source = await readFile(path("docs/man/pathmanager.toml.5"), "utf8");
  const example = /\.SH EXAMPLE\n\.nf\n\.RS\n(.*?)\.RE/s.exec(source)?.[1] ?? "";
  t.notThrows(() => Configuration.parse(parse(example)));
});
