// Events as alerts of Prometheus' Alertmanager. An event has no end, an alert does: the message that a fault is over resolves the alerts
// that told of it, and is no alert itself.

import { kindOf, MESSAGES, receivers, type MessageName } from "../messages.ts";
import { isFor, type Notice, type NoticeFilter } from "./notice.ts";

/** Alerts that are remembered until they end; beyond that the oldest is left to Alertmanager's `resolve_timeout`. */
const OPEN_MAX = 1000;

interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt?: string;
}

interface Open {
  readonly alert: Alert;
  readonly notice: Notice;
}

const SEVERITY = { error: "critical", warning: "warning", info: "info" } as const;
const iso = (time: number): string => new Date(time).toISOString();

const isKind = (name: string): name is MessageName => Object.hasOwn(MESSAGES, name);
const endedBy = (kind: MessageName): readonly MessageName[] => (kindOf(kind).ends ?? []).filter(isKind);

/** Labels name the alert, so that Alertmanager groups repetitions. */
function alertOf({ kind, level, message, unit, identity, array, path, text, time }: Notice, host: string): Alert {
  const { means, remedy } = kindOf(kind);
  return {
    labels: {
      alertname: "PathManagerEvent",
      severity: SEVERITY[level],
      instance: host,
      kind,
      message: String(message),
      ...(unit === null ? {} : { unit: String(unit) }),
      ...(identity === null ? {} : { identity }),
      ...(array === null ? {} : { array }),
      ...(path === null ? {} : { path }),
    },
    annotations: { summary: text, description: `${means} ${remedy}` },
    startsAt: iso(time),
  };
}

const isEnded = ({ notice }: Open, kinds: readonly MessageName[], by: Notice): boolean =>
  kinds.includes(notice.kind) &&
  (by.path === null || by.path === notice.path) &&
  (by.unit === null || notice.unit === null || by.unit === notice.unit);

/** A clock that was set back must not end an alert before it began: Alertmanager refuses that. */
const ended = ({ alert, notice }: Open, by: Notice): Alert => ({
  ...alert,
  endsAt: iso(Math.max(by.time, notice.time)),
});

export class Alerts {
  readonly #host: string;
  #open: ReadonlyMap<string, Open> = new Map();

  constructor(host: string) {
    this.#host = host;
  }

  /** The alerts of a batch; call `taken` once they have arrived, so that one that is sent again is the same. */
  of(batch: readonly Notice[]): { readonly alerts: readonly Alert[]; readonly taken: () => void } {
    const open = new Map(this.#open);
    const alerts: Alert[] = [];
    for (const notice of batch) {
      const kinds = endedBy(notice.kind);
      if (kinds.length === 0) {
        const alert = alertOf(notice, this.#host);
        alerts.push(alert);
        open.set(JSON.stringify(alert.labels), { alert, notice });
        continue;
      }
      for (const [name, one] of open) {
        if (!isEnded(one, kinds, notice)) continue;
        alerts.push(ended(one, notice));
        open.delete(name);
      }
    }
    for (const name of open.keys()) {
      if (open.size <= OPEN_MAX) break;
      open.delete(name);
    }
    const taken = (): void => {
      this.#open = open;
    };
    return { alerts, taken };
  }
}

/** Whether a receiver of alerts gets a notice: also one below its level, if it ends what was not. */
export const isForAlerts = (notice: Notice, filter: NoticeFilter): boolean =>
  isFor(notice, filter) ||
  endedBy(notice.kind).some((kind) => {
    const { number: message, level } = kindOf(kind);
    // A message about all units ends what was told of those that the filter names.
    const unit = notice.unit ?? filter.units?.[0] ?? null;
    return isFor({ ...notice, ...receivers(kind), kind, message, level, unit }, filter);
  });
