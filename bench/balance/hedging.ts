import type { Row } from "../report.ts";
export function hedging(): Row[] {
  return [];
}
