// The table of settings is what the file may hold, and what a daemon without a file works with.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { modeCalls, unitSettingCalls } from "../../../host/control/core/core-settings.ts";
import type { CoreCall } from "../../../host/control/core/reactor-port.ts";
import { Daemon } from "../../../host/control/daemon.ts";
import { Configuration } from "../../../host/control/schemas/configuration-schema.ts";
import { WITHOUT_FILE } from "../../../host/control/settings/configuration.ts";
import { valueAt } from "../../../host/control/settings/effective.ts";
import { placesOf } from "../../../host/control/settings/places.ts";
import { coreNumber, defaultOf, ENTRIES, sectionOf } from "../../../host/settings/settings-table.ts";

interface Definition {
  readonly shape?: Record<string, unknown>;
  readonly innerType?: unknown;
  readonly element?: unknown;
  readonly in?: unknown;
}

/** The tables within a schema, however they are wrapped; null: it is none. */
function shapeOf(schema: unknown): Record<string, unknown> | null {
  if (typeof schema !== "object" || schema === null || !("def" in schema)) return null;
  const { shape, innerType, element, in: input } = schema.def as Definition;
  return shape ?? shapeOf(innerType ?? element ?? input);
}

const known = new Map<string, string | undefined>(ENTRIES.map(([key, { type }]) => [key, type]));
const sections = new Set(ENTRIES.map(([key]) => sectionOf(key)));

/** Keys of the file, down to those of which the table says that they have a shape of their own. */
function keysOf(schema: unknown, at = ""): string[] {
  return Object.entries(shapeOf(schema) ?? {}).flatMap(([name, inner]) => {
    const key = at === "" ? name : `${at}.${name}`;
    const own = sections.has(key) ? keysOf(inner, key) : [];
    return known.has(key) || own.length === 0 ? own.concat(key) : own;
  });
}

test("the file has the settings of the table, and no others", (t) => {
  const own = ENTRIES.flatMap(([, setting]) => ("perUnit" in setting ? [String(setting.perUnit)] : []));
  const perUnit = own.map((key) => `units.${key}`);
  // Of a unit's timeouts it is the table that is there; the same of an array's.
  const expected = new Set([
    ...known.keys(),
    ...[...perUnit, ...own.map((key) => `arrays.${key}`)].filter((key) => key.split(".").length === 2),
    "units.timeouts",
    "arrays.timeouts",
  ]);
  t.deepEqual(keysOf(Configuration).toSorted(), [...expected].toSorted());
  const timeouts = shapeOf(shapeOf(shapeOf(Configuration)?.["units"])?.["timeouts"]) ?? {};
  const named = perUnit.filter((key) => key.startsWith("units.timeouts."));
  t.deepEqual(
    Object.keys(timeouts).map((name) => `units.timeouts.${name}`),
    named,
  );
});

test("without a file each setting has its default", (t) => {
  for (const [key, setting] of ENTRIES) {
    const value = valueAt(WITHOUT_FILE, key);
    const isAbsent = key.includes(".") && valueAt(WITHOUT_FILE, sectionOf(key)) === undefined;
    if (["units", "arrays", "receivers"].includes(sectionOf(key)) || isAbsent) continue;
    if (setting.type === "made" && setting.default === "[]") t.deepEqual(value, [], key);
    else if ("default" in setting) t.is(value, setting.default, key);
    else if (key !== "emulated") t.is(value, undefined, key);
  }
});

function numbersOf(call: CoreCall): string {
  if (call.name === "modeSet") return `MODE ${call.mode} ${call.value}`;
  return call.name === "unitSet" ? `UNIT ${call.property} ${call.value}` : call.name;
}

test("a daemon without a file tells the core the defaults of the table", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "pm-defaults-"));
  const sockets = { ...WITHOUT_FILE.sockets, api: join(folder, "api.sock"), nbd: join(folder, "nbd.sock") };
  const places = placesOf({ ...WITHOUT_FILE, sockets, state: { ...WITHOUT_FILE.state, directory: folder } }, 1000, {});
  const daemon = await Daemon.start({
    configuration: WITHOUT_FILE,
    configurationFile: null,
    places: { ...places, eventLog: join(folder, "spsevent.log") },
    group: null,
    logger: { error: t.log, warning: t.log, info: () => undefined, debug: () => undefined },
  });
  t.teardown(() => daemon.stop());
  const unit = daemon.inventory.units()[0];
  if (unit === undefined) return t.fail();
  const told = [...modeCalls(daemon.effective), ...unitSettingCalls(unit, 0, daemon.effective)].map(numbersOf);
  const expected = ENTRIES.flatMap(([key, setting]) =>
    setting.core === undefined || key === "policy"
      ? []
      : [`${setting.core.replace(/_.*/, "")} ${abi[setting.core]} ${coreNumber(setting, defaultOf(setting))}`],
  );
  t.deepEqual(told.toSorted(), expected.toSorted());
  t.is(daemon.effective.policy(unit).name, "adaptive");
});
