// Learning happens in phases.
//
// Learning costs several times as much as choosing a path, and most commands on a path with known figures add nothing new.
// So learning rests most of the time and resumes soon: after some thousand commands, after 10 ms, or at once when a command
// took much longer than the path's figures predict. It rests only when the paths in use have provided enough samples.
//
// The commands in flight and their estimated cost are always tracked; only the estimates rest.

import { IN_FLIGHT, entryAt, Selection, serversAt } from "./layout";

/** Length of a learning phase in commands, and the additional commands for each one in flight at its start. */
const LEARN_COMMANDS: u32 = 64;
const LEARN_IN_FLIGHT: u32 = 8;
/** Duration of a rest. */
const REST_NS: u64 = 10000000;
/** A path is settled after this many samples; the others wait for it for this many commands. */
const SETTLED_SAMPLES: u32 = 512;
const SETTLE_COMMANDS: u32 = 16384;
/** The duty (`Selection.duties`) of learning from every command. */
export const LEARNING: u32 = 1;

/** A command is sent while learning or at the end of a rest: starts, continues or suspends learning. */
export function nextPhase(selection: Selection, nowNs: u64): void {
  if ((selection.duties & LEARNING) === 0) {
    if (nowNs >= selection.phaseNs) learn(selection);
  } else if (<i32>(selection.issued - selection.learnEnd) >= 0) {
    if (!settled(selection)) {
      selection.learnEnd = selection.issued + phaseCommands(selection);
      return;
    }
    selection.duties &= ~LEARNING;
    selection.phaseNs = nowNs + REST_NS;
  }
}

/** Starts learning from every command. */
export function learn(selection: Selection): void {
  selection.duties |= LEARNING;
  selection.seen = 0;
  selection.answered = 0;
  selection.learnEnd = selection.issued + phaseCommands(selection);
  selection.phaseNs = 0;
}

/** What was known about a path is no longer true (or never was): learning continues until it has enough samples again. */
export function unsettle(selection: Selection): void {
  selection.settleEnd = selection.issued + SETTLE_COMMANDS;
}

/** Length of a learning phase in commands: enough for several answers to each command in flight. */
function phaseCommands(selection: Selection): u32 {
  let inFlight: u32 = 0;
  for (let rest = selection.present; rest !== 0; rest &= rest - 1)
    inFlight += load<u32>(entryAt(selection, IN_FLIGHT, ctz(rest)));
  return LEARN_COMMANDS + LEARN_IN_FLIGHT * inFlight;
}

/** Whether every path that answered in this phase has enough samples, or has had enough time for them. */
function settled(selection: Selection): bool {
  if (<i32>(selection.issued - selection.settleEnd) >= 0) return true;
  for (let rest = selection.answered; rest !== 0; rest &= rest - 1) {
    if (serversAt(selection, ctz(rest)).samples < SETTLED_SAMPLES) return false;
  }
  return true;
}
