// When commands are learned from: in phases.
//
// Learning costs several times what choosing a path does, and a path whose figures are known says nothing new with most
// of its commands. So learning rests most of the time, and comes back before long: after some thousand commands, after
// 10 ms, or at once when a command took much longer than its path's figures say. It rests only when the paths that are
// in use have shown what they can do.
//
// What is in flight, and what that is worth, is kept always; only the estimates rest.

import { IN_FLIGHT, entryAt, Selection, serversAt } from "./layout";

/** A phase of learning is so many commands long, and so many more for each that is in flight when it begins. */
const LEARN_COMMANDS: u32 = 64;
const LEARN_IN_FLIGHT: u32 = 8;
/** Learning rests for this long. */
const REST_NS: u64 = 10000000;
/** A path has shown what it can do with so many samples; others wait for it for so many commands. */
const SETTLED_SAMPLES: u32 = 512;
const SETTLE_COMMANDS: u32 = 16384;
/** The duty (`Selection.duties`) to learn from every command. */
export const LEARNING: u32 = 1;

/** A command goes out, while learning or at the end of a rest: learning begins, goes on, or rests. */
export function nextPhase(s: Selection, nowNs: u64): void {
  if ((s.duties & LEARNING) === 0) {
    if (nowNs >= s.phaseNs) learn(s);
  } else if (<i32>(s.issued - s.learnEnd) >= 0) {
    if (!settled(s)) {
      s.learnEnd = s.issued + phaseCommands(s);
      return;
    }
    s.duties &= ~LEARNING;
    s.phaseNs = nowNs + REST_NS;
  }
}

/** Begins to learn from every command. */
export function learn(s: Selection): void {
  s.duties |= LEARNING;
  s.seen = 0;
  s.answered = 0;
  s.learnEnd = s.issued + phaseCommands(s);
  s.phaseNs = 0;
}

/** What was known of a path is not true any more (or never was): learning goes on until it has shown enough again. */
export function unsettle(s: Selection): void {
  s.settleEnd = s.issued + SETTLE_COMMANDS;
}

/** Commands of a phase of learning: enough for several answers to each that is in flight. */
function phaseCommands(s: Selection): u32 {
  let inFlight: u32 = 0;
  for (let rest = s.present; rest !== 0; rest &= rest - 1) inFlight += load<u32>(entryAt(s, IN_FLIGHT, ctz(rest)));
  return LEARN_COMMANDS + LEARN_IN_FLIGHT * inFlight;
}

/** Whether every path that answered in this phase has shown enough, or had the time to. */
function settled(s: Selection): bool {
  if (<i32>(s.issued - s.settleEnd) >= 0) return true;
  for (let rest = s.answered; rest !== 0; rest &= rest - 1) {
    if (serversAt(s, ctz(rest)).samples < SETTLED_SAMPLES) return false;
  }
  return true;
}
