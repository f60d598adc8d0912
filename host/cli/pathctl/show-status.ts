// `pathctl status`: state of the daemon as a whole.

import type { Status } from "../../control/schemas/status-schema.ts";
import type { Style } from "../style.ts";
import { agoText, countText, sizeText } from "../text.ts";
import { attentionText } from "./show.ts";

/** The status as text. */
export function statusText(status: Status, style: Style): string {
  const { reactor, sockets, configuration, state } = status;
  const rows: readonly (readonly [string, string])[] = [
    ["version", `${status.version} (Node ${status.node})`],
    ["running", `for ${agoText(status.runningMs)}, process ${status.pid}`],
    ["paths", `${status.pathsUsable} of ${status.paths} usable, ${status.units} units, from ${status.source}`],
    ["reactor", `${reactor.answering ? "answering" : style.bad("not answering")}, ${status.backend}`],
    ["memory", `${sizeText(status.memory.residentBytes)} resident, core ${sizeText(reactor.coreMemoryBytes)}`],
    ["API", [sockets.api, sockets.apiTcp].filter((socket) => socket !== null).join(", ")],
    ["NBD", [sockets.nbd, sockets.nbdTcp].filter((socket) => socket !== null).join(", ")],
    ["configuration", configuration.file ?? "none, defaults"],
    ["state", `${state.file}, ${countText(state.events)} events`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const restart = configuration.restartNeeded.map((key) => `${style.warn("!")} ${key} takes effect after a restart\n`);
  const attention = [...restart, attentionText(status, style)].join("");
  const body = rows.map(([name, value]) => `${style.faint(name.padEnd(width))}  ${value}\n`).join("");
  return attention === "" ? body : `${body}\n${attention}`;
}
