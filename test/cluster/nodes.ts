// Two nodes of a cluster in one guest: network namespaces with mounts of their own, the real corosync and pacemaker in each, and beside
// each a daemon that has half of the paths, which are initiators of their own at the array.

import { spawn, type ChildProcess } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Client } from "../../host/cli/api-client.ts";
import type { ReservationView } from "../../host/control/schemas/reservation-schema.ts";
import type { UnitView } from "../../host/control/schemas/unit-schema.ts";
import { until } from "../until.ts";
import { attempt, run, type Outcome } from "../rig/lib/command.ts";
import type { LioArray } from "../rig/lib/lio.ts";

/** Everything of the nodes and of the load. */
export const FOLDER = "/tmp/cluster";
/** What a step of the cluster may take: its own time limits are far below. */
export const STEP_MS_MAX = 600_000;
/** How long I/O waits for a path before the other node goes on. */
const NO_PATH_MS = 3000;
/** What one command in a node may take: it fails then, as if nobody had answered it. */
const COMMAND_S_MAX = 60;
const TOKEN_MS = 10_000;

const COROSYNC = `totem {
  version: 2
  cluster_name: rig
  transport: knet
  crypto_cipher: none
  crypto_hash: none
  token: ${TOKEN_MS}
}
nodelist {
  node {
    ring0_addr: 10.99.0.1
    name: one
    nodeid: 1
  }
  node {
    ring0_addr: 10.99.0.2
    name: two
    nodeid: 2
  }
}
quorum {
  provider: corosync_votequorum
  two_node: 1
}
system {
  sched_rr: no
  move_to_root_cgroup: no
}
logging {
  to_syslog: no
  to_logfile: yes
  logfile: /var/log/corosync/corosync.log
}
`;

export interface NodeFacts {
  readonly name: "one" | "two";
  readonly key: string;
  readonly address: string;
  /** Paths of the array, by number. */
  readonly paths: readonly number[];
}

export const ONE: NodeFacts = { name: "one", key: "0xa1", address: "10.99.0.1", paths: [0, 1] };
export const TWO: NodeFacts = { name: "two", key: "0xb2", address: "10.99.0.2", paths: [2, 3] };

/** Runs beside the test; its output goes to a file. */
function beside(log: string, program: string, ...args: readonly string[]): ChildProcess {
  const file = openSync(log, "a");
  const child = spawn(program, args, { stdio: ["ignore", file, file] });
  closeSync(file);
  return child;
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}

export class Node {
  readonly facts: NodeFacts;
  readonly #array: LioArray;
  readonly folder: string;
  #daemon: ChildProcess | undefined;
  #machine: ChildProcess | undefined;

  constructor(facts: NodeFacts, array: LioArray) {
    this.facts = facts;
    this.#array = array;
    this.folder = join(FOLDER, facts.name);
    for (const name of ["run", "state"]) mkdirSync(join(this.folder, name), { recursive: true });
    writeFileSync(join(this.folder, "corosync.conf"), COROSYNC);
    writeFileSync(
      join(this.folder, "pathmanager.toml"),
      `sockets.api = "${this.#socket}"
sockets.nbd = "${join(this.folder, "run/nbd.sock")}"
state.directory = "${join(this.folder, "state")}"
log.file = "${join(this.folder, "spsevent.log")}"
log.system = false
devices = [${facts.paths.map((path) => `{ path = "${array.path(path).host}:0:1:0" }`).join(", ")}]
policy = "round-robin"
on_no_path = "fence"
timeouts.no_path_ms = ${NO_PATH_MS}
patrol.interval_s = 1
patrol.threshold_s = 1
patrol.timeout_s = 5
`,
    );
  }

