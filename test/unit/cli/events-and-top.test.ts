import test from "ava";
import fc from "fast-check";

import { serverSentData, sinceValue, timeText } from "../../../host/cli/pathctl/events.ts";
import { pathctl } from "../../../host/cli/pathctl/main.ts";
import { sampleBetween, sampleText } from "../../../host/cli/pathctl/top.ts";
import { styleFor } from "../../../host/cli/style.ts";
import type { EventView } from "../../../host/control/schemas/event-schema.ts";
import type { StatisticsView } from "../../../host/control/schemas/status-schema.ts";
import { recordedServer, run } from "./server.ts";

const PLAIN = styleFor({ terminal: false, env: {} });

const event = (id: number, level: EventView["level"]): EventView => ({
  id,
  time: 1_700_000_000_000 + id * 1000,
  message: 258,
  kind: "failover-done",
  level,
  alive: false,
  manager: true,
  text: `Failover was done: #0 goes on over 5:0:1:0 (${id})`,
  unit: 0,
  unitName: null,
  path: "5:0:1:0",
  detail: {},
});

const stream = (...events: EventView[]): string =>
  events.map((item) => `: comment\nid: ${item.id}\nevent: event\ndata: ${JSON.stringify(item)}\n\n`).join("");

test("events: a line each, oldest first", async (t) => {
  const events = [event(1, "info"), event(2, "warning")];
  await using server = await recordedServer({ "GET /v1/events?limit=50": { events, last: 2 } });
  const { out } = await run(pathctl, ["events"], server.socket);
  t.is(
    out,
    `${timeText(events[0]?.time ?? 0)}  info     258  Failover was done: #0 goes on over 5:0:1:0 (1)\n` +
      `${timeText(events[1]?.time ?? 0)}  warning  258  Failover was done: #0 goes on over 5:0:1:0 (2)\n`,
  );
});

test("events: the unit's name stands beside its number, harmless, and only there", async (t) => {
  const text = "Failover was done: LogicalUnit #1, path 5:0:1:1 (was LogicalUnit #1)";
  const named = { ...event(1, "warning"), text, unit: 1, unitName: "db-logs" };
  const events = [named, { ...named, id: 2, unitName: "\u001b[31m$&" }, { ...named, id: 3, unitName: null }];
  await using server = await recordedServer({ "GET /v1/events?limit=50": { events, last: 3 } });
  const { out } = await run(pathctl, ["events"], server.socket);
  const lines = out.split("\n").map((line) => line.slice(line.indexOf("258  ") + 5));
  t.is(lines[0], "Failover was done: LogicalUnit #1 (db-logs), path 5:0:1:1 (was LogicalUnit #1)");
  t.false(out.includes("\u001b"));
  t.true(lines[1]?.includes("$&"), lines[1]);
  t.is(lines[2], text);
});

test("events --since: an age, a local date, an id, or a mistake that is named", async (t) => {
  const now = new Date(2026, 10, 28, 14, 30).getTime();
  t.deepEqual(sinceValue("30m", now), { from: now - 1_800_000 });
  t.deepEqual(sinceValue("2h", now), { from: now - 7_200_000 });
  t.deepEqual(sinceValue("1d", now), { from: now - 86_400_000 });
  t.deepEqual(sinceValue("2026-11-28 14:30", 0), { from: now });
  t.deepEqual(sinceValue("2026-11-28", 0), { from: new Date(2026, 10, 28).getTime() });
  t.deepEqual(sinceValue("17", now), { since: 17 });
  for (const wrong of ["yesterday", "2h30", "2026-13-45", "-1", ""]) {
    const { status, err } = await run(pathctl, ["events", `--since=${wrong}`]);
    t.is(status, 1, wrong);
    t.regex(err, /^pathctl: --since is an age[^\n]*\n$/, wrong);
  }
});

