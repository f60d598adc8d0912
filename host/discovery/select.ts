// Which devices the configuration names.

/** One selector of the configuration; every field in it has to match. */
export interface Selector {
  readonly identity?: string | undefined;
  readonly vendor?: string | undefined;
  readonly product?: string | undefined;
  readonly device?: string | undefined;
  readonly path?: string | undefined;
}

/** What a selector is compared with. `identity` is null before the device was asked. */
export interface Selectable {
  readonly identity: string | null;
  readonly vendor: string;
  readonly product: string;
  readonly device: string;
  readonly number: string;
}

/** `*` stands for any text; case and blanks around do not matter. */
export function matchesText(pattern: string, text: string): boolean {
  const expression = pattern
    .trim()
    .split("*")
    .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    .join(".*");
  return new RegExp(`^${expression}$`, "i").test(text.trim());
}

function matches(selector: Selector, what: Selectable, ignoreIdentity: boolean): boolean {
  if (selector.vendor !== undefined && !matchesText(selector.vendor, what.vendor)) return false;
  if (selector.product !== undefined && !matchesText(selector.product, what.product)) return false;
  if (selector.device !== undefined && selector.device !== what.device) return false;
  if (selector.path !== undefined && selector.path !== what.number) return false;
  if (selector.identity === undefined || ignoreIdentity) return true;
  return what.identity !== null && matchesText(selector.identity, what.identity);
}

/** Whether a device is worth asking: some selector may match it once its identity is known. */
export function maySelect(devices: "all" | readonly Selector[], what: Selectable): boolean {
  return devices === "all" || devices.some((selector) => matches(selector, what, true));
}

/** Whether a device is chosen: a selector matches and no exclusion does. */
export function isSelected(
  devices: "all" | readonly Selector[],
  exclude: readonly Selector[],
  what: Selectable,
): boolean {
  if (exclude.some((selector) => matches(selector, what, false))) return false;
  return devices === "all" || devices.some((selector) => matches(selector, what, false));
}
