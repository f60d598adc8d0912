// `pathctl status`: state of the daemon as a whole, for people and, as one line, for monitors.

import type { Health, Status } from "../../control/schemas/status-schema.ts";
import type { CommandError } from "../api-client.ts";
import type { Style } from "../style.ts";
import { agoText, countText, pluralText, sizeText } from "../text.ts";
import { attentionText } from "./show.ts";

/** Exit statuses, which are also those of a monitor's plug-in. */
const EXITS: Readonly<Record<Health["level"], number>> = { ok: 0, degraded: 1, critical: 2 };
/** What monitors call the levels. */
const MONITOR_WORDS: Readonly<Record<Health["level"], string>> = {
  ok: "OK",
  degraded: "WARNING",
  critical: "CRITICAL",
};
const EXIT_UNKNOWN = 3;

export const statusExit = ({ health }: Status): number => EXITS[health.level];

/** Nobody answers: I/O may be standing still. Who may not ask knows nothing. */
export const statusErrorExit = ({ code }: CommandError): number =>
  code === "NOT_RUNNING" || code === "NO_ANSWER" ? EXITS.critical : EXIT_UNKNOWN;

function healthText({ health }: Status, style: Style): string {
  const { level, unitsDegraded, unitsWithoutPath } = health;
  const paint = level === "ok" ? style.good : level === "degraded" ? style.warn : style.bad;
  const what = [
    ...(unitsWithoutPath > 0 ? [`${pluralText(unitsWithoutPath, "unit")} without a path`] : []),
    ...(unitsDegraded > unitsWithoutPath
      ? [`${pluralText(unitsDegraded - unitsWithoutPath, "unit")} with fewer paths`]
      : []),
  ];
  return [paint(level), ...what].join(", ");
}

/** How the daemon's threads get a processor. */
export function schedulingText({ scheduling }: Pick<Status, "scheduling">): string {
  if (scheduling === null) return "unknown";
  const { nice, sliceUs } = scheduling;
  return `niceness ${nice}, ${sliceUs === null ? "the kernel's time slices" : `time slices of ${sliceUs} us`}`;
}

const ofText = (used: number, max: number | null, noun: string): string =>
  max === null ? pluralText(used, noun) : `${countText(used)} of ${pluralText(max, noun)}`;

/** How busy a reactor is, and what it has in use. */
function reactorText(one: Status["reactors"][number], style: Style): string {
  const { busyPercent, units, connections, requests, commands, poolBytes, poolFreeBytes } = one;
  return [
    one.answering ? "answering" : style.bad("not answering"),
    ...(busyPercent === null ? [] : [`${busyPercent} % busy`]),
    pluralText(units, "unit"),
    pluralText(connections, "connection"),
    ofText(requests, one.requestsMax, "request"),
    ofText(commands, one.commandsMax, "command"),
    ...(poolBytes === null || poolFreeBytes === null
      ? []
      : [`pool ${sizeText(poolBytes - poolFreeBytes)} of ${sizeText(poolBytes)}`]),
  ].join(", ");
}

/** Each of several, and the only one's load. */
function reactorRows({ reactor, reactors, backend }: Status, style: Style): (readonly [string, string])[] {
  const [only] = reactors;
  const whole = `${reactor.answering ? "answering" : style.bad("not answering")}, ${backend}`;
  if (reactors.length > 1) {
    return [
      ["reactors", `${countText(reactors.length)}, ${backend}`],
      ...reactors.map((one) => [`reactor ${one.reactor}`, reactorText(one, style)] as const),
    ];
  }
  const busy = only?.busyPercent ?? null;
  return [["reactor", busy === null ? whole : `${whole}, ${busy} % busy`]];
}

/** The status as text. */
export function statusText(status: Status, style: Style): string {
  const { reactor, sockets, configuration, state } = status;
  const rows: readonly (readonly [string, string])[] = [
    ["version", `${status.version} (Node ${status.node})`],
    ["running", `for ${agoText(status.runningMs)}, process ${status.pid}`],
    ["health", healthText(status, style)],
    [
      "paths",
      `${status.pathsUsable} of ${status.paths} usable, ${pluralText(status.units, "unit")}, from ${status.source}`,
    ],
    ...reactorRows(status, style),
    ["scheduling", schedulingText(status)],
    ["memory", `${sizeText(status.memory.residentBytes)} resident, core ${sizeText(reactor.coreMemoryBytes)}`],
    ["API", [sockets.api, sockets.apiRead, sockets.apiTcp].filter((socket) => socket !== null).join(", ")],
    ["NBD", [sockets.nbd, sockets.nbdTcp].filter((socket) => socket !== null).join(", ")],
    ["configuration", configuration.file ?? "none, defaults"],
    ["state", `${state.file}, ${pluralText(state.events, "event")}`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const restart = configuration.restartNeeded.map((key) => `${style.warn("!")} ${key} takes effect after a restart\n`);
  const attention = [...restart, attentionText(status, style)].join("");
  const body = rows.map(([name, value]) => `${style.faint(name.padEnd(width))}  ${value}\n`).join("");
  return attention === "" ? body : `${body}\n${attention}`;
}

/** Sentences that fit into a monitor's one line. */
const SENTENCES_MAX = 4;

/** A bar would begin the performance data. */
const oneLine = (text: string): string => text.replaceAll(/\s+/g, " ").replaceAll("|", "/");

/** One line with performance data (label=value;warning;critical;minimum;maximum), as Nagios and its like read it. */
export function checkText(status: Status): string {
  const { health, units, paths, pathsUsable, attention } = status;
  const more = attention.length - SENTENCES_MAX;
  const what = [
    `${pathsUsable} of ${pluralText(paths, "path")} usable, ${pluralText(units, "unit")}`,
    ...(status.reactor.answering ? [] : ["the reactor does not answer"]),
    ...attention.slice(0, SENTENCES_MAX),
    ...(more > 0 ? [`and ${countText(more)} more`] : []),
  ];
  const data = [
    `units=${units};;;0`,
    `units_degraded=${health.unitsDegraded};0;;0;${units}`,
    `units_without_path=${health.unitsWithoutPath};;0;0;${units}`,
    `paths=${paths};;;0`,
    `paths_usable=${pathsUsable};;;0;${paths}`,
    `paths_faulty=${health.pathsFaulty};0;;0`,
  ];
  return `PATHMANAGER ${MONITOR_WORDS[health.level]} - ${oneLine(what.join("; "))} | ${data.join(" ")}\n`;
}

/** The same when there is no status. */
export function checkErrorText(error: CommandError): string {
  const word = statusErrorExit(error) === EXIT_UNKNOWN ? "UNKNOWN" : "CRITICAL";
  return `PATHMANAGER ${word} - ${oneLine(error.message)}\n`;
}
