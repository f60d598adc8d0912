// blacklist and blacklist_exceptions: which devices multipath-tools uses, as selectors. A device is excluded when one of
// five criteria matches it in the blacklist and not in the exceptions (multipath.conf(5)); exceptions of one criterion do
// not affect another. Whatever cannot be expressed, and would make PathManager use more devices than the file does, is a
// mistake.

import type { DeviceSelector } from "../../control/schemas/configuration-schema.ts";
import type { Place, SectionStatement, Statement, ValueStatement } from "./parse.ts";
import { expressionOf, isAtaSerial, reach, wholeIdentity, type Expression } from "./selectors.ts";

export type SelectionSection = "blacklist" | "blacklist_exceptions";

/** Receives what became of each keyword. */
export interface Told {
  take(statement: Statement, text: string): void;
  ignore(statement: Statement, text: string): void;
  refuse(place: Place, message: string): void;
}

interface Chosen {
  readonly devices: "all" | DeviceSelector[];
  readonly exclude: DeviceSelector[];
}

/** The entries of one criterion in a section. */
interface Entries {
  readonly selectors: DeviceSelector[];
  /** One entry matches every device. */
  isAll: boolean;
}

interface Criterion {
  readonly blacklist: Entries;
  readonly blacklist_exceptions: Entries;
}

const emptyEntries = (): Entries => ({ selectors: [], isAll: false });
const emptyCriterion = (): Criterion => ({ blacklist: emptyEntries(), blacklist_exceptions: emptyEntries() });

const regexes = (vendor: string, product: string): DeviceSelector => ({
  vendor: { regex: vendor },
  product: { regex: product },
});

/** The built-in blacklist of multipath-tools: management units of arrays, which hold no data. */
export const BUILT_IN: readonly DeviceSelector[] = [
  regexes("SGI|DELL|FUJITSU|IBM|LENOVO|NETAPP|LSI|ENGENIO|STK|SUN", "Universal Xport"),
  regexes("^DGC|EMC", "LUNZ"),
  regexes("IBM", "S/390"),
  regexes("Intel|INTEL|Promise", "VTrak V-LUN"),
  regexes("Promise", "Vess V-LUN"),
];
/** USB disks are excluded unless allow_usb_devices is set. */
export const USB: DeviceSelector = { protocol: "scsi:usb" };

const KEY = { devnode: "block_device", protocol: "protocol", wwid: "wwid" } as const;