  get #socket(): string {
    return join(this.folder, "run/api.sock");
  }

  get #client(): Client {
    return new Client(this.#socket);
  }

  async startDaemon(): Promise<void> {
    this.#daemon = beside(
      join(this.folder, "daemon.log"),
      "node",
      "host/cli/bin/pathmanagerd.js",
      "--config",
      join(this.folder, "pathmanager.toml"),
    );
    await until(`the daemon of ${this.facts.name} serves its paths`, () => this.#serves(), STEP_MS_MAX);
  }

  async #serves(): Promise<boolean> {
    const unit = await this.unit().catch(() => null);
    return unit !== null && unit.paths.length === this.facts.paths.length;
  }

  /** Boots the node: its network, then corosync and pacemaker. */
  async boot(): Promise<void> {
    const { name, address } = this.facts;
    rmSync(join(this.folder, "ended"), { force: true });
    const args = ["--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"];
    this.#machine = beside(
      join(this.folder, "node.log"),
      "unshare",
      ...args,
      "bash",
      join(process.cwd(), "test/cluster/node.sh"),
      name,
      this.folder,
    );
    await until(`${name} has begun`, () => this.#init() !== null, STEP_MS_MAX);
    run("ip", "link", "add", `to-${name}`, "type", "veth", "peer", "name", "ring", "netns", String(this.#init()));
    run("ip", "link", "set", `to-${name}`, "master", "switch", "up");
    this.inside("ip", "address", "add", `${address}/24`, "dev", "ring");
    this.inside("ip", "link", "set", "ring", "up");
  }

  /** The process that is the first one in the node. */
  #init(): number | null {
    const { pid, exitCode, signalCode } = this.#machine ?? {};
    if (pid === undefined || exitCode !== null || signalCode !== null) return null;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return children === "" ? null : Number(children.split(" ")[0]);
  }

  /** Runs a program in the node. */
  attempt(program: string, ...args: readonly string[]): Outcome {
    const init = this.#init();
    if (init === null) return { status: -1, stdout: "", stderr: `${this.facts.name} is off` };
    return attempt("nsenter", [
      "--target",
      String(init),
      "--net",
      "--mount",
      "--uts",
      "--ipc",
      "--pid",
      "timeout",
      "--signal=KILL",
      String(COMMAND_S_MAX),
      program,
      ...args,
    ]);
  }

  inside(program: string, ...args: readonly string[]): string {
    const { status, stdout, stderr } = this.attempt(program, ...args);
    if (status !== 0) throw new Error(`${this.facts.name}: ${program} ${args.join(" ")}: ${stderr}${stdout}`);
    return stdout;
  }

  /** Off, like a machine whose power is cut: the daemon, too. */
  async powerOff(): Promise<void> {
    await end(this.#machine);
    await end(this.#daemon);
    attempt("ip", ["link", "delete", `to-${this.facts.name}`]);
  }

  async powerOn(): Promise<void> {
    await this.startDaemon();
    await this.boot();
  }

  /** Only the cluster software begins anew, as after a restart that follows fencing. */
  async restart(): Promise<void> {
    await end(this.#machine);
    attempt("ip", ["link", "delete", `to-${this.facts.name}`]);
    await this.boot();
  }

  /** Whether pacemaker has ended by itself, as it does when its node was fenced. */
  get hasEnded(): boolean {
    return existsSync(join(this.folder, "ended"));
  }

  setNetwork(up: boolean): void {
    run("ip", "link", "set", `to-${this.facts.name}`, up ? "up" : "down");
  }

  setPaths(online: boolean): void {
    for (const path of this.facts.paths) this.#array.setPath(path, online);
  }

  /** When the daemon told the cluster that the unit is lost. Throws if it is not. */
  lostSinceMs(): number {
    return statSync(join(this.folder, "run/lost/0")).mtimeMs;
  }

  /** Processes of the node that wait in the kernel and cannot be killed. */
  stuck(): readonly string[] {
    const init = this.#init();
    if (init === null) return [];
    const mine = readlinkSync(`/proc/${init}/ns/pid`);
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          const state = /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1];
          return state === "D" && readlinkSync(`/proc/${pid}/ns/pid`) === mine;
        } catch {
          // It has ended meanwhile.
          return false;
        }
      });
  }

  /** Another answer to the loss of all paths, from now on. */
  async setOnNoPath(value: "fail" | "wait" | "fence"): Promise<void> {
    const file = join(this.folder, "pathmanager.toml");
    writeFileSync(file, readFileSync(file, "utf8").replace(/^on_no_path = .*$/m, `on_no_path = "${value}"`));
    await this.#client.call("POST", "/v1/config/reload");
  }

  unit(): Promise<UnitView> {
    return this.#client.call<UnitView>("GET", "/v1/units/0");
  }

  reservation(): Promise<ReservationView> {
    return this.#client.call<ReservationView>("GET", "/v1/units/0/reservation");
  }

  /** What its processes have written last, for a failure's report. */
  report(): string {
    const logs = ["node.log", "daemon.log", "log/corosync.log", "log/pacemaker.log"];
    const tails = logs.map((name) => {
      const file = join(this.folder, name);
      if (!existsSync(file)) return "";
      const lines = readFileSync(file, "utf8").split("\n");
      const matter = name.includes("pacemaker") ? lines.filter((line) => /fenc|error|warning/i.test(line)) : lines;
      return `== ${this.facts.name} ${name}\n${matter.slice(-60).join("\n")}`;
    });
    return tails.join("\n");
  }
}
