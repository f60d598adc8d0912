// Rotation, a full disk and a killed writer lose no line and tear none.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test from "ava";
import { EventLog } from "../../../host/liaison/event-log.ts";
import type { Message } from "../../../host/liaison/messages.ts";

const WRITER = new URL("fixtures/log-writer.mjs", import.meta.url).pathname;
const place = (): string => join(mkdtempSync(join(tmpdir(), "pm-log-")), "spsevent.log");
const numbered = (number: number): Message => ({ kind: "stall", timeMs: 0, unit: 0, path: null, detail: { number } });

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** The numbers in both generations, oldest first. Every line has to be whole. */
function numbers(file: string, isWhole: (line: string) => void): number[] {
  const lines = `${read(`${file}.old`)}${read(file)}`.split("\n").slice(0, -1);
  return lines.map((line) => {
    isWhole(line);
    return Number(/\(number (\d+)\)$/.exec(line)?.[1] ?? Number.NaN);
  });
}

const isInSequence = (found: readonly number[]): boolean =>
  found.every((number, index) => index === 0 || number === (found[index - 1] ?? 0) + 1);

/** Starts the writer, kills it once it has written `count` more numbers; returns the last number it told. */
async function writtenUntilKilled(file: string, from: number, count: number): Promise<number> {
  const child = spawn(process.execPath, [WRITER, file, String(from), "6000"], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (bytes: Buffer) => {
    text += bytes.toString();
    if (text.split("\n").length > count) child.kill("SIGKILL");
  });
  await new Promise((resolve) => {
    child.once("close", resolve);
  });
  return Number(text.slice(0, text.lastIndexOf("\n")).split("\n").at(-1));
}

test("a writer that is killed again and again while the log rotates loses no line", async (t) => {
  const file = place();
  let told = -1;
  for (const count of [150, 333, 61, 512]) {
    // What it wrote last it may not have told.
    const known = numbers(file, () => undefined).at(-1) ?? -1;
    told = await writtenUntilKilled(file, Math.max(told, known) + 1, count);
    const found = numbers(file, (line) => t.regex(line, /^\d{4}-.* pathmanager 611 warning .*\)$/));
    t.true(found.length > 40);
    t.true(isInSequence(found), found.join(" "));
    t.true((found.at(-1) ?? 0) >= told, `${found.at(-1)} after ${told}`);
  }
});

test("a batch larger than the log fills several generations, and the newest lines stay", (t) => {
  const file = place();
  const log = new EventLog(file, (problem) => t.fail(problem), 2000);
  log.write(Array.from({ length: 200 }, (_, number) => numbered(number)));
  const found = numbers(file, (line) => t.regex(line, /\)$/));
  t.true(isInSequence(found));
  t.is(found.at(-1), 199);
  for (const generation of [file, `${file}.old`]) t.true(read(generation).length <= 2000);
});

test("a disk that is full in the middle of a line keeps the rest for later", (t) => {
  const file = place();
  let room = Infinity;
  const full = (descriptor: number, bytes: Uint8Array): number => {
    if (room === 0) throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    const part = bytes.subarray(0, Math.min(bytes.length, room));
    room -= part.length;
    return writeSync(descriptor, part);
  };
  const problems: string[] = [];
  const log = new EventLog(file, (problem) => problems.push(problem), 100_000, full);
  log.write([numbered(0)]);
  room = 150;
  for (let number = 1; number < 10; number++) log.write([numbered(number)]);
  t.is(problems.length, 1);
  room = Infinity;
  log.write([numbered(10)]);
  t.deepEqual(
    numbers(file, (line) => t.regex(line, /^\d{4}-.*\)$/)),
    Array.from({ length: 11 }, (_, number) => number),
  );
});

test("what does not fit into memory while nothing can be written is counted, and the count is in the log", (t) => {
  const file = place();
  rmSync(dirname(file), { recursive: true });
  writeFileSync(dirname(file), "no folder");
  const log = new EventLog(file, () => undefined);
  const count = 20_000;
  for (let number = 0; number < count; number++) log.write([numbered(number)]);
  rmSync(dirname(file));
  log.write([numbered(count)]);
  const text = read(file);
  const lost = Number(/ 628 warning Events were lost \(events (\d+), by the event log\)/.exec(text)?.[1]);
  t.true(lost > 0);
  t.is(text.match(/ 611 warning /g)?.length, count + 1 - lost);
});

test("a line that another writer left torn is ended first", (t) => {
  const file = place();
  writeFileSync(file, "2026-11-22T16:15:03.120Z pathmana");
  new EventLog(file, (problem) => t.fail(problem)).write([numbered(1)]);
  t.is(read(file).split("\n").length, 3);
});

test("a log that someone else has renamed is begun anew", (t) => {
  const file = place();
  const log = new EventLog(file, (problem) => t.fail(problem), 1000);
  for (let number = 0; number < 5; number++) log.write([numbered(number)]);
  renameSync(file, `${file}.1`);
  for (let number = 5; number < 10; number++) log.write([numbered(number)]);
  t.deepEqual(
    numbers(file, () => undefined),
    [5, 6, 7, 8, 9],
  );
});