test("events: what is asked for is asked of the daemon, a user by name", async (t) => {
  const query = "limit=50&unit=3&path=4:0:0:1&level=warning&by=uid 0";
  await using server = await recordedServer({ [`GET /v1/events?${query}`]: { events: [], last: 0 } });
  const args = ["events", "--unit", "3", "--path", "4:0:0:01", "--level", "warning", "--by", "root"];
  t.deepEqual(await run(pathctl, args, server.socket), { status: 0, out: "", err: "" });
  const { err } = await run(pathctl, ["events", "--by", "no-such-user"], server.socket);
  t.regex(err, /--by no-such-user: this host has no such user/);
});

const about = (id: number, unit: number): EventView => ({ ...event(id, "info"), unit });

test("events --follow prints only what is wanted", async (t) => {
  await using server = await recordedServer({
    "GET /v1/events/stream?since=0": stream(about(1, 1), about(2, 2), about(3, 1), about(4, 2)),
  });
  const args = ["events", "--follow", "--since", "0", "--count", "2", "--unit", "2", "--json"];
  const { out } = await run(pathctl, args, server.socket);
  t.deepEqual(
    out
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as EventView).id),
    [2, 4],
  );
});

test("events --follow goes on where the stream broke, and ends after --count", async (t) => {
  await using server = await recordedServer({
    "GET /v1/events/stream?since=0": stream(event(1, "info")),
    "GET /v1/events/stream?since=1": stream(event(2, "error"), event(3, "info")),
  });
  const args = ["events", "--follow", "--since", "0", "--count", "2", "--json"];
  const { status, out, err } = await run(pathctl, args, server.socket);
  t.is(status, 0);
  t.deepEqual(
    out
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as EventView).id),
    [1, 2],
  );
  t.regex(err, /^pathctl: the daemon ended the stream; waiting for it\n$/);
});

test("events --follow without a daemon fails at once", async (t) => {
  const { status, err } = await run(pathctl, ["events", "--follow"]);
  t.is(status, 1);
  t.regex(err, /not running/);
});

test("server-sent data survives any cutting of the bytes", async (t) => {
  const bytes = Buffer.from(
    'data: {"a":"ü"}\n\nevent: x\r\ndata: one\r\ndata:two\r\n\r\n: only a comment\n\ndata: last\n\n',
  );
  const expected = ['{"a":"ü"}', "one\ntwo", "last"];
  await t.notThrowsAsync(
    fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 8 }), async (cuts) => {
        const places = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
        const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
        const found: string[] = [];
        const source = (async function* () {
          yield* chunks;
        })();
        for await (const data of serverSentData(source)) found.push(data);
        return JSON.stringify(found) === JSON.stringify(expected);
      }),
    ),
  );
});

/** @param runningMs of the daemon; its wall clock stands somewhere else with each call */
const statistics = (runningMs: number, ios: number, count = 2): StatisticsView => ({
  time: (runningMs * 7_919_000) % 1_000_000_007,
  runningMs,
  totals: { ios, bytesRead: 0, bytesWritten: 0, errors: 0, retries: 0, inFlight: 3 },
  units: [
    {
      number: 0,
      name: "lu0",
      requests: 3,
      waiting: 0,
      answered: ios,
      failed: 0,
      latencyMaxUs: 900,
      p50Us: 85,
      p99Us: 240,
    },
  ],
  paths: Array.from({ length: count }, (_, index) => ({
    number: `4:0:0:${index}`,
    unit: 0,
    symbol: index === 0 ? ">" : "X",
    ios: ios * (index + 1),
    bytesRead: ios * 4096,
    bytesWritten: 0,
    errors: index,
    retries: 0,
    inFlight: 3,
    serviceUs: 85,
    p50Us: 85,
    p99Us: null,
  })),
});

test("top: rates are counted over the daemon's own clock, which nobody sets", (t) => {
  const sample = sampleBetween(statistics(1000, 100), statistics(3000, 20_100));
  t.is(sample.seconds, 2);
  t.is(sample.paths[0]?.iops, 10_000);
  t.is(sample.paths[0]?.readBytes, 40_960_000);
  t.is(sample.paths[1]?.errors, 0);
});

