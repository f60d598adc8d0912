// Path numbers: `host:channel:target:lun`, four decimal numbers, as `lsscsi` shows them.

/** The four fields of a path number. */
export type PathFields = readonly [number, number, number, number];

const FIELD_MAX = 4_294_967_295;
const LUN_MAX = Number.MAX_SAFE_INTEGER;

function fieldOf(text: string, max: number): number | undefined {
  if (!/^\d{1,16}$/.test(text)) return undefined;
  const value = Number(text);
  return value <= max ? value : undefined;
}

/** The fields of `text`; undefined when it is not a path number. */
export function parsePathNumber(text: string): PathFields | undefined {
  const parts = text.split(":");
  if (parts.length !== 4) return undefined;
  const [host, channel, target, lun] = parts.map((part, index) => fieldOf(part, index === 3 ? LUN_MAX : FIELD_MAX));
  if (host === undefined || channel === undefined || target === undefined || lun === undefined) return undefined;
  return [host, channel, target, lun];
}

/** Whether `text` is a path number whose fields may be omitted (`5:::`); an empty field matches every value. */
export function isPathPattern(text: string): boolean {
  const parts = text.split(":");
  return parts.length === 4 && parts.every((part) => part === "" || fieldOf(part, LUN_MAX) !== undefined);
}

/** Without leading zeroes, as the daemon writes it: `04:0:0:1` becomes `4:0:0:1`. Omitted fields stay omitted. */
export function canonicalPath(text: string): string {
  return text
    .split(":")
    .map((part) => (part === "" ? "" : String(Number(part))))
    .join(":");
}

/** Orders path numbers numerically by field: `4:0:0:2` before `4:0:0:10`. Malformed ones come last, ordered as text. */
export function comparePathNumbers(a: string, b: string): number {
  const left = parsePathNumber(a);
  const right = parsePathNumber(b);
  if (left === undefined || right === undefined) {
    if (left !== undefined) return -1;
    if (right !== undefined) return 1;
    return a < b ? -1 : Number(a > b);
  }
  for (const [index, field] of left.entries()) {
    const difference = field - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
