// Where sockets, state and logs are when the configuration does not say.

import { dirname, join, resolve } from "node:path";
import { readSocketOf } from "../../settings/names.ts";
import type { Configuration } from "../schemas/configuration-schema.ts";

export interface Places {
  readonly apiSocket: string;
  /** For everyone who may only read; null: the configuration does not want it. */
  readonly readSocket: string | null;
  readonly nbdSocket: string;
  readonly stateDirectory: string;
  readonly eventLog: string;
  /** What cluster software is told of lost units. */
  readonly lostFolder: string;
}

/** Root uses the system's folders; other users XDG_RUNTIME_DIR, or `build/run` in the working directory. */
export function placesOf(
  configuration: Configuration,
  uid: number,
  environment: NodeJS.ProcessEnv = process.env,
): Places {
  const { sockets, state, log } = configuration;
  const runtime = environment["XDG_RUNTIME_DIR"];
  const own = runtime === undefined || runtime === "" ? resolve("build/run") : join(runtime, "pathmanager");
  const run = uid === 0 ? "/run/pathmanager" : own;
  const apiSocket = sockets.api ?? join(run, "api.sock");
  return {
    apiSocket,
    readSocket: sockets.everyone_reads ? readSocketOf(apiSocket) : null,
    nbdSocket: sockets.nbd ?? join(run, "nbd.sock"),
    stateDirectory: state.directory ?? (uid === 0 ? "/var/lib/pathmanager" : join(own, "state")),
    eventLog: log.file ?? (uid === 0 ? "/var/log/pathmanager/spsevent.log" : join(own, "spsevent.log")),
    lostFolder: join(dirname(apiSocket), "lost"),
  };
}
