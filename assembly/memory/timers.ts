// Deadlines: one timer per owner (a unit, a path, the core), in a binary heap. An owner arms its timer for the earliest thing it
// waits for and checks again when it fires; so an I/O that ends in time costs nothing here.

import { NEVER } from "./time";

let count: u32 = 0;
let capacity: u32 = 0;
/** u64 per timer: when it is due; NEVER when it is not armed. */
let due: usize = 0;
/** u32 per timer: its place in the heap. */
let place: usize = 0;
/** u32 per place: the timer. */
let heap: usize = 0;

/** Bytes that `timers` timers need. */
export function timersBytes(timers: u32): usize {
  return <usize>timers * 16;
}

/** Sets up `timers` timers, none of them armed. */
export function timersInit(memory: usize, timers: u32): void {
  capacity = timers;
  count = 0;
  due = memory;
  place = memory + <usize>timers * 8;
  heap = place + <usize>timers * 4;
  for (let i: u32 = 0; i < timers; i++) store<u64>(due + <usize>i * 8, NEVER);
}

/** When `timer` is due; NEVER when it is not armed. */
function timerDue(timer: u32): u64 {
  return load<u64>(due + <usize>timer * 8);
}

/** The earliest time any timer is due. */
export function timersNext(): u64 {
  return count === 0 ? NEVER : timerDue(at(0));
}

/** Takes a timer that is due at `nowNs` and disarms it; -1 when none is. */
export function timersTake(nowNs: u64): i32 {
  if (timersNext() > nowNs || count === 0) return -1;
  const timer = at(0);
  timerSet(timer, NEVER);
  return <i32>timer;
}

/** Arms `timer` unless it is due earlier anyway. */
export function timerSooner(timer: u32, whenNs: u64): void {
  if (whenNs < timerDue(timer)) timerSet(timer, whenNs);
}

/** Arms `timer` anew; NEVER disarms it. */
export function timerSet(timer: u32, whenNs: u64): void {
  assert(timer < capacity);
  const before = timerDue(timer);
  if (before === whenNs) return;
  store<u64>(due + <usize>timer * 8, whenNs);
  if (before === NEVER) {
    put(count, timer);
    count++;
    up(count - 1);
  } else if (whenNs === NEVER) {
    const hole = load<u32>(place + <usize>timer * 4);
    count--;
    if (hole !== count) {
      const moved = at(count);
      put(hole, moved);
      up(hole);
      down(load<u32>(place + <usize>moved * 4));
    }
  } else if (whenNs < before) up(load<u32>(place + <usize>timer * 4));
  else down(load<u32>(place + <usize>timer * 4));
}

function at(index: u32): u32 {
  return load<u32>(heap + <usize>index * 4);
}

function put(index: u32, timer: u32): void {
  store<u32>(heap + <usize>index * 4, timer);
  store<u32>(place + <usize>timer * 4, index);
}

function up(start: u32): void {
  let index = start;
  const timer = at(index);
  const key = timerDue(timer);
  while (index > 0) {
    const parent = (index - 1) >> 1;
    if (timerDue(at(parent)) <= key) break;
    put(index, at(parent));
    index = parent;
  }
  put(index, timer);
}

function down(start: u32): void {
  let index = start;
  const timer = at(index);
  const key = timerDue(timer);
  for (;;) {
    let child = index * 2 + 1;
    if (child >= count) break;
    if (child + 1 < count && timerDue(at(child + 1)) < timerDue(at(child))) child++;
    if (timerDue(at(child)) >= key) break;
    put(index, at(child));
    index = child;
  }
  put(index, timer);
}
