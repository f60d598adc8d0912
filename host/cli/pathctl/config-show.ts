// The effective configuration as TOML.

import { CommandError } from "../api-client.ts";

/** A configuration as TOML text; keys without a value are omitted. */
export async function tomlOf(configuration: unknown): Promise<string> {
  if (typeof configuration !== "object" || configuration === null) {
    throw new CommandError("NO_ANSWER", "the daemon answered no configuration");
  }
  const { stringify } = await import("smol-toml");
  return `${stringify(configuration).trimEnd()}\n`;
}
