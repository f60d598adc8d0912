// Takes secrets out of what is collected. The configuration names files that hold secrets; what it should not hold itself is
// removed nevertheless.

const SECRET_KEY =
  /secret|password|passwd|passphrase|token|psk|community|credential|private|hmac|(^|[_.-])key($|[_.-])|auth/i;
const REMOVED = "[removed]";

/** A value that is only the place of a secret. */
const isPlace = (value: unknown): boolean => typeof value === "string" && value.startsWith("/");

const withoutUserinfo = (text: string): string => text.replaceAll(/(\w+:\/\/)[^/@\s"']+@/g, `$1${REMOVED}@`);

/** The same value without secrets: values of keys that look like one, and what stands before the @ in a URL. */
export function redactValue(value: unknown, key = ""): unknown {
  if (Array.isArray(value)) return value.map((item) => redactValue(item, key));
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, redactValue(inner, name)]));
  }
  if (typeof value !== "string") return value;
  return SECRET_KEY.test(key) && !isPlace(value) ? REMOVED : withoutUserinfo(value);
}

/** The text of a TOML file, line by line: comments stay only where they cannot hold a value. */
export function redactToml(text: string): string {
  return text
    .split("\n")
    .map((line) => {
      const key = /^[\s#]*["']?([\w.-]+)["']?\s*=/.exec(line)?.[1];
      if (key !== undefined && SECRET_KEY.test(key) && !/=\s*["']\//.test(line)) {
        return `${line.slice(0, line.indexOf("=") + 1)} "${REMOVED}"`;
      }
      const inline = line.replaceAll(
        /([\w-]+)(\s*=\s*)("[^"]*"|'[^']*')/g,
        (whole, name: string, is: string, given: string) =>
          SECRET_KEY.test(name) && !isPlace(given.slice(1)) ? `${name}${is}"${REMOVED}"` : whole,
      );
      return withoutUserinfo(inline);
    })
    .join("\n");
}

/** The kernel's command line, whose parameters may hold keys. */
export const redactCommandLine = (text: string): string =>
  text.replaceAll(/([\w.-]+)=(\S+)/g, (whole, key: string) => (SECRET_KEY.test(key) ? `${key}=${REMOVED}` : whole));
