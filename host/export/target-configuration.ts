// The kernel's SCSI target as configfs shows it: the folders, links and attributes that make a unit a SCSI device of this machine, in
// their order. Every step may be repeated, and what is there already is left as it is.

import { readdirSync, readFileSync } from "node:fs";
import { access, mkdir, readdir, readFile, rmdir, symlink, unlink } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { writeAttribute } from "../native/index.ts";

/** Where the kernel shows things; a test has folders of its own. */
export interface TargetPlaces {
  readonly target: string;
  readonly sys: string;
  readonly dev: string;
}

export const TARGET_PLACES: TargetPlaces = { target: "/sys/kernel/config/target", sys: "/sys", dev: "/dev" };

/** The number of our host bus adapter among the kernel's of user space: a number of its own, so that nobody else's devices are in it. */
const ADAPTER = 4747;
const PREFIX = "pathmanager_";
/** World-wide names of the loopback targets, and of their one initiator; the unit's number follows. */
const TARGET = "naa.5001405504d";
const INITIATOR = "naa.5001405504e";
const FILE_MS_MAX = 10_000;
const PAUSE_MS = 20;

/** What a device is made with. */
export interface TargetShape {
  /** Whose it is: a hexadecimal number made of the unit's identity. */
  readonly owner: string;
  readonly bytes: bigint;
  readonly blockBytes: number;
  readonly transferBlocksMax: number;
  /** How long a command may be with us before the kernel gives it up. */
  readonly commandS: number;
}

/** /dev/uioN, and the bytes of its mapping. */
export interface Uio {
  readonly uio: string;
  readonly bytes: number;
}

/** The SCSI device. */
export interface TargetDisk {
  /** host:channel:target:lun. */
  readonly number: string;
  /** `sdX`. */
  readonly name: string;
}

const hex = (number: number): string => number.toString(16).padStart(5, "0");

const isMissing = (thrown: unknown): boolean =>
  thrown instanceof Error && "code" in thrown && (thrown.code === "ENOENT" || thrown.code === "ENODEV");

/** ESRCH: the kernel has told the news by netlink, and nobody listens there. */
const isUnheard = (thrown: unknown): boolean => thrown instanceof Error && /\(os error 3\)/.test(thrown.message);

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

const names = (folder: string): Promise<string[]> => readdir(folder).catch(() => []);

/** What is gone already need not be removed. */
async function gone(removed: Promise<void>): Promise<void> {
  try {
    await removed;
  } catch (thrown) {
    if (!isMissing(thrown)) throw thrown;
  }
}

async function made(folder: string): Promise<void> {
  if (!(await exists(folder))) await mkdir(folder);
}

async function within<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const endMs = performance.now() + FILE_MS_MAX;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > endMs) throw new Error(`${what} did not appear within ${FILE_MS_MAX / 1000} s`);
    await sleep(PAUSE_MS);
  }
}

/** The kernel's side of one unit's SCSI device. */
export class TargetConfiguration {
  readonly #places: TargetPlaces;
  readonly #adapter: string;
  readonly #store: string;
  readonly #target: string;
  readonly #lun: string;
  readonly #name: string;
  readonly #number: number;

  /** @param number the unit's */
  constructor(number: number, places: TargetPlaces = TARGET_PLACES) {
    this.#places = places;
    this.#number = number;
    this.#name = `${PREFIX}${number}`;
    this.#adapter = join(places.target, "core", `user_${ADAPTER}`);
    this.#store = join(this.#adapter, this.#name);
    this.#target = join(places.target, "loopback", `${TARGET}${hex(number)}`);
    this.#lun = join(this.#target, "tpgt_1/lun/lun_0");
  }

