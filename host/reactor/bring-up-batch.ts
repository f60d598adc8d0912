// Brings units with their paths into the core in one message: a message for each of them and each setting would cost more than
// everything else at the start of a thousand units.

import { ReactorError } from "./reactor-errors.ts";
import type { AddedUnit, PathToAdd, Refusal, Setting, UnitToAdd } from "./reactor-messages.ts";

/** How the core is called; the handlers of `calls.ts`. */
export interface BringUpCalls {
  unitAdd(): number;
  unitRemove(unit: number): void;
  pathAdd(path: PathToAdd): number;
  pathRemove(path: number): void;
}

/** What `work` returns, or why it was refused. */
function attempt<T>(work: () => T): T | Refusal {
  try {
    return work();
  } catch (error) {
    if (error instanceof ReactorError) return { code: error.code, message: error.message };
    throw error;
  }
}

/** The setting for this handle, which its author did not know yet. */
function withHandle(setting: Setting, handle: number): Setting {
  return "handle" in setting ? { ...setting, handle } : setting;
}

/** Adds one unit, or paths to an existing one. A unit or path whose settings are refused is removed again. */
export function addUnit(
  calls: BringUpCalls,
  carryOut: (setting: Setting) => Refusal | null,
  { handle, settings, paths }: UnitToAdd,
): AddedUnit {
  const added = handle ?? attempt(() => calls.unitAdd());
  if (typeof added !== "number") return { unit: added, paths: [] };
  const refuse = (list: readonly Setting[], of: number): Refusal | null => {
    for (const setting of list) {
      const refusal = carryOut(withHandle(setting, of));
      if (refusal !== null) return refusal;
    }
    return null;
  };
  const refusal = refuse(settings, added);
  if (refusal !== null) {
    if (handle === null) calls.unitRemove(added);
    return { unit: refusal, paths: [] };
  }
  return {
    unit: added,
    paths: paths.map(({ path, settings: facts }) => {
      const place = attempt(() => calls.pathAdd({ ...path, unit: added }));
      if (typeof place !== "number") return place;
      const refused = refuse(facts, place);
      if (refused !== null) calls.pathRemove(place);
      return refused ?? place;
    }),
  };
}