export class Selection {
  readonly #told: Told;
  readonly #criteria = {
    devnode: emptyCriterion(),
    device: emptyCriterion(),
    protocol: emptyCriterion(),
    wwid: emptyCriterion(),
  };
  /** Where a wwid is blacklisted. */
  #wwidPlace: Place | undefined;
  allowsUsb = false;
  /** Where the file makes WWIDs differ from scsi_id's. */
  otherWwids: Place | undefined;

  constructor(told: Told) {
    this.#told = told;
  }

  /** A whole section. */
  read(section: SelectionSection, statements: readonly Statement[]): void {
    for (const statement of statements) {
      if (statement.kind === "section") this.#section(section, statement);
      else if (statement.isCut)
        this.#told.refuse(statement.valuePlace, "what follows the value has no effect; remove it");
      else this.#value(section, statement);
    }
  }

  #section(section: SelectionSection, statement: SectionStatement): void {
    if (statement.name === "device") this.#device(section, statement);
    else this.#told.refuse(statement.place, `${statement.name} is no section of a ${section}`);
  }

  #value(section: SelectionSection, statement: ValueStatement): void {
    const { name } = statement;
    if (name === "devnode" || name === "protocol" || name === "wwid") this.#pattern(section, statement, name);
    else if (name === "property") this.#property(section, statement);
    else this.#told.refuse(statement.place, `${name} is no keyword of a ${section}`);
  }

  #expression(statement: ValueStatement): Expression | undefined {
    const read = expressionOf(statement.value);
    if (read.ok) return read.expression;
    this.#told.refuse(statement.valuePlace, `${statement.name}: ${read.problem}`);
    return undefined;
  }

  #pattern(section: SelectionSection, statement: ValueStatement, name: keyof typeof KEY): void {
    const expression = this.#expression(statement);
    if (expression === undefined) return;
    const key = KEY[name];
    const reached = reach(key, expression);
    if (reached === "none") {
      this.#told.ignore(statement, "no SCSI disk is meant by it");
      return;
    }
    if (name === "wwid" && section === "blacklist") {
      this.#wwidPlace ??= statement.place;
      if (isAtaSerial(expression)) {
        const what = `${statement.value} is the serial number of an ATA disk, not a WWID that PathManager knows`;
        this.#told.refuse(statement.valuePlace, `wwid: ${what}; blacklist that disk by its vendor and product`);
        return;
      }
    }
    const identity = name === "wwid" ? wholeIdentity(expression) : undefined;
    this.#add(
      section,
      statement,
      name,
      identity === undefined ? { [key]: expression } : { identity },
      reached === "all",
    );
  }

  #property(section: SelectionSection, statement: ValueStatement): void {
    if (section === "blacklist_exceptions") {
      this.#told.ignore(statement, "a device that says who it is needs no udev property");
      return;
    }
    const what = "udev properties are not read, so the devices it leaves out would be taken";
    this.#told.refuse(statement.place, `property: ${what}; blacklist them by vendor and product, wwid or protocol`);
  }

  /** `device { vendor ... product ... }`. */
  #device(section: SelectionSection, statement: SectionStatement): void {
    const selector: { vendor?: Expression; product?: Expression } = {};
    for (const inner of statement.body) {
      if (inner.kind === "section" || (inner.name !== "vendor" && inner.name !== "product")) {
        this.#told.refuse(inner.place, `${inner.name} does not belong here: a device has vendor and product`);
        return;
      }
      if (inner.isCut) {
        this.#told.refuse(inner.valuePlace, "what follows the value has no effect; remove it");
        return;
      }
      const expression = this.#expression(inner);
      if (expression === undefined) return;
      selector[inner.name] = expression;
    }
    this.#put(section, statement, selector);
  }

  /** `product_blacklist` of a product: equals a device of this vendor in the blacklist. */
  productBlacklist(statement: ValueStatement, vendor: ValueStatement | undefined): void {
    const product = this.#expression(statement);
    const ofVendor = vendor === undefined ? undefined : this.#expression(vendor);
    if (product === undefined || (vendor !== undefined && ofVendor === undefined)) return;
    this.#put("blacklist", statement, { ...(ofVendor === undefined ? {} : { vendor: ofVendor }), product });
  }

  #put(
    section: SelectionSection,
    statement: Statement,
    selector: { readonly vendor?: Expression; readonly product?: Expression },
  ): void {
    const { vendor, product } = selector;
    if (vendor === undefined && product === undefined) {
      this.#told.ignore(statement, "a device without vendor and product means none");
      return;
    }
    const isAll = (["vendor", "product"] as const).every((key) => {
      const expression = selector[key];
      return expression === undefined || reach(key, expression) === "all";
    });
    this.#add(section, statement, "device", selector, isAll);
  }

  #add(
    section: SelectionSection,
    statement: Statement,
    name: keyof typeof KEY | "device",
    selector: DeviceSelector,
    isAll: boolean,
  ): void {
    const entries = this.#criteria[name][section];
    if (isAll) entries.isAll = true;
    else entries.selectors.push(selector);
    this.#told.take(statement, section === "blacklist" ? "exclude" : "what is excluded, but for this");
  }

  /** The shortest device filter that means exactly what the sections say. */
  chosen(): Chosen {
    if (this.otherWwids !== undefined && this.#wwidPlace !== undefined) {
      const what =
        "makes WWIDs that PathManager does not know, so what the blacklist leaves out by wwid would be taken";
      this.#told.refuse(this.otherWwids, `${what}; blacklist by vendor and product`);
    }
    const { device } = this.#criteria;
    device.blacklist.selectors.push(...BUILT_IN);
    let devices: "all" | DeviceSelector[] = "all";
    const exclude: DeviceSelector[] = [];
    for (const { blacklist, blacklist_exceptions: exceptions } of Object.values(this.#criteria)) {
      if (exceptions.isAll) continue;
      const except = exceptions.selectors;
      if (blacklist.isAll && except.length === 0) return { devices: [], exclude: [] };
      if (blacklist.isAll && devices === "all") devices = except;
      else if (blacklist.isAll) exclude.push(excepting({ vendor: "*" }, except));
      else exclude.push(...blacklist.selectors.map((selector) => excepting(selector, except)));
    }
    if (!this.allowsUsb) exclude.push(USB);
    return { devices, exclude };
  }
}

const excepting = (selector: DeviceSelector, except: readonly DeviceSelector[]): DeviceSelector =>
  except.length === 0 ? selector : { ...selector, except: [...except] };
