// `pathctl config check`: the daemon's own reading of a configuration file, without the daemon.

import { readFileSync } from "node:fs";

import { checkConfiguration as check, mistakeText } from "../../control/settings/configuration.ts";
import { whyNothingEver } from "../../control/settings/empty-filter.ts";
import { CONFIGURATION_FILE } from "../../control/schemas/constants.ts";
import { CommandError } from "../client.ts";
import type { Result } from "./context.ts";

/**
 * Checks `file` (the default one when it is left out); exit status 1 when it has mistakes. That it leaves no device to
 * serve, or has a key under its former name, is no mistake, and told.
 */
export function checkConfiguration(file: string = CONFIGURATION_FILE): Result {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CommandError("CONFIGURATION", `cannot read ${file} (${code ?? String(error)})`, {
      parameter: file,
      remedy: "name the file: pathctl config check FILE",
    });
  }
  const checked = check(text, file);
  if (!checked.ok) {
    const { mistakes } = checked;
    const lines = mistakes.map((mistake) => `${mistakeText(mistake)}\n`).join("");
    return { json: { file, valid: false, mistakes, notes: [], nothing: null }, text: lines, status: 1 };
  }
  const nothing = whyNothingEver(checked.configuration);
  const warning = nothing === null ? "" : `${file}: ${nothing}\n`;
  const notes = checked.notes.map((note) => `${mistakeText(note)}\n`).join("");
  return {
    json: { file, valid: true, mistakes: [], notes: checked.notes, nothing },
    text: `${file}: no mistake\n${notes}${warning}`,
    status: 0,
  };
}
