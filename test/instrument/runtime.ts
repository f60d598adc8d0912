// What an instrumented core brings along: the number of the mistake it makes, fuel, so that a loop without end ends, and a
// byte for each place that was reached. None of it lies in the core's tables.

import { cellExpression } from "./tables.ts";

/** Loops of one call from the host: more than any needs. */
const FUEL = 4_000_000;

/** @param places how many places are counted */
export function runtimeSource(places: number): string {
  return `
export let mutant: i32 = 0;
let fuel: i32 = ${FUEL};
const places: usize = memory.data(${Math.max(8, places)}, 8);
export function placesAt(): usize { return places; }
export function refuel(): void { fuel = ${FUEL}; }
export function tick(): void { if (--fuel === 0) unreachable(); }
export function hit(place: u32): void { store<u8>(places + place, 1); }
export function yes(place: u32): bool { store<u8>(places + place, 1); return true; }
export function cell(flags: u32, event: u32, outcome: u32): u32 { return ${cellExpression()}; }
export function no(place: u32): bool { store<u8>(places + place, 1); return false; }
`;
}

/** Steps of the core that one input of the fuzzer may take; more is a hang, on a machine however slow. */
const STEPS_MAX = 20_000_000;

/** As `runtimeSource`, but it counts: up to 255 for each place, and all of them together until the host says `refuel`. */
export function countingSource(places: number): string {
  return `
@external("env", "outOfSteps") declare function outOfSteps(): void;
export let mutant: i32 = 0;
let fuel: i32 = ${STEPS_MAX};
const places: usize = memory.data(${Math.max(8, places)}, 8);
export function placesAt(): usize { return places; }
export function refuel(): void { fuel = ${STEPS_MAX}; }
export function tick(): void { if (--fuel === 0) outOfSteps(); }
export function hit(place: u32): void {
  tick();
  const count: u32 = load<u8>(places + place);
  store<u8>(places + place, count === 255 ? count : count + 1);
}
export function yes(place: u32): bool { hit(place); return true; }
export function cell(flags: u32, event: u32, outcome: u32): u32 { return ${cellExpression()}; }
export function no(place: u32): bool { hit(place); return false; }
`;
}

/** The line that lets a source use it. */
export function importOf(file: string): string {
  const up = "../".repeat(file.split("/").length - 2) || "./";
  const from = file.startsWith("assembly/") ? `${up}instrument` : "../../assembly/instrument";
  return `import { mutant as __mutant, refuel as __refuel, tick as __tick, hit as __hit, cell as __cell, yes as __yes, no as __no } from "${from}"; `;
}

/** What a host sees of what was reached or counted. */
export interface CountExports {
  placesAt(): number;
  refuel(): void;
  readonly memory: { readonly buffer: ArrayBuffer };
}

/** What a host sees of it. */
export interface InstrumentExports extends CountExports {
  readonly mutant: { value: number };
}
