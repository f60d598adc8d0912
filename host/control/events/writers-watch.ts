// Reports who else may write to the devices of our paths. Nothing can keep such a program out; someone has to stop it.

import { KERNEL_TABLES, openersText } from "../../discovery/uses.ts";
import { writersOf } from "../../discovery/writers.ts";
import type { EventHub } from "./event-hub.ts";
import type { Inventory } from "../inventory/inventory.ts";

export class WritersWatch {
  readonly #hub: Pick<EventHub, "say">;
  readonly #proc: string;
  /** What the last check found: device and process. */
  #said: ReadonlySet<string> = new Set();
  /** As sentences, for displays. */
  attention: readonly string[] = [];

  constructor(hub: Pick<EventHub, "say">, proc = KERNEL_TABLES.proc) {
    this.#hub = hub;
    this.#proc = proc;
  }

  /** Checks who has our devices open; reports each process once per device. Returns whether nobody does. */
  check(inventory: Inventory): boolean {
    const paths = inventory.paths().filter((path) => path.handle !== null);
    const writers = writersOf(
      paths.flatMap(({ found }) => found?.device ?? []),
      this.#proc,
    );
    const said = new Set<string>();
    const attention: string[] = [];
    for (const { number, unit, found } of paths) {
      const processes = writers.get(found?.device ?? "") ?? [];
      if (found === null || processes.length === 0) continue;
      const news = processes.filter((name) => !this.#said.has(`${found.device} ${name}`));
      for (const name of processes) said.add(`${found.device} ${name}`);
      const who = openersText(news);
      const detail = { device: found.device, by: who };
      if (who !== null) this.#hub.say("device-open-elsewhere", { unit: unit.number, path: number, detail });
      attention.push(
        `${found.device} (${number}, LogicalUnit #${unit.number}) is open for writing by ${openersText(processes)}, ` +
          "which cannot be kept from it: end that, unless it only asks",
      );
    }
    this.#said = said;
    this.attention = attention;
    return attention.length === 0;
  }
}
