// The daemon's log on standard error: one line each, with a level the service manager understands.

import { LOG_LEVELS, type LogLevel } from "../../settings/names.ts";

export interface Logger {
  error(text: string): void;
  warning(text: string): void;
  info(text: string): void;
  debug(text: string): void;
}

/** Prefixes of sd-daemon(3); written only when standard error goes to the journal. */
const PREFIXES: Readonly<Record<LogLevel, string>> = { error: "<3>", warning: "<4>", info: "<6>", debug: "<7>" };

export function makeLogger(level: LogLevel, write: (text: string) => void, toJournal: boolean): Logger {
  const say =
    (of: LogLevel) =>
    (text: string): void => {
      if (LOG_LEVELS.indexOf(of) > LOG_LEVELS.indexOf(level)) return;
      const prefix = toJournal ? PREFIXES[of] : "";
      for (const line of text.split("\n")) write(`${prefix}pathmanagerd: ${of === "info" ? "" : `${of}: `}${line}\n`);
    };
  return { error: say("error"), warning: say("warning"), info: say("info"), debug: say("debug") };
}
