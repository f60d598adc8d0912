// Failback is answered when the path was checked, which takes as long as path patrol waits for a path that does not answer.

import type { Patrol } from "../control/schemas/mode.ts";
import { ANSWER_TIMEOUT_MS, type Client } from "./client.ts";

/** Checks of one path, one after the other; several paths are checked side by side (host/control/operations/failback.ts). */
const CHECKS = 3;
const MARGIN_MS = 5000;

/** How long the daemon's answer may take when path patrol waits `timeoutS` for one check. */
export function failbackTimeoutMs(timeoutS: number): number {
  return Math.max(ANSWER_TIMEOUT_MS, CHECKS * timeoutS * 1000 + MARGIN_MS);
}

/** Asks for failback of one path or of all, and waits for what the checks say. */
export async function requestFailback<Answer>(client: Client, route: string): Promise<Answer> {
  const { timeoutS } = await client.call<Patrol>("GET", "/v1/patrol");
  return client.call<Answer>("POST", route, undefined, failbackTimeoutMs(timeoutS));
}
