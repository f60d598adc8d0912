// By which path each unit is reserved by RESERVE (SPC-2), in a file: the array keeps such a reservation while the daemon is away, and the
// initiators of the unit's SCSI device still count on it.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { reasonOf } from "../ground/control-errors.ts";
import type { Logger } from "../ground/logger.ts";
import { replaceFile } from "../ground/replace-file.ts";
import { PathNumber } from "../schemas/common.ts";

/** Name of the file in the state directory. */
const HOLDERS_FILE = "legacy-reservations";

/** Path numbers by the unit's identity. */
const Holders = z.record(z.string(), PathNumber);

export class LegacyHolders {
  readonly #file: string;
  readonly #warn: Logger["warning"];
  #holders: Readonly<Record<string, string>>;

  constructor(directory: string, warn: Logger["warning"]) {
    this.#file = join(directory, HOLDERS_FILE);
    this.#warn = warn;
    this.#holders = this.#read();
  }

  #read(): Record<string, string> {
    try {
      return Holders.parse(JSON.parse(readFileSync(this.#file, "utf8")));
    } catch (thrown) {
      const isNone = thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT";
      if (!isNone) this.#warn(`${this.#file} is not used: ${reasonOf(thrown)}`);
      return {};
    }
  }

  of(identity: string): string | undefined {
    return this.#holders[identity];
  }

  /** @param path its number; null: it is not reserved any more */
  put(identity: string, path: string | null): void {
    const { [identity]: before, ...others } = this.#holders;
    if (before === (path ?? undefined)) return;
    this.#holders = path === null ? others : { ...others, [identity]: path };
    try {
      replaceFile(this.#file, `${JSON.stringify(this.#holders)}\n`);
    } catch (thrown) {
      // The reservation holds all the same; only after a restart nobody knows of it.
      this.#warn(`${this.#file} cannot be written: ${reasonOf(thrown)}`);
    }
  }
}
