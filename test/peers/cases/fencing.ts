// Our fence agent with the stock library for fence agents. The other host is played on paths of the emulated array that are not the
// daemon's, which therefore runs in this process.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { reserveOutCommand, type ReserveOut } from "../../../host/discovery/persistent-reservations.ts";
import { TestDaemon } from "../../unit/control/fixtures/daemon.ts";
import { until } from "../../until.ts";
import { type Case, check, same } from "../case.ts";
import { type Outcome, run } from "../run.ts";

const AGENT = new URL("../../../host/cli/packaging/cluster/fence_pathmanager", import.meta.url).pathname;
const [OURS, OTHERS] = ["0xa1", "0xb2"];
/** A port of the initiator 5, which is the other host's. */
const OTHER_PORT = 3;
const CONFIGURATION = `exclude = [{ path = "5:0:2:0" }, { path = "5:0:3:0" }]\n[array]\nunits = 1\npaths = 4\nunit_mib = 1\n`;

interface View {
  readonly state: string;
  readonly device: { readonly keys: readonly string[]; readonly held: { readonly type: number } | null } | null;
}

class Node {
  readonly #daemon: TestDaemon;

  private constructor(daemon: TestDaemon) {
    this.#daemon = daemon;
  }

  /** Runs a case's steps with a daemon of their own. */
  static async with(steps: (node: Node) => Promise<void>): Promise<void> {
    const cleanups: (() => unknown)[] = [];
    try {
      const daemon = await TestDaemon.start({ teardown: (cleanup) => void cleanups.push(cleanup) }, CONFIGURATION);
      await steps(new Node(daemon));
    } finally {
      for (const cleanup of cleanups.toReversed()) await cleanup();
    }
  }

  get folder(): string {
    return this.#daemon.folder;
  }

  async view(): Promise<View> {
    return (await this.#daemon.call<View>("GET", "/v1/units/0/reservation")).body;
  }

  /** The keys at the device, each once. */
  async keys(): Promise<string[]> {
    return [...new Set((await this.view()).device?.keys)].toSorted();
  }

  /** What the other host does; returns the SCSI status. */
  async other(out: ReserveOut): Promise<number> {
    const { cdb, list } = reserveOutCommand(out);
    for (let tries = 0; tries < 8; tries++) {
      const { status } = await this.#daemon.daemon.reactor.arrayCommand(OTHER_PORT, cdb, list);
      // A unit attention comes first.
      if (status !== 2) return status;
    }
    return 2;
  }

  async otherJoins(): Promise<void> {
    same(
      await this.other({ action: "register", key: "0x0", serviceActionKey: OTHERS }),
      0,
      "the other host's REGISTER",
    );
  }

  /** The agent, with an exit status that is expected. */
  fence(status: number, action: string, ...more: readonly string[]): Promise<Outcome> {
    const unit = more.some((option) => option.startsWith("--devices")) ? [] : ["--devices=0"];
    const socket = `--api-socket=${this.#daemon.socket}`;
    return run("/usr/bin/python3", [AGENT, `--action=${action}`, socket, ...unit, ...more], { statuses: [status] });
  }
}

export const cases: readonly Case[] = [
  {
    name: "fencing: our agent's description has the form of the stock library's agents, and it names what is wrong",
    run: () =>
      Node.with(async (node) => {
        const file = join(node.folder, "metadata.xml");
        writeFileSync(file, (await node.fence(0, "metadata")).stdout);
        await run("xmllint", ["--noout", "--relaxng", "/usr/share/cluster/relaxng/metadata.rng", file]);
        await node.fence(0, "validate-all", "--plug=a1");
        for (const [wrong, said] of [
          [["--plug=0"], /1 to 16 hexadecimal digits/],
          [["--plug=xyz"], /1 to 16 hexadecimal digits/],
          [["--plug=a1", "--prout-type=3"], /prout-type/],
          [["--plug=a1", "--preempt-action=kill"], /preempt-action/],
          [["--plug=a1", "--devices=,"], /names no unit/],
        ] as const) {
          const { stderr } = await node.fence(1, "validate-all", ...wrong);
          check(said.test(stderr), stderr);
        }
        const none = await node.fence(1, "status", "--plug=a1", "--devices=none-such");
        check(/none-such: it is no unit/.test(none.stderr), none.stderr);
      }),
  },
  {
    name: "fencing: a node joins, removes another one with its commands, stops when it is removed itself, and joins again",
    run: () =>
      Node.with(async (node) => {
        await node.fence(2, "status", "--plug=a1");
        await node.fence(0, "on", "--plug=a1");
        await node.fence(0, "on", "--plug=a1");
        await node.fence(0, "status", "--plug=a1");
        await node.fence(0, "monitor");
        same((await node.view()).device?.held?.type, 5, "type of the reservation");
        await node.otherJoins();
        const { stdout } = await node.fence(0, "list");
        check(/^a1,.*\nb2,/m.test(stdout), stdout);
        await node.fence(0, "off", "--plug=b2");
        same(await node.keys(), [OURS], "keys");
        await node.fence(2, "status", "--plug=b2");
        const own = await node.fence(1, "off", "--plug=a1");
        check(/own key/.test(own.stderr), own.stderr);
        same(await node.keys(), [OURS], "keys");
        // The other node fences this one.
        await node.otherJoins();
        const fenced = { action: "preempt-abort", key: OTHERS, serviceActionKey: OURS, type: 5 } as const;
        same(await node.other(fenced), 0, "the other host's PREEMPT AND ABORT");
        await until("this node has stopped", async () => (await node.view()).state === "preempted");
        await node.fence(2, "status", "--plug=a1");
        const helpless = await node.fence(1, "off", "--plug=b2");
        check(/not registered/.test(helpless.stderr), helpless.stderr);
        await node.fence(0, "on", "--plug=a1");
        same(await node.keys(), [OURS, OTHERS], "keys");
      }),
  },
];
