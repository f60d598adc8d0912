// `pathctl config check`: reads a configuration file as the daemon does, without the daemon.

import { readFileSync } from "node:fs";

import { checkConfiguration as check, mistakeText } from "../../control/settings/configuration.ts";
import { whyNothingEver } from "../../control/settings/empty-filter.ts";
import { CONFIGURATION_FILE } from "../../control/schemas/constants.ts";
import { CommandError } from "../api-client.ts";
import type { Result } from "./context.ts";

/**
 * Checks `file` (the default file when omitted); exit status 1 when it has mistakes. A configuration that leaves no device
 * to serve, or that uses a key's former name, is not a mistake, but is reported.
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
