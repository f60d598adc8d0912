// Identities and patterns of multipath.conf in PathManager's words.

/** A selector of pathmanager.toml under construction. */
export interface Selector {
  identity?: string;
  vendor?: string;
  product?: string;
}

/** The identity a WWID stands for: a digit for the designator's type, then the designator (scsi_id's form). */
export function identityOf(wwid: string): string | undefined {
  const text = wwid.replace(/^\^/, "").replace(/\$$/, "");
  if (/^3[0-9a-f]{16}([0-9a-f]{16})?$/i.test(text)) return `naa.${text.slice(1).toLowerCase()}`;
  if (/^2[0-9a-f]{16}(([0-9a-f]{8})|([0-9a-f]{16}))?$/i.test(text)) return `eui.${text.slice(1).toLowerCase()}`;
  if (/^8(iqn|eui|naa)\.[\w.:-]+$/i.test(text)) return text.slice(1);
  // scsi_id writes blanks as underscores; any character stands there for either.
  if (/^1[\w .-]+$/.test(text)) return `t10.${text.slice(1).replaceAll("_", "*")}`;
  const prefix = /^3([0-9a-f]{3,31})(?:\.\*|\*)$/i.exec(text)?.[1];
  return prefix === undefined ? undefined : `naa.${prefix.toLowerCase()}*`;
}

/**
 * A regular expression as a pattern with `*`: literal text, `.*`, and the anchors. Without an anchor an expression
 * matches anywhere in the text. Undefined when it needs more than that.
 */
export function patternOf(expression: string): string | undefined {
  if (expression.startsWith("!")) return undefined;
  const anchoredStart = expression.startsWith("^");
  const anchoredEnd = expression.endsWith("$");
  const body = expression.slice(anchoredStart ? 1 : 0, anchoredEnd ? -1 : undefined).replaceAll(".*", "*");
  if (body === "" || /[.[\]()|+?{}\\^$]/.test(body)) return undefined;
  const pattern = `${anchoredStart ? "" : "*"}${body}${anchoredEnd ? "" : "*"}`;
  return pattern.replaceAll(/\*+/g, "*");
}
