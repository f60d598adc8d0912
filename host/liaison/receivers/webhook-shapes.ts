// What a webhook is sent: our own shape, that of Prometheus' Alertmanager (POST /api/v2/alerts; alerts.ts), or CloudEvents 1.0 in a batch.

import { cleanJson } from "../clean.ts";
import { Alerts } from "./alerts.ts";
import type { Notice } from "./notice.ts";

export type Shape = "plain" | "alertmanager" | "cloudevents";

export interface Body {
  readonly type: string;
  readonly text: string;
  /** To be called once it has arrived. */
  readonly taken?: () => void;
}

const iso = (time: number): string => new Date(time).toISOString();

const plain = (batch: readonly Notice[], host: string): unknown => ({ version: 1, host, events: batch });

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

/** Makes the bodies for one receiver. */
export function bodiesOf(shape: Shape, host: string): (batch: readonly Notice[]) => Body {
  if (shape === "plain") return (batch) => ({ type: "application/json", text: cleanJson(plain(batch, host)) });
  if (shape === "cloudevents") {
    const type = "application/cloudevents-batch+json; charset=utf-8";
    return (batch) => ({ type, text: cleanJson(cloudEvents(batch, host)) });
  }
  const known = new Alerts(host);
  return (batch) => {
    const { alerts, taken } = known.of(batch);
    return { type: "application/json", text: cleanJson(alerts), taken };
  };
}
