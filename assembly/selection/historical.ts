// Historical service time: (in flight + 1) x the mean time a command took the path, as dm-multipath's selector of that
// name does. The mean is exponential; `parameter` is the share of history in percent (95 when 0).

import { nextInTurn, smallestSlots } from "./lanes";
import { HISTORY, HISTORY_SCORE, IN_FLIGHT, lane, Selection } from "./layout";

const HISTORY_PERCENT_DEFAULT: u32 = 95;

export function pickHistorical(s: Selection, allowed: u32): u32 {
  return nextInTurn(s, smallestSlots(changetype<usize>(s) + HISTORY_SCORE, allowed));
}

/** A path that has no history yet scores by what is in flight alone, below every path that has: it is tried first. */
export function scoreHistory(s: Selection, slot: u32): void {
  const ahead = <f32>load<u32>(lane(s, IN_FLIGHT, slot)) + 1;
  store<f32>(lane(s, HISTORY_SCORE, slot), ahead * (load<f32>(lane(s, HISTORY, slot)) + 1));
}

/** Starts with what was learned before the policy was chosen, 0 when nothing was. */
export function seedHistory(s: Selection, slot: u32, serviceNs: u32): void {
  store<f32>(lane(s, HISTORY, slot), <f32>serviceNs);
  scoreHistory(s, slot);
}

/** Takes in one sample. @param serviceNs time the path was busy with the command, ns */
export function learnHistory(s: Selection, slot: u32, serviceNs: f32): void {
  const percent = s.parameter !== 0 ? s.parameter : HISTORY_PERCENT_DEFAULT;
  const part: f32 = 1 - <f32>percent * 0.01;
  const at = lane(s, HISTORY, slot);
  const mean = load<f32>(at);
  store<f32>(at, mean === 0 ? serviceNs : mean + (serviceNs - mean) * part);
}
