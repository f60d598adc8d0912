// Converts a multipath.conf: each keyword is taken over, ignored with a reason, or reported as a mistake.

import type { ConfigurationInput } from "../../control/schemas/configuration-schema.ts";
import { IDENTITY_NAME, IDENTITY_NAME_RULE, NUMBERED_NAME } from "../../control/schemas/constants.ts";
import { IGNORED } from "./keywords.ts";
import type { Place, Problem, Statement } from "./parse.ts";
import { Selection } from "./blacklist.ts";
import { identityOf } from "./selectors.ts";
import { POLLING_S_DEFAULT, QUEUE_MS, settingOf, type Outcome, type Settings } from "./multipath-settings.ts";

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

type ValueStatement = Statement & { kind: "value" };
type SectionStatement = Statement & { kind: "section" };

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
  system(statements: readonly Statement[]): void {
    for (const statement of statements) {
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

  /** `devices { device { ... } }`: built-in knowledge of products, which PathManager reads from the devices. */
  products(statements: readonly Statement[]): void {
    for (const section of statements) {
      if (section.kind === "value" || section.name !== "device") {
        this.ignore(section, "devices holds device sections, and nothing else");
        continue;
      }
      for (const statement of section.body) {
        if (statement.kind === "value") this.productKeyword(statement, section);
        else
          this.ignore(statement, statement.name === "protocol" ? "settings hold for every transport" : UNKNOWN_SECTION);
      }
      this.ignore(section, "settings are for the whole system or for one unit, not for a product");
    }
  }

  productKeyword(statement: ValueStatement, section: SectionStatement): void {
    if (["vendor", "product", "revision"].includes(statement.name)) return;
    if (statement.name === "product_blacklist") {
      const values = section.body.filter((inner) => inner.kind === "value");
      this.selection.productBlacklist(
        statement,
        values.findLast((inner) => inner.name === "vendor"),
      );
      return;
    }
    const known = this.known(statement);
    const outcome = known ?? settingOf(statement.name, statement.value, {});
    if (outcome.kind === "error") this.file(statement, outcome);
    else if (outcome.kind === "unknown" || known !== undefined) this.file(statement, outcome);
    else this.ignore(statement, "set it for the system, or for a unit in [[units]]");
  }
}

/** The policy that results from the settings; `failover` grouping means one path at a time, whatever the selector. */
function policyOf({ grouping, selector, ios }: Settings): ConfigurationInput["policy"] {
  if (grouping === "failover") return "static";
  if (ios !== undefined && (selector === undefined || selector === "round-robin")) return { name: "round-robin", ios };
  return selector;
}

/** How long requests wait without a path: given in checks, one every `intervalS` seconds. */
function timeoutsOf(settings: Settings, intervalS: number): { no_path_ms: number } | undefined {
  const { noPathMs = settings.queues === true ? QUEUE_MS : undefined, noPathChecks } = settings;
  const waitMs = noPathChecks === undefined ? noPathMs : Math.min(QUEUE_MS, noPathChecks * intervalS * 1000);
  return waitMs === undefined ? undefined : { no_path_ms: waitMs };
}

const withoutEmpty = <Table extends object>(table: Table): Table | undefined =>
  Object.values(table).every((value) => value === undefined) ? undefined : table;

/** Converts the statements that parse.ts has read. */
export function convert(statements: readonly Statement[]): Converted {
  const conversion = new Conversion();
  // `overrides` takes precedence over `defaults`, whatever their order.
  const ordered = statements.toSorted((a, b) => Number(a.name === "overrides") - Number(b.name === "overrides"));
  for (const section of ordered) {
    if (section.kind === "value")
      conversion.ignore(section, "it stands in no section, so multipath-tools ignores it, too");
    else if (section.name === "multipaths") conversion.multipaths(section.body);
    else if (section.name === "devices") conversion.products(section.body);
    else if (section.name === "blacklist" || section.name === "blacklist_exceptions") {
      conversion.selection.read(section.name, section.body);
    } else if (section.name === "defaults" || section.name === "overrides") conversion.system(section.body);
    else conversion.ignore(section, UNKNOWN_SECTION);
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
    units: units.length === 0 ? undefined : units,
  };
  // JSON drops undefined values at every depth; TOML cannot express them.
  return { configuration: JSON.parse(JSON.stringify(configuration)) as ConfigurationInput, taken, ignored, errors };
}
