// A notice in the format of RFC 5424. The structured data has what a program wants to know; the text is for people.

import type { Level } from "../messages.ts";
import type { Notice } from "./notice.ts";

const FACILITY_DAEMON = 3;
export const SEVERITY: Readonly<Record<Level, number>> = { error: 3, warning: 4, info: 6 };

/** Private enterprise number of the structured data: that of RFC 5612, as the project has none of its own. */
const ENTERPRISE = 32473;

/** RFC 5424, 6.3.3. */
const escaped = (text: string): string => text.replaceAll(/["\\\]]/g, "\\$&");

/** PRINTUSASCII up to a length; `-` when nothing is left. */
const field = (text: string, max: number): string => text.replaceAll(/[^\u0021-\u007e]/g, "").slice(0, max) || "-";

/** Text in UTF-8 that was cut to a number of bytes, not within a character. */
function cut(bytes: Buffer, max: number): Buffer {
  if (bytes.length <= max) return bytes;
  let end = max;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

export function syslogMessage(notice: Notice, host: string, pid: number, bytesMax = Infinity): Buffer {
  const { level, time, kind, message, unit, identity, array, path, id, text } = notice;
  const data = Object.entries({ id, message, kind, unit, identity, array, path })
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}="${escaped(String(value))}"`);
  const head = [
    `<${FACILITY_DAEMON * 8 + SEVERITY[level]}>1`,
    new Date(time).toISOString(),
    field(host, 255),
    "pathmanager",
    String(pid),
    field(kind, 32),
    `[pathmanager@${ENTERPRISE} ${data.join(" ")}]`,
  ];
  // The byte order mark says that the text is UTF-8.
  return cut(Buffer.from(`${head.join(" ")} \ufeff${message} ${text}`), bytesMax);
}
