// State and speed of ports on both sides, as the kernel's transports report them. They change, so they are read again for a display;
// a driver may take its time to answer, so nobody waits for that.

import { readdir, readFile, realpath } from "node:fs/promises";
import { join } from "node:path";

/** `Online`, `LOGGED_IN`, ...; `16 Gbit`; in the kernel's words. Null where it reports none. */
interface PortState {
  readonly state: string | null;
  readonly speed: string | null;
}

export interface PortStates {
  /** By host number. */
  readonly initiators: ReadonlyMap<string, PortState>;
  /** By host:channel:target. */
  readonly targets: ReadonlyMap<string, PortState>;
}

const NO_PORT_STATES: PortStates = { initiators: new Map(), targets: new Map() };

/** What drivers report when they know nothing. */
const NOTHING = /^(unknown|<NULL>|0|)$/i;

async function text(file: string): Promise<string | null> {
  try {
    const read = (await readFile(file, "utf8")).trim();
    return NOTHING.test(read) ? null : read;
  } catch {
    return null;
  }
}

async function number(file: string): Promise<number | null> {
  const read = (await readFile(file, "utf8").catch(() => "")).trim();
  return /^\d+$/.test(read) ? Number(read) : null;
}

const names = (folder: string): Promise<string[]> => readdir(folder).catch(() => []);

type Entries = [key: string, state: PortState][];

async function fibreHosts(root: string): Promise<Entries> {
  const folder = join(root, "class/fc_host");
  const hosts = await names(folder);
  return Promise.all(
    hosts.map(async (host): Promise<[string, PortState]> => {
      const of = (name: string): Promise<string | null> => text(join(folder, host, name));
      return [host.replace("host", ""), { state: await of("port_state"), speed: await of("speed") }];
    }),
  );
}

/** Remote ports: `rport-4:0-1` is known to the midlayer as target 4:0:N. */
async function fibreTargets(root: string): Promise<Entries> {
  const folder = join(root, "class/fc_remote_ports");
  const found: Entries = [];
  for (const port of await names(folder)) {
    const nexus = /^rport-(\d+):(\d+)-\d+$/.exec(port);
    const target = await number(join(folder, port, "scsi_target_id"));
    if (nexus === null || target === null) continue;
    found.push([
      `${nexus[1]}:${nexus[2]}:${target}`,
      { state: await text(join(folder, port, "port_state")), speed: null },
    ]);
  }
  return found;
}

/** An iSCSI session is a host of its own, with one target. */
async function sessions(root: string): Promise<{ readonly hosts: Entries; readonly targets: Entries }> {
  const folder = join(root, "class/iscsi_session");
  const hosts: Entries = [];
  const targets: Entries = [];
  for (const session of await names(folder)) {
    const place = await realpath(join(folder, session)).catch(() => "");
    const host = /\/host(\d+)\//.exec(place)?.[1];
    if (host === undefined) continue;
    const state: PortState = {
      state: await text(join(folder, session, "state")),
      speed: await text(join(root, `class/iscsi_host/host${host}/port_speed`)),
    };
    hosts.push([host, state]);
    const target = await number(join(folder, session, "target_id"));
    targets.push([`${host}:0:${target ?? 0}`, { state: state.state, speed: null }]);
  }
  return { hosts, targets };
}

/** A SAS adapter has several phys: the fastest link counts. */
async function serialHosts(root: string): Promise<Entries> {
  const folder = join(root, "class/sas_phy");
  const rates = new Map<string, string[]>();
  for (const phy of await names(folder)) {
    const host = /^phy-(\d+):\d+$/.exec(phy)?.[1];
    if (host === undefined) continue;
    const rate = await text(join(folder, phy, "negotiated_linkrate"));
    rates.set(host, [...(rates.get(host) ?? []), ...(rate !== null && /^\d/.test(rate) ? [rate] : [])]);
  }
  return [...rates].map(([host, up]) => {
    const fastest = up.toSorted((a, b) => Number.parseFloat(b) - Number.parseFloat(a))[0] ?? null;
    return [host, { state: up.length > 0 ? "link up" : "link down", speed: fastest }];
  });
}

/** Reads all there is. Never rejects. @param root where sysfs is */
export async function readPortStates(root = "/sys"): Promise<PortStates> {
  const [fibre, remote, iscsi, serial] = await Promise.all([
    fibreHosts(root),
    fibreTargets(root),
    sessions(root),
    serialHosts(root),
  ]);
  return {
    initiators: new Map([...serial, ...iscsi.hosts, ...fibre]),
    targets: new Map([...iscsi.targets, ...remote]),
  };
}

/** Age at which states are read again. */
const FRESH_MS = 1000;
/** How long displays wait for a reading, all together. */
const WAIT_MS = 250;
/** States older than this are not told any more. */
const STALE_MS = 10_000;

/** The newest states. A driver that does not answer holds up one display for a moment; after a while, nothing is known. */
export class PortStateReader {
  readonly #read: () => Promise<PortStates>;
  readonly #nowMs: () => number;
  #newest = NO_PORT_STATES;
  #readMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | null = null;
  #begunMs = 0;

  constructor(read: () => Promise<PortStates> = readPortStates, nowMs: () => number = () => performance.now()) {
    this.#read = read;
    this.#nowMs = nowMs;
  }

  async forDisplay(): Promise<PortStates> {
    if (this.#nowMs() - this.#readMs > FRESH_MS) {
      if (this.#reading === null) {
        this.#begunMs = this.#nowMs();
        this.#reading = this.#again();
      }
      const leftMs = this.#begunMs + WAIT_MS - this.#nowMs();
      if (leftMs > 0) await this.#atMost(this.#reading, leftMs);
    }
    return this.#nowMs() - this.#readMs > STALE_MS ? NO_PORT_STATES : this.#newest;
  }

  async #atMost(reading: Promise<void>, ms: number): Promise<void> {
    const timer = Promise.withResolvers<void>();
    const handle = setTimeout(timer.resolve, ms);
    await Promise.race([reading, timer.promise]);
    clearTimeout(handle);
  }

  async #again(): Promise<void> {
    this.#newest = await this.#read();
    this.#readMs = this.#nowMs();
    this.#reading = null;
  }
}
