// What a multipath.conf means for PathManager: each keyword is taken, ignored with the reason, or a mistake.

import type { ConfigurationInput } from "../../control/schemas/configuration.ts";
import { NUMBERED_NAME } from "../../control/words.ts";
import { IGNORED } from "./keywords.ts";
import type { Place, Problem, Statement } from "./parse.ts";
import { identityOf, patternOf, type Selector } from "./selectors.ts";
import { POLLING_S_DEFAULT, QUEUE_MS, settingOf, type Outcome, type Settings } from "./settings.ts";

/** One keyword and what became of it. */
export interface Note extends Place {
  readonly keyword: string;
  /** The key of pathmanager.toml, or the reason. */
  readonly text: string;
}

export interface Converted {
  readonly configuration: ConfigurationInput;
  readonly taken: readonly Note[];
  readonly ignored: readonly Note[];
  readonly errors: readonly Problem[];
}

/** Sections that may stand at the top, and what they hold. */
const TOP = ["defaults", "blacklist", "blacklist_exceptions", "multipaths", "devices", "overrides"];

const UNIT_NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,62}$/;

/** A multipath section, read; what it means depends on settings that may come later in the file. */
interface UnitFound {
  readonly identity: string;
  readonly name: string | undefined;
  readonly settings: Settings;
}

class Conversion {
  readonly taken: Note[] = [];
  readonly ignored: Note[] = [];
  readonly errors: Problem[] = [];
  readonly settings: Settings = {};
  readonly excluded: Selector[] = [];
  readonly excepted: Selector[] = [];
  readonly units: UnitFound[] = [];
  everythingExcluded = false;

  take(statement: Statement, text: string): void {
    this.taken.push({ ...statement.place, keyword: statement.name, text });
  }

  ignore(statement: Statement, text: string): void {
    this.ignored.push({ ...statement.place, keyword: statement.name, text });
  }

  refuse(place: Place, message: string): void {
    this.errors.push({ ...place, message });
  }

  /** Files one outcome of a keyword's value. */
  file(statement: Statement & { kind: "value" }, outcome: Outcome): void {
    if (outcome.kind === "taken") this.take(statement, outcome.text);
    else if (outcome.kind === "ignored") this.ignore(statement, outcome.text);
    else this.refuseOutcome(statement, outcome);
  }

  refuseOutcome(statement: Statement & { kind: "value" }, outcome: Outcome): void {
    const place = outcome.kind === "misplaced" ? statement.place : statement.valuePlace;
    this.refuse(place, `${statement.name}: ${outcome.text}`);
  }

  /** `defaults` and `overrides`: settings of the whole system. */
  system(statements: readonly Statement[]): void {
    for (const statement of statements) {
      if (statement.kind === "section") {
        if (statement.name === "protocol") this.ignore(statement, "settings hold for every transport");
        else this.refuse(statement.place, `${statement.name} is no section that belongs here`);
        continue;
      }
      this.file(statement, this.known(statement) ?? settingOf(statement.name, statement.value, this.settings));
    }
  }

  known(statement: Statement & { kind: "value" }): Outcome | undefined {
    const reason = IGNORED.get(statement.name);
    return reason === undefined ? undefined : { kind: "ignored", text: reason };
  }

  /** One line of `blacklist` or `blacklist_exceptions`. */
  selector(statement: Statement & { kind: "value" }, into: Selector[]): void {
    const { name, value } = statement;
    const exception = into === this.excepted;
    if (name === "devnode") {
      if (/^\^?\(?[.]?\*\)?\$?$/.test(value)) this.excludeAll(statement, exception);
      else this.ignore(statement, "names of sd devices change; select by identity, vendor/product or /dev/sgN");
      return;
    }
    if (name === "property" || name === "protocol") {
      this.ignore(statement, "devices are selected by identity, vendor/product or device");
      return;
    }
    if (name !== "wwid") {
      this.refuse(statement.place, `${name} is no keyword of a blacklist`);
      return;
    }
    if (/^"?\^?\.?\*\$?"?$/.test(value)) {
      this.excludeAll(statement, exception);
      return;
    }
    const identity = identityOf(value);
    if (identity === undefined) {
      this.ignore(statement, "a pattern that * alone cannot express");
    } else {
      into.push({ identity });
      this.take(statement, exception ? "devices" : "exclude");
    }
  }

