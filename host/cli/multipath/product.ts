// A device section of `devices`: settings of an array's units, as an entry of [[arrays]].

import type { ConfigurationInput } from "../../control/schemas/configuration-schema.ts";
import type { Selection } from "./blacklist.ts";
import { policyOf, settingOf, timeoutsOf, type Outcome, type Settings } from "./multipath-settings.ts";
import type { Place, SectionStatement, Statement, ValueStatement } from "./parse.ts";
import { expressionOf, type Expression } from "./selectors.ts";

export type ArrayInput = NonNullable<ConfigurationInput["arrays"]>[number];

/** What a section's keywords are told to. */
interface Told {
  readonly selection: Selection;
  readonly overridden: ReadonlySet<string>;
  known(statement: ValueStatement): Outcome | undefined;
  file(statement: ValueStatement, outcome: Outcome): void;
  take(statement: Statement, text: string): void;
  ignore(statement: Statement, text: string): void;
  refuse(place: Place, message: string): void;
}

/** Keywords whose values together make the policy, and those that say how long requests wait. */
const OF_POLICY = new Set(["path_selector", "path_grouping_policy", "rr_min_io", "rr_min_io_rq"]);
const OF_WAITING = new Set(["no_path_retry", "features"]);

const isPattern = (name: string): name is "vendor" | "product" | "revision" =>
  ["vendor", "product", "revision"].includes(name);

export class Product {
  readonly #told: Told;
  /** What the section does not set is as for all. */
  readonly #settings: Settings;
  readonly #patterns: { vendor?: Expression; product?: Expression; revision?: Expression } = {};
  #hasPolicy = false;
  #hasWaiting = false;

  /** @param general the settings of `defaults` and `overrides` */
  constructor(told: Told, general: Settings) {
    this.#told = told;
    this.#settings = { ...general };
  }

  read(statement: ValueStatement, section: SectionStatement): void {
    const { name, value } = statement;
    if (isPattern(name)) {
      this.#pattern(statement, name);
      return;
    }
    if (name === "product_blacklist") {
      const values = section.body.filter((inner) => inner.kind === "value");
      const vendor = values.findLast((inner) => inner.name === "vendor");
      this.#told.selection.productBlacklist(statement, vendor);
      return;
    }
    const known = this.#told.known(statement);
    const isOfArrays = OF_POLICY.has(name) || OF_WAITING.has(name);
    if (known === undefined && isOfArrays && this.#told.overridden.has(name)) {
      this.#told.ignore(statement, "overrides has it");
      return;
    }
    const outcome = known ?? settingOf(name, value, isOfArrays ? this.#settings : {});
    const isTaken = outcome.kind === "taken";
    if (isTaken && OF_POLICY.has(name)) this.#hasPolicy = true;
    if (isTaken && OF_WAITING.has(name)) this.#hasWaiting = true;
    if (isTaken && !isOfArrays) this.#told.ignore(statement, "it is a setting for all arrays");
    else this.#told.file(statement, isTaken ? { ...outcome, text: `arrays: ${outcome.text}` } : outcome);
  }

  #pattern(statement: ValueStatement, name: "vendor" | "product" | "revision"): void {
    // Only in the blacklist a leading ! inverts.
    const read = expressionOf(statement.value.startsWith("!") ? `\\${statement.value}` : statement.value);
    if (read.ok) this.#patterns[name] = read.expression;
    else this.#told.refuse(statement.valuePlace, `${name}: ${read.problem}`);
  }

  /**
   * @param intervalS what a check of no_path_retry takes
   * @returns undefined when nothing is left to set, or for no array
   */
  array(intervalS: number): ArrayInput | undefined {
    const policy = this.#hasPolicy ? policyOf(this.#settings) : undefined;
    const timeouts = this.#hasWaiting ? timeoutsOf(this.#settings, intervalS) : undefined;
    const isNamed = Object.keys(this.#patterns).length > 0;
    if (!isNamed || (policy === undefined && timeouts === undefined)) return undefined;
    return { ...this.#patterns, policy, timeouts };
  }
}
