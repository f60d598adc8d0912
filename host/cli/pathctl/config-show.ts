// The configuration in force as TOML.

import { CommandError } from "../client.ts";

/** TOML text of a configuration; keys without a value are left out. */
export async function tomlOf(configuration: unknown): Promise<string> {
  if (typeof configuration !== "object" || configuration === null) {
    throw new CommandError("NO_ANSWER", "the daemon answered no configuration");
  }
  const { stringify } = await import("smol-toml");
  return `${stringify(configuration).trimEnd()}\n`;
}
