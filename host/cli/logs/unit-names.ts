// The names of units, for lines that have only their numbers.

import { type Client, CommandError } from "../api-client.ts";
import type { Output } from "../../control/schemas/routes.ts";

/** How long the daemon may take: lines are printed without names, too. */
const ANSWER_MS_MAX = 2000;

/** Names by number; none where the daemon does not answer. */
export async function unitNames(client: Client): Promise<ReadonlyMap<number, string>> {
  try {
    const { units } = await client.call<Output<"units">>("GET", "/v1/units", undefined, ANSWER_MS_MAX);
    return new Map(units.map(({ number, name }) => [number, name]));
  } catch (thrown) {
    if (!(thrown instanceof CommandError)) throw thrown;
    return new Map();
  }
}
