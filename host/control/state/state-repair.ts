// Decides at the start which settings to use: those in the state file, those in their copy, or what is left of both.
//
// SQLite takes a journal that is partly damaged or missing for one that ends there, and a page with the wrong bytes for what was
// written. So the file alone is not enough: a path that an operator disabled could become enabled again, unnoticed.

import type { Seal, SettingsCopy } from "./settings-copy.ts";
import { keyOf, lineOf, type SettingsRow } from "./settings-rows.ts";

/** The state file as it was found. */
export type MainFile =
  | { readonly kind: "absent" }
  /** SQLite cannot read it, or its rows do not match its seal. `rows` is what can be read of them. */
  | { readonly kind: "damaged"; readonly reason: string; readonly rows: readonly SettingsRow[] }
  /** An earlier version wrote it. */
  | { readonly kind: "unsealed"; readonly rows: readonly SettingsRow[] }
  | { readonly kind: "sealed"; readonly seal: Seal; readonly rows: readonly SettingsRow[] };

export type Decision =
  | {
      readonly kind: "keep";
      /**
       * Why the copy is rewritten although nothing has changed; null when it is as it should be, or that is not worth reporting.
       */
      readonly copyProblem: string | null;
    }
  | {
      readonly kind: "replace";
      readonly rows: readonly SettingsRow[];
      readonly reason: string;
      /** The file is set aside and a new one created; otherwise it stays with other rows. */
      readonly aside: boolean;
      /** Something is missing from `rows` that neither file has. */
      readonly isIncomplete: boolean;
    };

const NUMBER_OF = { path: { enabled: 4, enabling: 9 } } as const;

/** Of a path known only from untrusted data: disabled is safe, enabled is unknown. */
function distrusted(row: SettingsRow): SettingsRow {
  const { enabled, enabling } = NUMBER_OF.path;
  if (row.table !== "paths" || row.cells[enabled] === 0) return row;
  const cells = [...row.cells];
  cells[enabling] = "unknown";
  return { table: row.table, cells };
}

/** Everything that is left: trusted data first, then the rest. */
function merged(trusted: readonly SettingsRow[], others: readonly SettingsRow[]): SettingsRow[] {
  const known = new Set(trusted.map(keyOf));
  return [...trusted, ...others.filter((row) => !known.has(keyOf(row))).map(distrusted)];
}

const KEEP: Decision = { kind: "keep", copyProblem: null };

/** @param wasKilled whether a daemon ran here that was not stopped: then there was a state */
export function decide(main: MainFile, copy: SettingsCopy, wasKilled: boolean): Decision {
  if (copy.kind === "sound") return withCopy(main, copy.seal, copy.rows);
  if (copy.kind === "damaged") return withDamagedCopy(main, copy);
  if (main.kind === "absent") {
    const reason = "it and the copy of the settings are gone, though a daemon ran here that was not stopped";
    return wasKilled ? { kind: "replace", rows: [], reason, aside: false, isIncomplete: true } : KEEP;
  }
  if (main.kind === "damaged") {
    const rows = merged([], main.rows);
    return { kind: "replace", rows, reason: main.reason, aside: true, isIncomplete: true };
  }
  return main.kind === "sealed" ? { kind: "keep", copyProblem: "it was deleted" } : KEEP;
}

function withCopy(main: MainFile, seal: Seal, rows: readonly SettingsRow[]): Decision {
  const restore = (reason: string, aside: boolean): Decision => ({
    kind: "replace",
    rows,
    reason,
    aside,
    isIncomplete: false,
  });
  if (main.kind === "absent") return restore("it was deleted", false);
  if (main.kind === "damaged") return restore(main.reason, true);
  if (main.kind === "unsealed") return restore("an earlier version wrote it, before the last change", true);
  if (main.seal.id !== seal.id) return restore("it holds the settings of another installation", true);
  if (main.seal.sequence > seal.sequence) return KEEP;
  if (main.seal.sequence < seal.sequence) {
    const missing = `${seal.sequence - main.seal.sequence} of the changes up to number ${seal.sequence}`;
    return restore(`it lacks ${missing}: its journal was damaged or deleted, or it is an older file`, false);
  }
  return main.seal.digest === seal.digest
    ? KEEP
    : restore("it and the copy of its settings say different things", true);
}

function withDamagedCopy(main: MainFile, copy: Extract<SettingsCopy, { kind: "damaged" }>): Decision {
  const both = (reason: string, aside: boolean, rows = main.kind === "absent" ? [] : main.rows): Decision => ({
    kind: "replace",
    rows: merged(copy.rows, rows),
    reason: `${reason}; its copy is damaged as well (${copy.reason})`,
    aside,
    isIncomplete: true,
  });
  if (main.kind === "absent") return both("it is gone", false);
  if (main.kind === "damaged") return both(main.reason, true);
  if (main.kind === "unsealed") return both("an earlier version wrote it", true);
  const keep: Decision = { kind: "keep", copyProblem: copy.reason };
  if (copy.seal === null) {
    // The readable part of the copy does not contradict the file: as far as can be known, it is of the same state.
    const lines = new Set(main.rows.map(lineOf));
    return copy.rows.every((row) => lines.has(lineOf(row)))
      ? keep
      : both("it may be older than the last change", false);
  }
  if (copy.seal.id !== main.seal.id) return both("it holds the settings of another installation", true, []);
  return main.seal.sequence >= copy.seal.sequence ? keep : both("it lacks the last changes", false);
}