  excludeAll(statement: Statement, exception: boolean): void {
    if (!exception) this.everythingExcluded = true;
    this.take(statement, exception ? "devices" : "devices: only the exceptions");
  }

  /** `device { vendor ... product ... }` in a blacklist. */
  deviceSelector(section: Statement & { kind: "section" }, into: Selector[]): void {
    const selector: Selector = {};
    for (const statement of section.body) {
      if (statement.kind === "section" || (statement.name !== "vendor" && statement.name !== "product")) {
        this.refuse(statement.place, `${statement.name} does not belong here: a device has vendor and product`);
        return;
      }
      const pattern = patternOf(statement.value);
      if (pattern === undefined) {
        this.ignore(section, `${statement.name} is a pattern that * alone cannot express`);
        return;
      }
      selector[statement.name] = pattern;
    }
    if (Object.keys(selector).length === 0) {
      this.refuse(section.place, "a device needs vendor or product");
      return;
    }
    into.push(selector);
    this.take(section, into === this.excepted ? "devices" : "exclude");
  }

  list(statements: readonly Statement[], into: Selector[]): void {
    for (const statement of statements) {
      if (statement.kind === "value") this.selector(statement, into);
      else if (statement.name === "device") this.deviceSelector(statement, into);
      else if (statement.name === "protocol") this.ignore(statement, "devices are not selected by transport");
      else this.refuse(statement.place, `${statement.name} is no section of a blacklist`);
    }
  }

  /** `multipaths { multipath { wwid alias ... } }`. */
  multipaths(statements: readonly Statement[]): void {
    for (const section of statements) {
      if (section.kind === "value" || section.name !== "multipath") {
        this.refuse(section.place, `${section.name} does not belong here: multipaths holds multipath sections`);
        continue;
      }
      this.unit(section);
    }
  }

  unit(section: Statement & { kind: "section" }): void {
    const settings: Settings = {};
    let identity: string | undefined;
    let name: string | undefined;
    for (const statement of section.body) {
      if (statement.kind === "section") {
        this.refuse(statement.place, `${statement.name} is no section that belongs here`);
      } else if (statement.name === "wwid") {
        identity = identityOf(statement.value);
        if (identity === undefined) this.refuse(statement.valuePlace, `wwid: ${statement.value} is no identity`);
        else this.take(statement, "units.identity");
      } else if (statement.name === "alias") {
        if (NUMBERED_NAME.test(statement.value)) {
          this.ignore(statement, "lu and a number is what units are called until they have a name");
        } else if (UNIT_NAME.test(statement.value)) {
          name = statement.value;
          this.take(statement, "units.name");
        } else {
          this.ignore(statement, "a name has 1 to 63 letters, digits, _ . -, and starts with a letter or _");
        }
      } else {
        this.file(statement, this.known(statement) ?? settingOf(statement.name, statement.value, settings, "unit"));
      }
    }
    if (identity === undefined) {
      if (!section.body.some((statement) => statement.name === "wwid")) {
        this.refuse(section.place, "a multipath needs its wwid");
      }
      return;
    }
    this.units.push({ identity, name, settings });
  }

  /** `devices { device { ... } }`: built-in knowledge of products; PathManager reads it from the devices. */
  products(statements: readonly Statement[]): void {
    for (const section of statements) {
      if (section.kind === "value" || section.name !== "device") {
        this.refuse(section.place, `${section.name} does not belong here: devices holds device sections`);
        continue;
      }
      for (const statement of section.body) {
        if (statement.kind === "value" && ["vendor", "product", "revision"].includes(statement.name)) continue;
        if (statement.kind === "value") this.productKeyword(statement);
        else if (statement.name === "protocol") this.ignore(statement, "settings hold for every transport");
        else this.refuse(statement.place, `${statement.name} is no section that belongs here`);
      }
      this.ignore(section, "settings are for the whole system or for one unit, not for a product");
    }
  }

