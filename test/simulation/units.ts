// The units of a world as its clients know them: their properties, where they are used, and the device's problems.

import type { EmulatedArray } from "../../host/array/array.ts";
import * as abi from "../../host/abi.ts";
import type { Atlas } from "./atlas.ts";
import { Layout } from "./blocks.ts";
import type { ClientUnit } from "./client.ts";
import type { Agreement } from "./expected.ts";
import { type Cells, History } from "./history.ts";
import { mostBlocks, type WorldPlan } from "./plan.ts";
import { Sizes } from "./sizes.ts";
import { troubleOf } from "./troubles.ts";
import { Witness } from "./witness.ts";

/** The negotiated features in the core's form. */
export function flagsOf({ replies, readOnly, trim, fastZero, allocation, unaligned }: Agreement): number {
  return (
    (replies !== "simple" ? abi.CONNECTION_STRUCTURED : 0) |
    (replies === "extended" ? abi.CONNECTION_EXTENDED : 0) |
    (readOnly ? abi.CONNECTION_READ_ONLY : 0) |
    (trim ? abi.CONNECTION_TRIM : 0) |
    (fastZero ? abi.CONNECTION_FAST_ZERO : 0) |
    (allocation ? abi.CONNECTION_ALLOCATION : 0) |
    (unaligned ? abi.CONNECTION_UNALIGNED : 0)
  );
}

/** @param beganNs start of the world, to which its faults' times are relative */
export function clientUnits(
  plan: WorldPlan,
  array: EmulatedArray,
  { faults, endMs }: Atlas,
  beganNs: number,
  host: { readonly nextStamp: () => number; readonly violation: (text: string) => void },
): ClientUnit[] {
  const layout = new Layout(plan.blockBytes, plan.cuts);
  const { cellsPerBlock } = layout;
  // An old array that claims to support WRITE SAME turns out not to.
  const zeroesFast = !plan.writesSame ? "no" : plan.topology.commands === "10-byte" ? "it is said" : "yes";
  const offer = { bytes: mostBlocks(plan) * plan.blockBytes, blockBytes: plan.blockBytes, zeroesFast } as const;
  const windows = plan.windows.map(({ first, count }) => ({
    first: first * cellsPerBlock,
    count: count * cellsPerBlock,
  }));
  const ground = { beganNs, endMs, outage: plan.kind === "outage", powerLoss: plan.powerLosses.length > 0 };
  // Commands that a host has kept in its queue do not meet later ones when they are delivered.
  const queued = faults.some(({ fault }) => fault.kind === "queued");
  const troubles = faults.flatMap((request) => {
    const trouble = troubleOf(request, ground);
    return trouble === undefined ? [] : { ...trouble, always: trouble.always && !queued };
  });
  return array.units.map((real, number) => {
    const history = new History();
    const witness = new Witness(real, number, layout, history, host.violation);
    const sizes = new Sizes(plan.blocks * plan.blockBytes);
    return { number, layout, offer, sizes, windows, history, witness, troubles, nextStamp: host.nextStamp };
  });
}

/** The units as used by the clients of each host: blocks that one host changes are left alone by the other. */
export function shared(units: readonly ClientUnit[], hosts: number): readonly (readonly ClientUnit[])[] {
  if (hosts === 1) return [units];
  return [0, 1].map((host) =>
    units.map((unit) => ({
      ...unit,
      windows: unit.windows.map((window) => half(window, unit.layout.cellsPerBlock, host)),
    })),
  );
}

function half({ first, count }: Cells, cellsPerBlock: number, which: number): Cells {
  const lower = Math.ceil(count / cellsPerBlock / 2) * cellsPerBlock;
  return which === 0 ? { first, count: lower } : { first: first + lower, count: count - lower };
}
