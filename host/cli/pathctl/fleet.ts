// All known hosts at a glance.

import type { Health, Status } from "../../control/schemas/status-schema.ts";
import { clean } from "../../liaison/clean.ts";
import { type Client, CommandError } from "../api-client.ts";
import type { RemoteHost } from "../remote-host.ts";
import { table, type Cell, type Style } from "../style.ts";
import { agoText } from "../text.ts";
import { statusExit } from "./show-status.ts";

/** How long one host may take; the others do not wait for it. */
const ANSWER_MS_MAX = 10_000;
const EXIT_UNANSWERED = 2;

interface Member {
  readonly name: string;
  readonly address: string;
  readonly status: Status | null;
  readonly error: string | null;
}

/** Asks all of them at once. */
export function askFleet(hosts: readonly RemoteHost[], clientOf: (host: RemoteHost) => Client): Promise<Member[]> {
  return Promise.all(
    hosts.map(async (host): Promise<Member> => {
      const { name, address } = host;
      try {
        const status = await clientOf(host).call<Status>("GET", "/v1/status", undefined, ANSWER_MS_MAX);
        return { name, address, status, error: null };
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        return { name, address, status: null, error: error.message };
      }
    }),
  );
}

export const fleetExit = (members: readonly Member[]): number =>
  Math.max(0, ...members.map(({ status }) => (status === null ? EXIT_UNANSWERED : statusExit(status))));

const paintOf = (level: Health["level"], style: Style) =>
  level === "ok" ? style.good : level === "degraded" ? style.warn : style.bad;

function cells({ name, status, error }: Member, style: Style): Cell[] {
  if (status === null) return [name, { text: "no answer", paint: style.bad }, "-", "-", "-", "-", clean(error ?? "")];
  const { health, paths, pathsUsable, units, version, runningMs, attention } = status;
  const more = attention.length > 1 ? ` (and ${attention.length - 1} more)` : "";
  return [
    name,
    { text: health.level, paint: paintOf(health.level, style) },
    `${pathsUsable}/${paths}`,
    String(units),
    clean(version),
    agoText(runningMs),
    `${clean(attention[0] ?? "")}${more}`,
  ];
}

const TITLES = ["HOST", "HEALTH", ">PATHS", ">UNITS", "VERSION", ">RUNNING", "ATTENTION"];

export function fleetText(members: readonly Member[], style: Style): string {
  if (members.length === 0) return "hosts.toml lists no hosts\n";
  return table(
    TITLES,
    members.map((member) => cells(member, style)),
    style,
  );
}