  productKeyword(statement: Statement & { kind: "value" }): void {
    const known = statement.name === "product_blacklist" || this.known(statement) !== undefined;
    const outcome = known ? undefined : settingOf(statement.name, statement.value, {});
    if (outcome?.kind === "error" || outcome?.kind === "misplaced") this.refuseOutcome(statement, outcome);
    else this.ignore(statement, this.known(statement)?.text ?? "set it for the system, or for a unit in [[units]]");
  }
}

/** The policy the settings add up to; `failover` grouping means one path at a time, whatever the selector. */
function policyOf({ grouping, selector, ios }: Settings): ConfigurationInput["policy"] {
  if (grouping === "failover") return "static";
  if (ios !== undefined && (selector === undefined || selector === "round-robin")) return { name: "round-robin", ios };
  return selector;
}

/** How long requests wait without a path: told in checks, which come every `intervalS` seconds. */
function timeoutsOf({ noPathMs, noPathChecks }: Settings, intervalS: number): { no_path_ms: number } | undefined {
  const waitMs = noPathChecks === undefined ? noPathMs : Math.min(QUEUE_MS, noPathChecks * intervalS * 1000);
  return waitMs === undefined ? undefined : { no_path_ms: waitMs };
}

const withoutEmpty = <Table extends object>(table: Table): Table | undefined =>
  Object.values(table).every((value) => value === undefined) ? undefined : table;

function devicesOf(conversion: Conversion): Pick<ConfigurationInput, "devices" | "exclude"> {
  if (conversion.everythingExcluded) {
    return {
      devices: conversion.excepted,
      ...(conversion.excluded.length > 0 ? { exclude: conversion.excluded } : {}),
    };
  }
  return { devices: "all", ...(conversion.excluded.length > 0 ? { exclude: conversion.excluded } : {}) };
}

/** Converts what parse.ts read. */
export function convert(statements: readonly Statement[]): Converted {
  const conversion = new Conversion();
  // `overrides` is stronger than `defaults` wherever it stands.
  const ordered = statements.toSorted((a, b) => Number(a.name === "overrides") - Number(b.name === "overrides"));
  for (const section of ordered) {
    if (section.kind === "value" || !TOP.includes(section.name)) {
      conversion.refuse(section.place, `${section.name} is no section; there are ${TOP.join(", ")}`);
    } else if (section.name === "multipaths") conversion.multipaths(section.body);
    else if (section.name === "devices") conversion.products(section.body);
    else if (section.name === "blacklist") conversion.list(section.body, conversion.excluded);
    else if (section.name === "blacklist_exceptions") conversion.list(section.body, conversion.excepted);
    else conversion.system(section.body);
  }
  const { settings, taken, ignored, errors } = conversion;
  const intervalS = settings.intervalS ?? POLLING_S_DEFAULT;
  const units = conversion.units.map((unit) => ({
    identity: unit.identity,
    name: unit.name,
    policy: policyOf(unit.settings),
    timeouts: timeoutsOf(unit.settings, intervalS),
  }));
  const configuration = {
    ...devicesOf(conversion),
    failback: settings.failback,
    policy: policyOf(settings),
    patrol: withoutEmpty({ interval_s: settings.intervalS, timeout_s: settings.timeoutS }),
    shaky: withoutEmpty({
      count: settings.shakyCount,
      window_s: settings.shakyWindowS,
      clean_s: settings.shakyCleanS,
    }),
    timeouts: timeoutsOf(settings, intervalS),
    log: settings.logLevel === undefined ? undefined : { level: settings.logLevel },
    units: units.length === 0 ? undefined : units,
  };
  // JSON drops what is undefined, at every depth; TOML has no word for it.
  return { configuration: JSON.parse(JSON.stringify(configuration)) as ConfigurationInput, taken, ignored, errors };
}
