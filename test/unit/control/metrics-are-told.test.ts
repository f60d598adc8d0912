// GET /metrics: well-formed in both formats, true, bounded, and everything that alerts and dashboard ask for is in it.

import { readFileSync } from "node:fs";
import { request } from "node:http";
import test from "ava";
import fc from "fast-check";
import { expose, few, Texts, type Family } from "../../../host/control/api/exposition.ts";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

interface Scraped {
  readonly type: string;
  readonly text: string;
}

function scrape(socketPath: string, accept = "", path = "/metrics"): Promise<Scraped> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, headers: { accept } }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ type: response.headers["content-type"] ?? "", text }));
    });
    sent.on("error", reject);
    sent.end();
  });
}

const LABEL = String.raw`[a-z_]+="(?:[^"\\\n]|\\\\|\\"|\\n)*"`;
const SAMPLE = new RegExp(String.raw`^([a-z_]+)(?:\{(${LABEL}(?:,${LABEL})*)\})? (\S+)$`);

/** Values by series. Each line has to be well-formed, each family to stand together and have a type. */
function parse(text: string): Map<string, number> {
  const values = new Map<string, number>();
  const families = new Set<string>();
  let family = "";
  for (const line of text
    .replace(/# EOF\n$/, "")
    .split("\n")
    .slice(0, -1)) {
    const title = /^# HELP ([a-z_]+) ./.exec(line)?.[1];
    if (title !== undefined) {
      if (families.has(title)) throw new Error(`${title} stands in two places`);
      families.add(title);
      family = title.replace(/_total$/, "");
      continue;
    }
    if (/^# (TYPE|UNIT) /.test(line)) continue;
    const [, name = "", label = "", value = ""] = SAMPLE.exec(line) ?? [];
    if (name === "" || !name.startsWith(family)) throw new Error(`not a sample of ${family}: ${line}`);
    const series = `${name}{${label}}`;
    if (values.has(series)) throw new Error(`${series} is there twice`);
    values.set(series, value.endsWith("Inf") ? Number(`${value}inity`) : Number(value));
  }
  for (const [series, value] of values) if (Number.isNaN(value)) throw new Error(`${series} has no number`);
  return values;
}

/** Names of series without what the format adds. */
const namesIn = (values: ReadonlyMap<string, number>): Set<string> =>
  new Set([...values.keys()].map((series) => series.replace(/\{.*$/, "")));

const packaged = (name: string): string =>
  readFileSync(new URL(`../../../host/cli/packaging/${name}`, import.meta.url), "utf8");

test("both formats are well-formed and tell the same", async (t) => {
  const daemon = await TestDaemon.start(t, "[array]\nunits = 2\npaths = 2\nunit_mib = 1\n");
  const plain = await scrape(daemon.socket);
  const open = await scrape(daemon.socket, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
  t.regex(plain.type, /^text\/plain; version=0\.0\.4/);
  t.regex(open.type, /^application\/openmetrics-text; version=1\.0\.0/);
  t.true(open.text.endsWith("# EOF\n"));
  const [left, right] = [parse(plain.text), parse(open.text)];
  t.deepEqual([...namesIn(left)].toSorted(), [...namesIn(right)].toSorted());
  t.is(left.get('pathmanager_path_healthy{path="4:0:0:0",unit="0"}'), 1);
  t.is(left.get('pathmanager_unit_usable_paths{unit="1"}'), 2);
  t.is(left.get("pathmanager_reactor_answering{}"), 1);
  t.is(left.get('pathmanager_unit_request_duration_seconds_bucket{unit="0",direction="read",le="+Inf"}'), 0);
});

test("a scrape says which histograms it wants", async (t) => {
  const daemon = await TestDaemon.start(t, "[array]\nunits = 2\npaths = 2\nunit_mib = 1\n");
  const unit = 'pathmanager_unit_request_duration_seconds_count{unit="1",direction="write"}';
  const size =
    'pathmanager_unit_request_size_duration_seconds_bucket{unit="1",direction="write",size="64k",le="0.000016384"}';
  const waited = 'pathmanager_unit_request_wait_seconds_total{unit="1"}';
  const path = 'pathmanager_path_command_duration_seconds_count{path="4:0:0:0",unit="0",direction="read"}';
  for (const [query, hasUnits, hasPaths, omitted] of [
    ["", true, true, 0],
    ["?histograms=few", true, true, 0],
    ["?histograms=paths", true, true, 0],
    ["?histograms=units", true, false, 4],
    ["?histograms=sizes", true, false, 4],
    ["?histograms=none", false, false, 6],
  ] as const) {
    const values = await until("the reactor answers in time", async () => {
      const read = parse((await scrape(daemon.socket, "", `/metrics${query}`)).text);
      return read.get("pathmanager_histograms_omitted{}") === omitted ? read : undefined;
    });
    t.is(values.has(unit), hasUnits, query);
    t.is(values.has(path), hasPaths, query);
    t.is(values.has(size), ["", "?histograms=few", "?histograms=sizes"].includes(query), query);
    t.is(values.has(waited), hasUnits, query);
  }
  const { status } = await daemon.call("GET", "/metrics?histograms=all");
  t.is(status, 400);
});

test("the reactor's turns and slots are told", async (t) => {
  const daemon = await TestDaemon.start(t, "[array]\nunits = 2\npaths = 2\nunit_mib = 1\n");
  const name = "pathmanager_reactor_turn_duration_seconds";
  const turns = await until("the reactor answers in time", async () => {
    const values = parse((await scrape(daemon.socket)).text);
    return values.has(`${name}_count{}`) ? values : undefined;
  });
  const buckets = [...turns].filter(([series]) => series.startsWith(`${name}_bucket`)).map(([, count]) => count);
  t.true(buckets.length > 10);
  t.deepEqual(
    buckets,
    buckets.toSorted((a, b) => a - b),
  );
  t.is(buckets.at(-1) ?? 0, turns.get(`${name}_count{}`) ?? NaN);
  t.true((turns.get(`${name}_count{}`) ?? 0) > 0 && (turns.get(`${name}_sum{}`) ?? 0) > 0);
  t.is(turns.get('pathmanager_slots_in_use{of="paths"}'), 4);
  t.is(turns.get('pathmanager_slots{of="requests"}'), 32);
  t.true((turns.get("pathmanager_pool_bytes{}") ?? 0) > 0);
  t.is(turns.get("pathmanager_pool_free_bytes{}"), turns.get("pathmanager_pool_bytes{}"));
  t.is(turns.get('pathmanager_slots{of="units"}'), 2);
  const each = 'reactor="0"';
  t.is(turns.get(`pathmanager_reactor_up{${each}}`), 1);
  t.is(turns.get(`pathmanager_reactor_units{${each}}`), 2);
  t.is(turns.get(`pathmanager_reactor_requests_in_progress{${each}}`), 0);
  await until("it tells its turns", async () => {
    const values = parse((await scrape(daemon.socket)).text);
    const [worked, seconds] = ["turns", "busy_seconds"].map((of) =>
      values.get(`pathmanager_reactor_${of}_total{${each}}`),
    );
    return (worked ?? 0) > 0 && (seconds ?? 0) > 0 && values.has(`pathmanager_reactor_pool_free_bytes{${each}}`);
  });
});

test("a fault is seen: the path, the unit, the messages", async (t) => {
  const patrol = "patrol.interval_s = 1\npatrol.threshold_s = 1\npatrol.timeout_s = 1\n";
  const daemon = await TestDaemon.start(t, `${patrol}[array]\nunits = 1\npaths = 2\nunit_mib = 1\n`);
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "port-down" }, where: { path: "4:0:0:0" } });
  await until("it is told", async () => {
    const values = parse((await scrape(daemon.socket)).text);
    return (
      values.get('pathmanager_path_healthy{path="4:0:0:0",unit="0"}') === 0 &&
      values.get('pathmanager_unit_state{unit="0",state="not redundant"}') === 1 &&
      values.get('pathmanager_messages_total{message="278",kind="not-redundant",level="warning"}') === 1
    );
  });
  t.pass();
});

test("alerts and dashboard ask only for what there is", async (t) => {
  const daemon = await TestDaemon.start(t, "[array]\nunits = 1\npaths = 1\nunit_mib = 1\n");
  const { text } = await scrape(daemon.socket);
  // A family may be without a sample, its name is there nevertheless.
  const known = new Set(text.match(/(?<=# HELP )[a-z_]+/g));
  const alerts = packaged("pathmanager-alerts.yml").match(/pathmanager_[a-z_]+/g) ?? [];
  const dashboard = packaged("pathmanager-grafana.json").match(/pathmanager_[a-z_]+/g) ?? [];
  t.true(alerts.length > 8 && dashboard.length > 15);
  for (const name of [...alerts, ...dashboard]) t.true(known.has(name.replace(/_(bucket|sum|count)$/, "")), name);
  const page = readFileSync(new URL("../../../docs/metrics.md", import.meta.url), "utf8");
  for (const name of known) t.true(page.includes(`\`${name}\``), `${name} in docs/metrics.md`);
});

test("every panel of the dashboard has an expression and a place", (t) => {
  interface Panel {
    readonly title: string;
    readonly targets: readonly { readonly expr: string }[];
    readonly gridPos: { readonly x: number; readonly w: number };
  }
  const { panels } = JSON.parse(packaged("pathmanager-grafana.json")) as { panels: readonly Panel[] };
  t.true(panels.length > 10);
  for (const { title, targets, gridPos } of panels) {
    t.true(targets.length > 0 && targets.every(({ expr }) => expr.includes("pathmanager_")), title);
    t.true(gridPos.x + gridPos.w <= 24, title);
  }
});

test("names are by convention: base units, counters end in _total, none is double", async (t) => {
  const daemon = await TestDaemon.start(t, "[array]\nunits = 1\npaths = 1\nunit_mib = 1\n");
  const { text } = await scrape(daemon.socket);
  for (const [, name = "", type] of text.matchAll(/^# TYPE (\S+) (\w+)$/gm)) {
    t.regex(name, /^pathmanager_[a-z_]+$/);
    t.is(name.endsWith("_total"), type === "counter", name);
    t.notRegex(name, /_(ms|us|ns|kib|mib|percent)(_|$)/);
  }
});

test("no text of others breaks a label", (t) => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (value) => {
      const family = { name: "pathmanager_x", type: "gauge", help: "x.", samples: few([[1, { value }]]) } as const;
      const text = Buffer.concat([...expose([family], true)]).toString();
      t.is(text.split("\n").length, 5);
      t.is(parse(text).size, 1);
    }),
  );
});

/** Each piece is copied, as a socket does: its memory is used again. */
function exposed(families: readonly Family[]): string {
  const pieces: Buffer[] = [];
  for (const piece of expose(families, false)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces).toString();
}

const halves = (to: Float64Array): void => to.set(to.map((_, at) => at / 2));

test("values of any size are written as they are", (t) => {
  fc.assert(
    fc.property(fc.array(fc.double({ noNaN: false }), { minLength: 1, maxLength: 50 }), (values) => {
      const rows = Texts.of(values.map((_, row) => `row="${row}"`));
      const samples = { rows, fill: (to: Float64Array) => to.set(values) };
      const read = parse(exposed([{ name: "pathmanager_x", type: "gauge", help: "x.", samples }]));
      for (const [row, value] of values.entries()) {
        const found = read.get(`pathmanager_x{row="${row}"}`);
        if (Number.isNaN(value)) t.is(found, undefined);
        else t.true(found === value, `${value} was written as ${found}`);
      }
    }),
  );
});

test("lines of many rows go into many pieces, none twice, none cut, also those longer than a piece", (t) => {
  const long = "x".repeat(200_000);
  const [rows, lines] = [20_000, [{ end: "_bucket", more: 'le="1"' }, { end: "_count" }]];
  const texts = Texts.of(Array.from({ length: rows }, (_, row) => `row="${row}${row === 777 ? long : ""}"`));
  const samples = { rows: texts, lines, fill: halves };
  const family = { name: "pathmanager_x", type: "histogram", help: "x.", samples } as const;
  const read = parse(exposed([family, { ...family, name: "pathmanager_y" }]));
  t.is(read.size, 4 * rows);
  t.is(read.get('pathmanager_y_bucket{row="19999",le="1"}'), 19_999);
  t.is(read.get('pathmanager_x_count{row="19999"}'), 19_999.5);
  t.is(read.get(`pathmanager_x_count{row="777${long}"}`), 777.5);
});

test("scrapes side by side, and one whose reader goes away, do not write into each other", async (t) => {
  const daemon = await TestDaemon.start(t, "[array]\nunits = 64\npaths = 8\nunit_mib = 1\n");
  const left = request({ socketPath: daemon.socket, path: "/metrics" }, (response) => response.destroy());
  left.on("error", () => undefined);
  left.end();
  const texts = await Promise.all(Array.from({ length: 6 }, async () => (await scrape(daemon.socket)).text));
  const names = [...parse(texts[0] ?? "").keys()].filter((name) => name.startsWith("pathmanager_path_ios_total{"));
  t.is(names.length, 512);
  for (const text of texts) {
    const values = parse(text);
    for (const name of names) t.is(values.get(name), 0);
  }
});
