// A core that nobody has set anything of works as the table of settings says.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import binaryen from "assemblyscript/binaryen";
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { POLICY_NAMES } from "../../../host/settings/names.ts";
import type { Setting } from "../../../host/settings/setting.ts";
import { coreNumber, defaultOf, ENTRIES, SETTINGS } from "../../../host/settings/settings-table.ts";
import { Host } from "./fixtures/harness.ts";

/** Where the modes are: globals, which the core does not export. */
const MODES = "assembly/path/mode/";

/** The core with its modes exported, under their own names. */
function coreWithModes(): { module: WebAssembly.Module; names: string[] } {
  const bytes = readFileSync(join(import.meta.dirname, "..", "..", "..", "build", "core.debug.wasm"));
  const module = binaryen.readBinary(bytes);
  module.setFeatures(binaryen.Features.All);
  const names: string[] = [];
  for (let at = 0; at < module.getNumGlobals(); at++) {
    const { name, mutable } = binaryen.getGlobalInfo(module.getGlobalByIndex(at));
    if (!name.startsWith(MODES) || !mutable) continue;
    module.addGlobalExport(name, name);
    names.push(name);
  }
  const compiled = new WebAssembly.Module(module.emitBinary().slice());
  module.dispose();
  return { module: compiled, names };
}

const { module, names } = coreWithModes();

type State = ReturnType<Bare["state"]>;

/** What is not the same. */
const changed = (before: State, after: State): unknown[] =>
  [...after].filter(([key, value]) => before.get(key) !== value);

/** Everything that a setting of the core can change: the modes, and the record and the policy of a unit. */
class Bare {
  readonly host = new Host({}, { module });
  readonly #unit = this.host.core.unitAdd();

  /** By names, and by offsets in the record. */
  state(): ReadonlyMap<string | number, number | bigint> {
    const record = this.host.core.unitTable() + this.#unit * abi.UNIT_BYTES;
    const exported = this.host.core as unknown as Record<string, { readonly value: number | bigint } | undefined>;
    const state = new Map<string | number, number | bigint>(names.map((name) => [name, exported[name]?.value ?? 0]));
    for (let at = 0; at < abi.UNIT_BYTES; at += 4) state.set(at, this.host.u32(record + at));
    return state;
  }

  set(property: keyof typeof abi, value: number): void {
    const { core } = this.host;
    const answer = property.startsWith("MODE_")
      ? core.modeSet(abi[property], BigInt(value))
      : core.unitSet(this.#unit, abi[property], BigInt(value));
    if (answer < 0) throw new Error(`${property} ${value}: the core answered ${answer}`);
  }
}

const inCore = (setting: Setting, value: unknown): number =>
  setting.core === "UNIT_SET_POLICY"
    ? POLICY_NAMES.findIndex((name) => name === value)
    : (coreNumber(setting, value) ?? Number.NaN);

/** All values of a setting that are at an end of what it may be. */
function extremes(setting: Setting): readonly unknown[] {
  if (setting.type === "whole" || setting.type === "share") return [setting.min, setting.max];
  if (setting.type === "flag") return [true, false];
  return setting.type === "choice" ? setting.values : POLICY_NAMES;
}

const settings = ENTRIES.map(([, setting]) => setting);

for (const setting of settings) {
  const { core } = setting;
  if (core === undefined) continue;
  test(`${core}: a bare core has its default, and takes all that the file may say`, (t) => {
    const bare = new Bare();
    const before = bare.state();
    bare.set(core, inCore(setting, defaultOf(setting)));
    t.deepEqual(changed(before, bare.state()), []);
    const changes = extremes(setting).map((value) => {
      bare.set(core, inCore(setting, value));
      return changed(before, bare.state());
    });
    t.true(changes.some((change) => change.length > 0));
  });
}

/** Follows from another setting: cores tell each other where there are several reactors. */
const DERIVED = ["assembly/path/mode/tellsSharers"];

test("every mode of the core is a setting, or follows from one", (t) => {
  const modes = settings.filter(({ core }) => core?.startsWith("MODE_") === true);
  const own = names.filter((name) => !DERIVED.includes(name));
  t.is(own.length, modes.length, names.join(" "));
  t.is(names.length - own.length, DERIVED.length);
});

test("policies, and what a recovered path does, are named in the order of their codes", (t) => {
  const codes = new Map<string, number>(Object.entries(abi));
  for (const [at, name] of POLICY_NAMES.entries())
    t.is(codes.get(`POLICY_${name.toUpperCase().replaceAll("-", "_")}`), at);
  t.is(POLICY_NAMES.length, abi.POLICY_COUNT);
  const { values } = SETTINGS.failback;
  for (const [at, name] of values.entries()) t.is(codes.get(`FAILBACK_MODE_${name.toUpperCase()}`), at);
});
