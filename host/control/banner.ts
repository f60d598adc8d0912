// The banner the daemon prints when it is up: what it serves, where, and how to look.

import type { Daemon } from "./daemon.ts";
import { counted } from "../wording.ts";

/** Most units named one by one. */
const NAMED_MAX = 4;

/** Only a clone runs the sources; there, npm finds the commands. */
const COMMAND = import.meta.url.endsWith(".ts") ? "npx pathctl" : "pathctl";

const size = (bytes: number): string => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${Number((bytes / 2 ** (10 * power)).toFixed(1))} ${units[power]}`;
};

export function banner(daemon: Daemon, version: string): string {
  const { places } = daemon.options;
  const units = daemon.inventory.units();
  const file = daemon.configurationFile;
  const source = daemon.emulated
    ? `an emulated array, as ${file === null ? "there is no configuration file" : `${file} says`}`
    : `SCSI devices (${file ?? "all"})`;
  // A unit that clients can connect to: one in use elsewhere is not offered.
  const offered = units.find(({ handle }) => handle !== null);
  const paths = `${counted(units.length, "logical unit")} over ${counted(daemon.inventory.pathCount, "path")}`;
  const lines = [
    `PathManager ${version} serves ${paths}: ${source}.`,
    ...(daemon.rescans.nothing === null ? [] : [`  ${daemon.rescans.nothing}.`]),
    ...units.slice(0, NAMED_MAX).map((unit) => {
      const { vendor, product, bytes } = unit.facts;
      return `  #${unit.number}  ${unit.name}  ${size(bytes)}  ${vendor} ${product}  ${counted(unit.paths.size, "path")}`;
    }),
    ...(units.length > NAMED_MAX ? [`  and ${units.length - NAMED_MAX} more`] : []),
    "",
    `  API    ${places.apiSocket}`,
    `  NBD    ${places.nbdSocket}${daemon.doors.nbdTcp === null ? "" : ` and ${daemon.doors.nbdTcp}`}`,
    `  State  ${daemon.state.file}`,
    "",
    `  look       ${COMMAND} show`,
    ...(offered === undefined ? [] : [`  read       nbdinfo 'nbd+unix:///${offered.name}?socket=${places.nbdSocket}'`]),
    `  stop       Ctrl-C`,
    "",
  ];
  return `${lines.join("\n")}\n`;
}