  /** Whose device is there: the owner it was made with, null when there is none. */
  async owner(): Promise<string | null> {
    if (!(await exists(this.#store))) return null;
    const config = await readFile(join(this.#store, "attrib/dev_config"), "utf8").catch(() => "");
    return /^pathmanager\/([0-9a-f]+)/.exec(config)?.[1] ?? "";
  }

  /** The store, whose commands come through a uio device. */
  async store({ owner, bytes, blockBytes, transferBlocksMax, commandS }: TargetShape): Promise<Uio> {
    const { target, sys, dev } = this.#places;
    if (!(await exists(target))) {
      throw new Error("configfs has no SCSI target: as root, run `modprobe -a target_core_user tcm_loop`");
    }
    await made(join(target, "core")).catch(() => undefined);
    await made(this.#adapter);
    const isNew = !(await exists(this.#store));
    if (isNew) await mkdir(this.#store);
    const set = (file: string, text: string | number): Promise<void> =>
      writeAttribute(join(this.#store, file), String(text));
    if ((await readFile(join(this.#store, "enable"), "utf8").catch(() => "0")).trim() !== "1") {
      const parts = [
        `dev_config=pathmanager/${owner}`,
        `dev_size=${bytes}`,
        `hw_block_size=${blockBytes}`,
        `hw_max_sectors=${transferBlocksMax}`,
        "max_data_area_mb=128",
        "nl_reply_supported=-1",
      ];
      for (const part of parts) await set("control", part);
      await set("enable", 1);
    }
    if (!(await exists(join(this.#lun, this.#name)))) {
      // Reservations and access states are not the kernel's business; resets are ours to hear of.
      for (const one of ["pgr_support", "alua_support"]) await set(`attrib/${one}`, 0);
      await set("attrib/tmr_notification", 1);
      await set("attrib/cmd_time_out", commandS);
    }
    const wanted = `tcm-user/${ADAPTER}/${this.#name}/`;
    const folder = join(sys, "class/uio");
    const uio = await within("its uio device", async () => {
      for (const name of await names(folder)) {
        const of = await readFile(join(folder, name, "name"), "utf8").catch(() => "");
        if (of.startsWith(wanted) && (await exists(join(dev, name)))) return name;
      }
      return undefined;
    });
    const size = Number(await readFile(join(folder, uio, "maps/map0/size"), "utf8"));
    return { uio: join(dev, uio), bytes: size };
  }

  /** An earlier handler has left commands: initiators send them again. Nothing new comes until `resume`. */
  async reset(): Promise<void> {
    await writeAttribute(join(this.#store, "action/block_dev"), "1");
    await writeAttribute(join(this.#store, "action/reset_ring"), "1");
  }

  async resume(): Promise<void> {
    await writeAttribute(join(this.#store, "action/block_dev"), "0");
  }

  /** The logical unit on the loopback target. Its handler has to be there: the kernel asks it at once who it is. */
  async link(diskS: number): Promise<TargetDisk> {
    await made(join(this.#places.target, "loopback")).catch(() => undefined);
    const group = join(this.#target, "tpgt_1");
    await made(this.#target);
    await made(group);
    const nexus = await readFile(join(group, "nexus"), "utf8").catch(() => "");
    if (!nexus.startsWith("naa.")) await writeAttribute(join(group, "nexus"), `${INITIATOR}${hex(this.#number)}`);
    await made(this.#lun);
    const link = join(this.#lun, this.#name);
    if (!(await exists(link))) await symlink(this.#store, link);
    const disk = await within("its block device", () => this.disk());
    await writeAttribute(join(this.#device(disk), "timeout"), String(diskS));
    return disk;
  }

  #device({ number }: TargetDisk): string {
    return join(this.#places.sys, "class/scsi_device", number, "device");
  }

  /** The SCSI device as it is now; undefined while there is none. */
  async disk(): Promise<TargetDisk | undefined> {
    const address = await readFile(join(this.#target, "tpgt_1/address"), "utf8").catch(() => "");
    if (!/^\d+:\d+:\d+\s*$/.test(address)) return undefined;
    const number = `${address.trim()}:0`;
    const [name] = await names(join(this.#places.sys, "class/scsi_device", number, "device/block"));
    if (name === undefined || !(await exists(join(this.#places.dev, name)))) return undefined;
    return { number, name };
  }

  /** The unit has another size. */
  async resize(bytes: bigint): Promise<void> {
    // The kernel's own figure, for those who look at it; it keeps the old one where nobody hears of it. Its commands for the capacity come to us.
    await writeAttribute(join(this.#store, "attrib/dev_size"), String(bytes)).catch((thrown: unknown) => {
      if (!isUnheard(thrown)) throw thrown;
    });
    const disk = await this.disk();
    if (disk !== undefined) await writeAttribute(join(this.#device(disk), "rescan"), "1");
  }

  /** Takes the SCSI device away. @param isAlone nobody answers its commands: they fail at once */
  async unlink(isAlone: boolean): Promise<void> {
    const disk = await this.disk();
    if (isAlone) {
      if (disk !== undefined) await writeAttribute(join(this.#device(disk), "state"), "offline").catch(() => undefined);
      await writeAttribute(join(this.#store, "action/reset_ring"), "2").catch(() => undefined);
    }
    // This removes the SCSI device as well; the target counts on that.
    await gone(unlink(join(this.#lun, this.#name)));
    for (const folder of [this.#lun, join(this.#target, "tpgt_1"), this.#target]) await gone(rmdir(folder));
  }

  async remove(): Promise<void> {
    await gone(rmdir(this.#store));
    // Others of ours may be in it.
    await rmdir(this.#adapter).catch(() => undefined);
  }
}

/** `sdX` of a unit's SCSI device, without waiting; undefined while there is none. */
export function diskNameOf(number: number, { target, sys }: TargetPlaces = TARGET_PLACES): string | undefined {
  try {
    const address = readFileSync(join(target, "loopback", `${TARGET}${hex(number)}`, "tpgt_1/address"), "utf8").trim();
    return readdirSync(join(sys, "class/scsi_device", `${address}:0`, "device/block"))[0];
  } catch {
    return undefined;
  }
}
