// Historical service time: (in flight + 1) x the mean service time of the path, like dm-multipath's selector of that name.
// The mean is exponential; `parameter` is the weight of history in percent (95 when 0).

import { fewOnly, takeLeast, takeLeastOfFour } from "./scan";
import { HISTORY, HISTORY_SCORE, IN_FLIGHT, entryAt, entriesOf, Selection } from "./layout";

const HISTORY_PERCENT_DEFAULT: u32 = 95;

export function pickHistorical(selection: Selection, allowed: u32, closed: usize): u32 {
  return fewOnly(allowed)
    ? takeLeastOfFour(selection, HISTORY_SCORE, 0, closed)
    : takeLeast(selection, HISTORY_SCORE, 0, allowed, closed);
}

/** Weight of a new sample in the mean. @param percent weight of history; 0: the default */
export function historyPart(percent: u32): f32 {
  return 1 - <f32>(percent !== 0 ? percent : HISTORY_PERCENT_DEFAULT) * 0.01;
}

/**
 * A path without history is scored by its commands in flight alone, below every path that has history, so it is tried first.
 */
export function scoreHistory(selection: Selection, slot: u32): void {
  const entries = entriesOf(selection, slot);
  const ahead = <f32>(<i32>load<u32>(entries, IN_FLIGHT)) + 1;
  store<f32>(entries, ahead * (load<f32>(entries, HISTORY) + 1), HISTORY_SCORE);
}

/** Starts with the service time learned before the policy was chosen; 0 when there is none. */
export function seedHistory(selection: Selection, slot: u32, serviceNs: u32): void {
  store<f32>(entryAt(selection, HISTORY, slot), <f32>serviceNs);
  scoreHistory(selection, slot);
}

/** Adds a sample. @param serviceNs time the path was busy with the command, ns */
export function learnHistory(selection: Selection, slot: u32, serviceNs: f32): void {
  const at = entryAt(selection, HISTORY, slot);
  const mean = load<f32>(at);
  store<f32>(at, mean === 0 ? serviceNs : mean + (serviceNs - mean) * selection.historyPart);
}
