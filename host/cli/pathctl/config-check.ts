// `pathctl config check`: the daemon's own reading of a configuration file, without the daemon.

import { readFileSync } from "node:fs";

import { checkConfiguration as check, mistakeText } from "../../control/configuration.ts";
import { CONFIGURATION_FILE } from "../../control/words.ts";
import { CommandError } from "../client.ts";
import type { Result } from "./context.ts";

/** Checks `file` (the default one when it is left out); exit status 1 when it has mistakes. */
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
  const mistakes = checked.ok ? [] : checked.mistakes;
  return {
    json: { file, valid: checked.ok, mistakes },
    text: checked.ok ? `${file}: no mistake\n` : mistakes.map((mistake) => `${mistakeText(mistake)}\n`).join(""),
    status: checked.ok ? 0 : 1,
  };
}
