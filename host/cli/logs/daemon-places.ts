// Where the daemon keeps its log and its state: as it says itself, or, when it does not answer, as its configuration says.

import type { Output } from "../../control/schemas/routes.ts";
import { CONFIGURATION_FILE } from "../../control/schemas/constants.ts";
import { type Client, CommandError } from "../api-client.ts";

export interface DaemonPlaces {
  readonly configurationFile: string;
  readonly stateDirectory: string;
  readonly eventLog: string;
  /** Why the daemon did not answer; null when it did. */
  readonly silent: string | null;
}

/** How long the daemon may take before it counts as not answering. */
const ANSWER_MS_MAX = 5000;

/** The configuration in force, or why the daemon does not say it. */
async function askConfiguration(client: Client): Promise<Output<"config"> | string> {
  try {
    return await client.call<Output<"config">>("GET", "/v1/config", undefined, ANSWER_MS_MAX);
  } catch (thrown) {
    if (!(thrown instanceof CommandError)) throw thrown;
    return thrown.message;
  }
}

/** @param named the configuration to go by, whatever the daemon says */
export async function daemonPlaces(client: Client, named: string | undefined): Promise<DaemonPlaces> {
  const view = await askConfiguration(client);
  const silent = typeof view === "string" ? view : null;
  if (named !== undefined) return { ...(await placesByFile(named, true)), silent };
  if (typeof view === "string") return { ...(await placesByFile(CONFIGURATION_FILE, false)), silent };
  const { placesOf } = await import("../../control/settings/places.ts");
  const { stateDirectory, eventLog } = placesOf(view.configuration, process.getuid?.() ?? 0);
  return { configurationFile: view.file ?? CONFIGURATION_FILE, stateDirectory, eventLog, silent };
}

async function placesByFile(file: string, isRequired: boolean): Promise<Omit<DaemonPlaces, "silent">> {
  const { placesOf } = await import("../../control/settings/places.ts");
  const { loadConfiguration, WITHOUT_FILE } = await import("../../control/settings/configuration.ts");
  const uid = process.getuid?.() ?? 0;
  let configuration = WITHOUT_FILE;
  try {
    ({ configuration } = loadConfiguration(file, isRequired));
  } catch (thrown) {
    // A file with mistakes must not keep anyone from the logs: the usual places are tried.
    if (isRequired) {
      throw new CommandError("CONFIGURATION", thrown instanceof Error ? thrown.message : String(thrown), {
        parameter: file,
      });
    }
  }
  const { stateDirectory, eventLog } = placesOf(configuration, uid);
  return { configurationFile: file, stateDirectory, eventLog };
}
