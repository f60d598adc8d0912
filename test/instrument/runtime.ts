// What an instrumented core brings along: the number of the mistake it makes, fuel, so that a loop without end ends, and a
// byte for each place that was reached. None of it lies in the core's tables.

import { cellExpression } from "./tables.ts";

/** Loops of one call from the host: more than any needs. */
export const FUEL = 4_000_000;

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

/** The line that lets a source use it. */
export function importOf(file: string): string {
  const up = "../".repeat(file.split("/").length - 2) || "./";
  const from = file.startsWith("assembly/") ? `${up}instrument` : "../../assembly/instrument";
  return `import { mutant as __mutant, refuel as __refuel, tick as __tick, hit as __hit, cell as __cell, yes as __yes, no as __no } from "${from}"; `;
}

/** What a host sees of it. */
export interface InstrumentExports {
  readonly mutant: { value: number };
  placesAt(): number;
  readonly memory: { readonly buffer: ArrayBuffer };
}
