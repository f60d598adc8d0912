// Formats numbers for display.

const SIZE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** A size in bytes with three significant digits: `512 B`, `1.50 GiB`, `100 GiB`. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let index = 0;
  while (value >= 1024 && index < SIZE_UNITS.length - 1) {
    value /= 1024;
    index += 1;
  }
  if (index === 0 || Number.isInteger(value)) return `${value} ${SIZE_UNITS[index]}`;
  return `${value.toPrecision(value >= 1000 ? 4 : 3)} ${SIZE_UNITS[index]}`;
}

/** A duration in microseconds: `<1 us`, `85 us`, `1.20 ms`, `3.00 s`; `-` when unknown. */
export function latencyText(microseconds: number | null): string {
  if (microseconds === null) return "-";
  if (microseconds < 1) return "<1 us";
  if (microseconds < 1000) return `${Math.round(microseconds)} us`;
  if (microseconds < 1_000_000) return `${(microseconds / 1000).toPrecision(3)} ms`;
  return `${(microseconds / 1_000_000).toPrecision(3)} s`;
}

/** A count with thousands separators: `1,234,567`. */
export const countText = (count: number): string => Math.round(count).toLocaleString("en-US");

/** A rate per second, abbreviated: `950`, `34.5k`, `1.20M`. */
export function rateText(perSecond: number): string {
  if (perSecond < 1000) return String(Math.round(perSecond));
  if (perSecond < 1_000_000) return `${(perSecond / 1000).toPrecision(3)}k`;
  return `${(perSecond / 1_000_000).toPrecision(3)}M`;
}

/** Age in whole units: `12 s`, `5 min`, `3 h`, `2 d`. */
export function agoText(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** A count with its noun: `1 path`, `4 paths`. */
export const pluralText = (count: number, word: string): string =>
  `${countText(count)} ${word}${count === 1 ? "" : "s"}`;
