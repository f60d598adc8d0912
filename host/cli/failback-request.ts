// Failback is answered after the path was checked; a path that does not answer delays this by the patrol's timeout.

import type { Patrol } from "../control/schemas/mode-schema.ts";
import { ANSWER_TIMEOUT_MS, type Client } from "./api-client.ts";

/** Checks of one path run one after the other, several paths are checked in parallel (host/control/operations/failback.ts). */
const CHECKS = 3;
const MARGIN_MS = 5000;

/** How long the daemon's answer may take when one check has a timeout of `timeoutS`. */
export function failbackTimeoutMs(timeoutS: number): number {
  return Math.max(ANSWER_TIMEOUT_MS, CHECKS * timeoutS * 1000 + MARGIN_MS);
}

/** Requests failback of one path or of all, and waits for the result of the checks. */
export async function requestFailback<Answer>(client: Client, route: string): Promise<Answer> {
  const { timeoutS } = await client.call<Patrol>("GET", "/v1/patrol");
  return client.call<Answer>("POST", route, undefined, failbackTimeoutMs(timeoutS));
}
