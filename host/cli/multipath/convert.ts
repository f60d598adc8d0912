// Converts a multipath.conf: each keyword is taken over, ignored with a reason, or reported as a mistake.

import type { ConfigurationInput } from "../../control/schemas/configuration-schema.ts";
import { IDENTITY_NAME, IDENTITY_NAME_RULE, NUMBERED_NAME } from "../../control/schemas/constants.ts";
import { IGNORED } from "./keywords.ts";
import type { Place, Problem, SectionStatement, Statement, ValueStatement } from "./parse.ts";
import { Selection } from "./blacklist.ts";
import { identityOf } from "./selectors.ts";
import {
  POLLING_S_DEFAULT,
  policyOf,
  settingOf,
  timeoutsOf,
  type Outcome,
  type Settings,
} from "./multipath-settings.ts";
import { Product, type ArrayInput } from "./product.ts";

/** A keyword and what became of it. */
interface Note extends Place {
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

const UNKNOWN_SECTION = "no section of multipath.conf(5), so multipath-tools ignores it, too";

const UNIT_NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,62}$/;

/** A parsed multipath section; its meaning depends on settings that may come later in the file. */
interface UnitFound {
  readonly identity: string;
  readonly name: string | undefined;
  readonly settings: Settings;
}

/** udev settings that make WWIDs differ from those of scsi_id. */
const OTHER_WWIDS: Readonly<Record<string, RegExp>> = {
  uid_attribute: /^(?!ID_SERIAL$)/,
  uid_attrs: /^(?!(.*[\s])?sd:ID_SERIAL(\s|$))/,
  getuid_callout: /^(?!.*scsi_id)/,
};

class Conversion {
  readonly taken: Note[] = [];
  readonly ignored: Note[] = [];
  readonly errors: Problem[] = [];
  readonly settings: Settings = {};
  readonly selection = new Selection(this);
  readonly units: UnitFound[] = [];
  readonly arrays: ArrayInput[] = [];
  /** Keywords of `overrides`: what `devices` says of them has no effect. */
  readonly overridden = new Set<string>();
  /** Values that must be unique among units, and where each was first used. */
  readonly #places = new Map<string, Place>();

  take(statement: Statement, text: string): void {
    this.taken.push({ ...statement.place, keyword: statement.name, text });
  }

  ignore(statement: Statement, text: string): void {
    this.ignored.push({ ...statement.place, keyword: statement.name, text });
  }

  refuse(place: Place, message: string): void {
    this.errors.push({ ...place, message });
  }

  /** Records the outcome of a keyword's value. */
  file(statement: ValueStatement, outcome: Outcome): void {
    if (statement.isCut && outcome.kind !== "error") this.ignore(statement, "what follows the value has no effect");
    if (outcome.kind === "taken") this.take(statement, outcome.text);
    else if (outcome.kind === "error") this.refuse(statement.valuePlace, `${statement.name}: ${outcome.text}`);
    else this.ignore(statement, outcome.text);
  }

  /** `defaults` and `overrides`: system-wide settings. */
  system(statements: readonly Statement[], isStronger: boolean): void {
    for (const statement of statements) {
      if (isStronger) this.overridden.add(statement.name);
      if (statement.kind === "section") {
        const text = statement.name === "protocol" ? "settings hold for every transport" : UNKNOWN_SECTION;
        this.ignore(statement, text);
        continue;
      }
      if (statement.name === "allow_usb_devices") this.selection.allowsUsb = statement.value === "yes";
      this.file(statement, this.known(statement) ?? settingOf(statement.name, statement.value, this.settings));
    }
  }

  known(statement: ValueStatement): Outcome | undefined {
    if (OTHER_WWIDS[statement.name]?.test(statement.value) === true) this.selection.otherWwids = statement.place;
    const reason = IGNORED.get(statement.name);
    return reason === undefined ? undefined : { kind: "ignored", text: reason };
  }

  /** `multipaths { multipath { wwid alias ... } }`. */
  multipaths(statements: readonly Statement[]): void {
    for (const section of statements) {
      if (section.kind === "section" && section.name === "multipath") this.unit(section);
      else this.ignore(section, "multipaths holds multipath sections, and nothing else");
    }
  }

  unit(section: SectionStatement): void {
    const settings: Settings = {};
    let wwid: ValueStatement | undefined;
    let alias: ValueStatement | undefined;
    for (const statement of section.body) {
      if (statement.kind === "section") this.ignore(statement, UNKNOWN_SECTION);
      else if (statement.name === "wwid") wwid = statement;
      else if (statement.name === "alias") alias = statement;
      else this.file(statement, this.known(statement) ?? settingOf(statement.name, statement.value, settings, "unit"));
    }
    if (wwid === undefined) {
      this.refuse(section.place, "a multipath needs its wwid");
      return;
    }
    const identity = identityOf(wwid.value);
    if (identity === undefined) {
      this.refuse(wwid.valuePlace, `wwid: ${wwid.value} is no identity`);
      return;
    }
    this.take(wwid, "units.identity");
    const name = alias === undefined ? undefined : this.#name(alias);
    if (this.#isNew(wwid, `wwid ${identity}`) && (name === undefined || this.#isNew(alias, `alias ${name}`))) {
      this.units.push({ identity, name, settings });
    }
  }