test("top: after a restart of the daemon the counters begin anew", (t) => {
  t.is(sampleBetween(statistics(90_000, 5000), statistics(1000, 40)).paths[0]?.iops, 40);
});

test("top: a sample as text; with more paths than lines, the busiest", (t) => {
  const text = sampleText(sampleBetween(statistics(0, 0, 40), statistics(1000, 500, 40)), PLAIN, {
    rows: 10,
    columns: 200,
  });
  const lines = text.trimEnd().split("\n");
  t.is(lines.length, 10);
  t.regex(lines[0] ?? "", /1 unit, 40 paths {2}\S+ IOPS {2}read /);
  t.regex(lines[3] ?? "", /^X {2}4:0:0:39 /);
  t.is(lines[9], "and 34 quieter paths");
});

test("top fits into 60 to 200 columns, whatever the figures are", (t) => {
  const figure = fc.oneof(fc.integer({ min: 0, max: 2_000_000_000 }), fc.constant(0));
  const paths = fc.array(
    fc.record({
      number: fc.constantFrom("4:0:0:1", "12345:255:65535:16383"),
      unit: fc.integer({ min: 0, max: 65_535 }),
      symbol: fc.constantFrom(">", " ", "@", "X"),
      iops: figure,
      readBytes: figure,
      writtenBytes: figure,
      errors: figure,
      retries: figure,
      inFlight: fc.integer({ min: 0, max: 128 }),
      serviceUs: figure,
      p50Us: fc.option(figure),
      p99Us: fc.option(figure),
    }),
    { maxLength: 12 },
  );
  const samples = fc.record({
    time: fc.constant(0),
    seconds: fc.constant(1),
    units: fc.integer({ min: 0, max: 4096 }),
    requests: figure,
    waiting: figure,
    paths,
  });
  fc.assert(
    fc.property(samples, fc.integer({ min: 60, max: 200 }), (sample, columns) => {
      const lines = sampleText(sample, PLAIN, { rows: 24, columns }).split("\n");
      return lines.every((line) => line.length <= columns) && lines[2]?.includes("IOPS") === true;
    }),
    { numRuns: 300, seed: 20_261_128 },
  );
  // Room that there is gets used.
  const sample = sampleBetween(statistics(0, 0), statistics(1000, 500));
  t.regex(sampleText(sample, PLAIN, { rows: 24, columns: 200 }), /RETRIES\/S/);
  t.notRegex(sampleText(sample, PLAIN, { rows: 24, columns: 60 }), /RETRIES\/S/);
});

test("pathctl top without a terminal: one sample, no screen control", async (t) => {
  await using server = await recordedServer({ "GET /v1/statistics": statistics(1000, 100) });
  const { status, out } = await run(pathctl, ["top", "--interval", "0.1"], server.socket);
  t.is(status, 0);
  t.false(out.includes("\u001B"));
  t.is(server.seen.length, 2);
  t.regex(out, /PATH +LU +IOPS/);
});

test("pathctl top --json: an object per sample and line", async (t) => {
  await using server = await recordedServer({ "GET /v1/statistics": statistics(1000, 100) });
  const { out } = await run(pathctl, ["top", "--interval", "0.1", "--count", "3", "--json"], server.socket);
  const samples = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { paths: unknown[] });
  t.is(samples.length, 3);
  t.is(samples[0]?.paths.length, 2);
});

test("pathctl top on a terminal: the alternate screen is left again, also when the daemon goes", async (t) => {
  await using server = await recordedServer({ "GET /v1/statistics": statistics(1000, 100) });
  const args = ["top", "--interval", "0.1", "--count", "2"];
  const { out } = await run(pathctl, args, server.socket, { terminal: true });
  t.true(out.startsWith("\u001B[?1049h\u001B[?25l"));
  t.true(out.endsWith("\u001B[?25h\u001B[?1049l"));
});
