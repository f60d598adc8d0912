import { readFileSync } from "node:fs";
import test from "ava";
import { parse } from "smol-toml";
import { MESSAGES } from "../../../host/liaison/messages.ts";
import { ROUTES } from "../../../host/control/schemas/routes.ts";
import { Configuration } from "../../../host/control/schemas/configuration-schema.ts";

const read = (name: string): string => readFileSync(new URL(`../../../docs/${name}`, import.meta.url), "utf8");

interface Definition {
  readonly shape?: Record<string, unknown>;
  readonly innerType?: unknown;
  readonly element?: unknown;
  readonly options?: readonly unknown[];
}

/** Every key of the schema, wherever it stands in it. */
function keysOf(schema: unknown): string[] {
  if (typeof schema !== "object" || schema === null || !("def" in schema)) return [];
  const { shape = {}, innerType, element, options = [] } = schema.def as Definition;
  const inner = [...Object.values(shape), innerType, element, ...options];
  return Object.keys(shape).concat(inner.flatMap(keysOf));
}

test("docs/configuration.md names every key that the file may have", (t) => {
  const text = read("configuration.md");
  const keys = new Set(keysOf(Configuration));
  t.true(keys.size > 50);
  for (const key of keys) t.regex(text, new RegExp(`\\b${key}\\b`), key);
});

test("the example in docs/configuration.md is a configuration", (t) => {
  const example = /```toml\n([\s\S]*?)```/.exec(read("configuration.md"))?.[1] ?? "";
  t.true(Configuration.safeParse(parse(example)).success);
});

test("docs/api.md names every endpoint", (t) => {
  const text = read("api.md");
  for (const { path } of Object.values(ROUTES)) {
    const last = path.replace(/^\/v1\/(units|paths)\/:\w+(?=\/)/, "");
    t.true(text.includes(last), path);
  }
});

test("each message has a number of its own; the original's are 257 to 278, ours begin at 600", (t) => {
  const numbers = Object.values(MESSAGES).map(({ number }) => number);
  t.is(new Set(numbers).size, numbers.length);
  for (const number of numbers) t.true((number >= 257 && number <= 278) || number >= 600, String(number));
});