  #name(alias: ValueStatement): string | undefined {
    if (NUMBERED_NAME.test(alias.value)) {
      this.ignore(alias, "lu and a number is what units are called until they have a name");
      return undefined;
    }
    if (IDENTITY_NAME.test(alias.value)) {
      this.ignore(alias, IDENTITY_NAME_RULE);
      return undefined;
    }
    if (!UNIT_NAME.test(alias.value)) {
      this.ignore(alias, "a name has 1 to 63 letters, digits, _ . -, and starts with a letter or _");
      return undefined;
    }
    this.take(alias, "units.name");
    return alias.value;
  }

  /** multipath-tools takes the last of two sections for one unit, or the first of two for one alias: surely not intended. */
  #isNew(statement: ValueStatement | undefined, what: string): boolean {
    const before = this.#places.get(what);
    if (statement === undefined) return true;
    if (before === undefined) {
      this.#places.set(what, statement.place);
      return true;
    }
    const { line, file } = before;
    const where = file === undefined || file === statement.place.file ? `line ${line}` : `${file}:${line}`;
    this.refuse(
      statement.valuePlace,
      `${statement.name}: ${statement.value} stands in ${where} already; keep one of them`,
    );
    return false;
  }

  /** `devices { device { ... } }`: settings of an array's units. Only when `defaults` and `overrides` have been read. */
  products(statements: readonly Statement[]): void {
    for (const section of statements) {
      if (section.kind === "section" && section.name === "device") this.#product(section);
      else this.ignore(section, "devices holds device sections, and nothing else");
    }
  }

  #product(section: SectionStatement): void {
    const product = new Product(this, this.settings);
    for (const statement of section.body) {
      if (statement.kind === "value") product.read(statement, section);
      else
        this.ignore(statement, statement.name === "protocol" ? "settings hold for every transport" : UNKNOWN_SECTION);
    }
    const array = product.array(this.settings.intervalS ?? POLLING_S_DEFAULT);
    // Of several sections for an array multipath-tools heeds the last, [[arrays]] the first.
    if (array !== undefined) this.arrays.unshift(array);
    else this.ignore(section, "it has no setting that [[arrays]] has, or does not say for which array");
  }
}

const withoutEmpty = <Table extends object>(table: Table): Table | undefined =>
  Object.values(table).every((value) => value === undefined) ? undefined : table;

/** Converts the statements that parse.ts has read. */
export function convert(statements: readonly Statement[]): Converted {
  const conversion = new Conversion();
  // `overrides` takes precedence over `defaults`, whatever their order, and what an array has not set is theirs.
  const later = ["overrides", "devices"];
  const ordered = statements.toSorted((a, b) => later.indexOf(a.name) - later.indexOf(b.name));
  for (const section of ordered) {
    if (section.kind === "value")
      conversion.ignore(section, "it stands in no section, so multipath-tools ignores it, too");
    else if (section.name === "multipaths") conversion.multipaths(section.body);
    else if (section.name === "devices") conversion.products(section.body);
    else if (section.name === "blacklist" || section.name === "blacklist_exceptions") {
      conversion.selection.read(section.name, section.body);
    } else if (section.name === "defaults" || section.name === "overrides") {
      conversion.system(section.body, section.name === "overrides");
    } else conversion.ignore(section, UNKNOWN_SECTION);
  }
  const { devices, exclude } = conversion.selection.chosen();
  const { settings, taken, ignored, errors } = conversion;
  const intervalS = settings.intervalS ?? POLLING_S_DEFAULT;
  const units = conversion.units.map((unit) => ({
    identity: unit.identity,
    name: unit.name,
    policy: policyOf(unit.settings),
    timeouts: timeoutsOf(unit.settings, intervalS),
  }));
  const configuration = {
    devices,
    exclude: exclude.length === 0 ? undefined : exclude,
    failback: settings.failback,
    policy: policyOf(settings),
    patrol: withoutEmpty({ interval_s: settings.intervalS, timeout_s: settings.timeoutS }),
    marginal: withoutEmpty({
      count: settings.marginalCount,
      window_s: settings.marginalWindowS,
      clean_s: settings.marginalCleanS,
    }),
    timeouts: timeoutsOf(settings, intervalS),
    log: settings.logLevel === undefined ? undefined : { level: settings.logLevel },
    arrays: conversion.arrays.length === 0 ? undefined : conversion.arrays,
    units: units.length === 0 ? undefined : units,
  };
  // JSON drops undefined values at every depth; TOML cannot express them.
  return { configuration: JSON.parse(JSON.stringify(configuration)) as ConfigurationInput, taken, ignored, errors };
}
