// The status of a daemon that is well, and a unit with a lost path, for tests of what the commands print.

import type { Status } from "../../../host/control/schemas/status-schema.ts";
import { pathView, unitView } from "./views.ts";

export const STATUS: Status = {
  host: "db1",
  version: "0.1.0",
  source: "emulated",
  pid: 4711,
  node: "v24.21.0",
  startedMs: 1_700_000_000_000,
  runningMs: 3_600_000,
  backend: "io_uring",
  units: 3,
  paths: 6,
  pathsUsable: 4,
  health: {
    level: "ok",
    unitsDegraded: 0,
    unitsNotRedundant: 0,
    unitsWithoutPath: 0,
    pathsFaulty: 0,
    causes: [],
    singlePoints: [],
  },
  attention: [],
  refused: [],
  sockets: {
    api: "/run/pathmanager/api.sock",
    apiRead: null,
    apiTcp: null,
    nbd: "/run/pathmanager/nbd.sock",
    nbdTcp: null,
  },
  configuration: { file: null, restartNeeded: [] },
  state: { file: "/var/lib/pathmanager/state.db", events: 1234 },
  reactor: { answering: true, snapshotAgeMs: 3, coreMemoryBytes: 67_108_864, eventsLost: 0 },
  reactors: [
    {
      reactor: 0,
      answering: true,
      problem: null,
      turns: 1000,
      busyMs: 40_000,
      busyPercent: 12.5,
      units: 3,
      connections: 1,
      requests: 2,
      requestsMax: 1024,
      commands: 4,
      commandsMax: 4096,
      poolBytes: 67_108_864,
      poolFreeBytes: 66_060_288,
    },
  ],
  scheduling: { nice: 0, sliceUs: 200 },
  connectionsRefused: { api: {}, nbd: {} },
  memory: { residentBytes: 104_857_600, heapBytes: 10_000_000 },
};

/** The same with a second reactor, which does not turn. */
export const STATUS_OF_TWO: Status = {
  ...STATUS,
  attention: ["reactor 1 does not answer: no I/O goes on for its units (2 on reactor 1)"],
  reactors: STATUS.reactors.flatMap((one) => [
    { ...one, units: 1 },
    { ...one, reactor: 1, answering: false, problem: "reactor 1 does not answer", busyPercent: null, units: 2 },
  ]),
};

export const UNIT = unitView(
  0,
  "adaptive",
  [
    pathView(0, "4:0:0:0", 2, "in use"),
    pathView(0, "5:0:1:0", 1, "failed", { conditions: ["marginal"], device: null, alua: null }),
  ],
  {
    state: "not redundant",
    attachments: [{ device: "/dev/nbd0", index: 0, sinceMs: 1_700_000_000_000 }],
    name: "database",
  },
);
