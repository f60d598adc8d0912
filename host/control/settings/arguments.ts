// The command line of `pathmanagerd`. Lightweight: for help and version nothing else of the daemon is loaded.

import { parseArgs } from "node:util";
import { reasonOf } from "../ground/control-errors.ts";
import { LOG_LEVELS, type LogLevel } from "../../settings/names.ts";
import { CONFIGURATION_FILE } from "../schemas/constants.ts";

export const USAGE = `usage: pathmanagerd [--config FILE] [--log-level ${LOG_LEVELS.join("|")}]
       pathmanagerd --give-up-devices

Binds SCSI paths to logical units and offers each as one block device over NBD. Runs in the foreground.

  -c, --config FILE  configuration file (default ${CONFIGURATION_FILE}, which need not exist)
  --log-level LEVEL  instead of log.level of the configuration
  --give-up-devices  instead of serving: ends the I/O of each ublk device that no daemon serves, when its dead-connection
                     timeout has passed, and removes the device; exits when none is left
  -V, --version      prints the version
  -h, --help         prints this

SIGTERM stops it, SIGHUP reads the configuration again, SIGUSR2 starts all of it anew but what carries I/O.
Without a configuration file it runs an emulated array.

example: pathmanagerd --config ./pathmanager.toml
`;

export type Arguments =
  | { readonly kind: "run"; readonly config: string | undefined; readonly level: LogLevel | undefined }
  | { readonly kind: "give up devices" }
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | { readonly kind: "mistake"; readonly text: string };

/** @param args without the leading program and script */
export function readArguments(args: readonly string[]): Arguments {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        config: { type: "string", short: "c" },
        "log-level": { type: "string" },
        "give-up-devices": { type: "boolean" },
        version: { type: "boolean", short: "V" },
        help: { type: "boolean", short: "h" },
      },
    });
    if (values.help === true) return { kind: "help" };
    if (values.version === true) return { kind: "version" };
    if (values["give-up-devices"] === true) {
      if (values.config === undefined && values["log-level"] === undefined) return { kind: "give up devices" };
      return { kind: "mistake", text: "--give-up-devices: takes no other option; it needs no configuration" };
    }
    const given = values["log-level"];
    const level = LOG_LEVELS.find((candidate) => candidate === given);
    if (given === undefined || level !== undefined) return { kind: "run", config: values.config, level };
    return { kind: "mistake", text: `--log-level: ${given} is none of ${LOG_LEVELS.join(", ")}` };
  } catch (thrown) {
    return { kind: "mistake", text: reasonOf(thrown) };
  }
}
