// Views as the API answers them, for tests of what the commands make of them. Each is checked against its schema.

import { balancingOf } from "../../../host/control/settings/policies.ts";
import { PathView } from "../../../host/control/schemas/path-schema.ts";
import { camel } from "../../../host/control/schemas/from-table.ts";
import { Timeouts, UnitView } from "../../../host/control/schemas/unit-schema.ts";
import { defaultOf, ENTRIES, nameOf, sectionOf } from "../../../host/settings/settings-table.ts";
import type { Mode } from "../../../host/control/schemas/mode-schema.ts";

const SYMBOLS = { "in use": ">", active: " ", standby: "@", failed: "X" } as const;

const TIMEOUTS = Timeouts.parse(
  Object.fromEntries(
    ENTRIES.filter(([key]) => sectionOf(key) === "timeouts").map(([key, setting]) => [
      camel(nameOf(key)),
      defaultOf(setting),
    ]),
  ),
);

/** A path of unit `unit`. */
export function pathView(
  unit: number,
  number: string,
  priority: number,
  state: PathView["state"] = "active",
  more: Partial<PathView> = {},
): PathView {
  return PathView.parse({
    number,
    unit,
    device: `emulated:${priority}`,
    blockDevice: null,
    deviceNumber: null,
    priority,
    enabled: state !== "standby",
    healthy: state !== "failed",
    state,
    symbol: SYMBOLS[state],
    conditions: [],
    alua: { state: "optimized", group: 1, preferred: false },
    initiatorPort: `host${number.split(":")[0]}`,
    targetPort: "naa.5000000000000001",
    initiatorName: null,
    portal: null,
    adapter: null,
    targetName: null,
    controller: "1",
    foreignIdentity: null,
    lastError: null,
    statistics: {
      ios: 1000,
      bytesRead: 4_096_000,
      bytesWritten: 0,
      errors: 0,
      retries: 0,
      checks: 3,
      inFlight: 2,
      depth: 64,
      weight: 1,
      serviceUs: 85,
      orphans: 0,
      lastAnswerMs: 12,
      sinceMs: 60_000,
      marginalForS: 0,
      latency: { p50Us: 85, p90Us: 120, p99Us: 240, p999Us: 900, maxUs: 1400, count: 1000 },
    },
    ...more,
  });
}

/** A unit with these paths. */
export function unitView(
  number: number,
  policy: UnitView["policy"]["name"],
  paths: PathView[],
  more: Partial<UnitView> = {},
): UnitView {
  return UnitView.parse({
    number,
    name: `lu${number}`,
    identity: { type: "naa", text: `naa.6001405a1b2c3d4e5f60718293a4b5${String(number).padStart(2, "0")}` },
    vendor: "PATHMGR",
    product: "EMULATED ARRAY",
    revision: "0001",
    serial: `EMU-${number}`,
    bytes: 64 * 1024 * 1024,
    blockBytes: 512,
    readOnly: false,
    policy: { name: policy, parameters: {} },
    policySetAside: null,
    balancing: balancingOf(policy),
    hedgeBudgetPercent: 0,
    state: "ok",
    reactor: 0,
    paths,
    remembered: [],
    export: { name: `lu${number}`, unixSocket: "/run/pathmanager/nbd.sock", tcp: null },
    attachments: [],
    timeouts: TIMEOUTS,
    statistics: {
      requests: 2,
      waiting: 0,
      orphans: 0,
      answered: 1000,
      failed: 0,
      connections: 1,
      latencyMaxUs: 1400,
      stallThresholdUs: 100_000,
      latency: null,
    },
    ...more,
  });
}

/** The three units of the reference's example (section 3). */
export const REFERENCE_UNITS: UnitView[] = [
  unitView(0, "static", [pathView(0, "5:0:1:0", 1), pathView(0, "4:0:0:0", 2, "in use")]),
  unitView(1, "static", [pathView(1, "5:0:1:1", 2, "in use"), pathView(1, "4:0:0:1", 1, "failed")]),
  unitView(2, "round-robin", [pathView(2, "4:0:0:2", 1, "standby"), pathView(2, "5:0:1:2", 2, "in use")]),
];

export const MODE: Mode = {
  class: "Enterprise",
  failback: "active",
  cluster: false,
  patrol: { mode: 3, intervalS: 60, thresholdS: 60, timeoutS: 120 },
};
