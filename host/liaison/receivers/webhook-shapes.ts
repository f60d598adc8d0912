// What a webhook is sent: our own shape, that of Prometheus' Alertmanager (POST /api/v2/alerts), or CloudEvents 1.0 in a batch.

import { cleanJson } from "../clean.ts";
import { kindOf } from "../messages.ts";
import type { Notice } from "./notice.ts";

export type Shape = "plain" | "alertmanager" | "cloudevents";

export interface Body {
  readonly type: string;
  readonly text: string;
}

const iso = (time: number): string => new Date(time).toISOString();

const plain = (batch: readonly Notice[], host: string): unknown => ({ version: 1, host, events: batch });

const SEVERITY = { error: "critical", warning: "warning", info: "info" } as const;

/** An alert for each event; labels name it, so that Alertmanager groups repetitions. */
const alerts = (batch: readonly Notice[], host: string): unknown =>
  batch.map(({ kind, level, message, unit, identity, array, path, text, time }) => {
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
  });

const cloudEvents = (batch: readonly Notice[], host: string): unknown =>
  batch.map((notice) => ({
    specversion: "1.0",
    id: String(notice.id),
    source: `/pathmanager/${encodeURIComponent(host)}`,
    type: `pathmanager.${notice.kind}`,
    time: iso(notice.time),
    ...(notice.path === null ? {} : { subject: notice.path }),
    datacontenttype: "application/json",
    data: notice,
  }));

export function bodyOf(shape: Shape, batch: readonly Notice[], host: string): Body {
  if (shape === "alertmanager") return { type: "application/json", text: cleanJson(alerts(batch, host)) };
  if (shape === "plain") return { type: "application/json", text: cleanJson(plain(batch, host)) };
  return { type: "application/cloudevents-batch+json; charset=utf-8", text: cleanJson(cloudEvents(batch, host)) };
}
