// Object identifiers of our MIB (docs/PATHMANAGER-MIB.txt, made by host/cli/packaging/mib-page.ts). The enterprise number is that of
// RFC 5612, as the project has none of its own.

export const ENTERPRISE = 32473;
const ROOT = `1.3.6.1.4.1.${ENTERPRISE}.1`;

/** `eventObjects` of the MIB, in the order of their numbers. */
export const OBJECTS = [
  "id",
  "number",
  "kind",
  "level",
  "text",
  "host",
  "unit",
  "path",
  "time",
  "identity",
  "array",
] as const;
export type ObjectName = (typeof OBJECTS)[number];

/** The notification of a message; its last number is the message's. */
export const notificationOid = (message: number): string => `${ROOT}.0.${message}`;

/** An instance of an object; all of them are scalars. */
export const objectOid = (name: ObjectName): string => `${ROOT}.1.${OBJECTS.indexOf(name) + 1}.0`;
