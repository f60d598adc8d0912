// The units of one machine on several reactors: each carries the I/O of its own, and what happens to one of them is no concern of the
// others. Displays, settings and events see one machine.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChildProcess } from "node:child_process";
import test, { type ExecutionContext } from "ava";
import { VerifiedLoad } from "../../../host/cli/demo/load.ts";
import { reactorsOf } from "../../../host/control/core/reactor-options.ts";
import { Configuration } from "../../../host/control/schemas/configuration-schema.ts";
import type { EventList } from "../../../host/control/schemas/event-schema.ts";
import type { Status } from "../../../host/control/schemas/status-schema.ts";
import type { UnitView } from "../../../host/control/schemas/unit-schema.ts";
import { ReconnectingClient } from "./fixtures/reconnecting.ts";
import { callSocket, TestDaemon } from "./fixtures/daemon.ts";
import { spawnDaemon } from "./fixtures/process.ts";
import { until } from "../../until.ts";

const ARRAY = "policy = 'static'\npatrol.interval_s = 1\n[array]\nunits = 4\npaths = 4\nunit_mib = 4\n";
const TROUBLE = ["--import", join(import.meta.dirname, "fixtures", "reactors.mjs")];

/** A daemon of several reactors, with a verified load on some of its units. */
class Machine {
  readonly folder: string;
  readonly child: ChildProcess;
  readonly loads = new Map<number, VerifiedLoad>();

  private constructor(folder: string, child: ChildProcess) {
    this.folder = folder;
    this.child = child;
  }

  static async start(t: ExecutionContext, reactors: number, units: readonly number[]): Promise<Machine> {
    const folder = mkdtempSync(join(tmpdir(), "pm-reactors-"));
    TestDaemon.configure(folder, `reactors = ${reactors}\n${ARRAY}`);
    const child = await spawnDaemon(folder, TROUBLE, "ignore");
    t.teardown(() => child.kill("SIGKILL"));
    const machine = new Machine(folder, child);
    for (const unit of units) machine.loads.set(unit, await machine.load(unit));
    return machine;
  }

  load(unit: number): Promise<VerifiedLoad> {
    return VerifiedLoad.start(join(this.folder, "nbd.sock"), String(unit));
  }

  call<T>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }> {
    return callSocket<T>(join(this.folder, "api.sock"), method, path, body);
  }

  async unit(number: number): Promise<UnitView> {
    return (await this.call<UnitView>("GET", `/v1/units/${number}`)).body;
  }

  async status(): Promise<Status> {
    return (await this.call<Status>("GET", "/v1/status")).body;
  }

  async events(): Promise<EventList["events"]> {
    return (await this.call<EventList>("GET", "/v1/events?limit=1000")).body.events;
  }

  control(): number | null {
    const { pid } = this.child;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return children === "" ? null : Number(children.split(" ")[0]);
  }

  /** Until a control other than this one serves. */
  async successor(before: number | null): Promise<void> {
    await until("another control serves", async () => {
      const now = this.control();
      if (now === null || now === before) return false;
      return (await this.call("GET", "/v1/mode").catch(() => null))?.status === 200;
    });
  }

  trouble(what: "TRAP" | "SILENT", reactor: number): void {
    writeFileSync(join(this.folder, `${what} ${reactor}`), "");
  }

  end(what: "SILENT", reactor: number): void {
    rmSync(join(this.folder, `${what} ${reactor}`));
  }

  async stop(t: ExecutionContext): Promise<void> {
    for (const [unit, load] of this.loads) {
      await load.stop();
      t.like(load.counts, { errors: 0, mismatches: 0, firstError: undefined }, `unit ${unit}`);
      t.true(load.counts.writes > 0);
    }
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGTERM");
    t.is(await ended, 0);
  }
}

/** A load goes on: it has written since. */
async function goesOn(load: VerifiedLoad | undefined): Promise<void> {
  const before = load?.counts.writes ?? 0;
  await until("the load goes on", () => (load?.counts.writes ?? 0) > before + 2);
}

test.serial(
  "a trap in one core ends and restarts that reactor alone; its clients reconnect, the others notice nothing",
  async (t) => {
    t.timeout(240_000);
    // Units 0 and 2 are on the first reactor, 1 and 3 on the second.
    const machine = await Machine.start(t, 2, [0, 1, 2]);
    const lost = machine.loads.get(1);
    machine.loads.delete(1);
    await goesOn(lost);
    const before = machine.control();
    machine.trouble("TRAP", 1);
    await until("its client is disconnected", () => (lost?.counts.errors ?? 0) > 0);
    await lost?.stop();
    t.is(lost?.counts.mismatches, 0);
    await machine.successor(before);
    await until("its unit is served again", async () => {
      const { paths } = await machine.unit(1);
      return paths.length === 4 && paths.every(({ state }) => state === "in use" || state === "active");
    });
    // Another of its units; this one has the writes of the client that was cut off.
    const again = await machine.load(3);
    machine.loads.set(3, again);
    await goesOn(again);
    await goesOn(machine.loads.get(0));
    const died = (await machine.events()).filter(({ message }) => message === 696);
    t.deepEqual(
      died.map(({ detail }) => detail["reactor"]),
      [1],
    );
    t.regex(String(died[0]?.detail["reason"]), /unreachable/);
    t.false(
      (await machine.events()).some(({ message }) => message === 666),
      "control was not at fault",
    );
    await machine.stop(t);
  },
);

test.serial(
  "a reactor that stands still delays nobody else: not their I/O, not their displays, not their settings",
  async (t) => {
    t.timeout(240_000);
    const machine = await Machine.start(t, 4, [0, 1, 2, 3]);
    await until("each tells what it does", async () => {
      const { reactors } = await machine.status();
      return (
        reactors.length === 4 &&
        reactors.every(
          (one) =>
            one.answering &&
            one.units === 1 &&
            one.connections === 1 &&
            (one.turns ?? 0) > 0 &&
            one.busyPercent !== null,
        )
      );
    });
    const poolBytes = (await machine.status()).reactors.map((one) => one.poolBytes);
    t.is(new Set(poolBytes).size, 1, "each has as much memory for data");
    machine.trouble("SILENT", 3);
    const load = machine.loads.get(3);
    let writes = -1;
    await until("it stands still", () => {
      const was = writes;
      writes = load?.counts.writes ?? 0;
      return was === writes;
    });
    for (const unit of [0, 1, 2]) await goesOn(machine.loads.get(unit));
    await until("units of others are shown as they are", async () => {
      const { statistics } = await machine.unit(0);
      return statistics.connections === 1 && statistics.answered > 0;
    });
    t.is((await machine.call("POST", "/v1/paths/4:0:0:0/priority", { priority: 77 })).status, 200);
    await until("it is told of", async () =>
      (await machine.events()).some(({ message, detail }) => message === 669 && detail["reactor"] === 3),
    );
    const { reactors, health, attention, reactor: whole } = await machine.status();
    t.deepEqual(
      reactors.map(({ answering, problem, units }) => [answering, problem, units]),
      [...[0, 1, 2].map(() => [true, null, 1]), [false, "reactor 3 does not answer", 1]],
    );
    t.is(health.level, "critical", "clients of its unit wait");
    t.true(whole.answering, "the machine goes on");
    t.true(attention.some((text) => text.startsWith("reactor 3 does not answer")));
    const refused = await machine.call<{ error: { message: string } }>("PATCH", "/v1/units/3", {
      policy: "round-robin",
    });
    t.is(refused.status, 503);
    t.regex(refused.body.error.message, /reactor 3 does not answer/);
    t.is((await machine.call("PATCH", "/v1/units/2", { policy: "round-robin" })).status, 200);
    for (const unit of [0, 1, 2]) await goesOn(machine.loads.get(unit));
    const before = machine.control();
    machine.end("SILENT", 3);
    await machine.successor(before);
    await goesOn(load);
    t.is((await machine.call("PATCH", "/v1/units/3", { policy: "round-robin" })).status, 200);
    await machine.stop(t);
  },
);

test.serial("control is replaced, and finds the units of all reactors where they are", async (t) => {
  t.timeout(240_000);
  const machine = await Machine.start(t, 3, [0, 1, 2, 3]);
  const before = machine.control();
  process.kill(before ?? 0, "SIGKILL");
  await machine.successor(before);
  for (const unit of [0, 1, 2, 3]) {
    // What is shown may be some time old.
    await until(`unit ${unit} has its client`, async () => (await machine.unit(unit)).statistics.connections === 1);
    t.is((await machine.unit(unit)).paths.length, 4);
    await goesOn(machine.loads.get(unit));
  }
  await machine.stop(t);
});

test.serial(
  "a target port that dies under one reactor is avoided by the others before they lose a command to it",
  async (t) => {
    t.timeout(240_000);
    const machine = await Machine.start(t, 2, [0]);
    const used = (await machine.unit(0)).paths.find(({ state }) => state === "in use")?.number ?? "";
    const fault = { fault: { kind: "port-down" }, where: { path: used } };
    const added = await machine.call("POST", "/v1/array/faults", fault);
    t.is(added.status, 200, JSON.stringify(added.body));
    // Nobody does I/O to units 1 and 3, so their reactor has it from the other one.
    const host = used.split(":")[0];
    await until("paths of the second reactor were suspects", async () =>
      (await machine.events()).some(
        ({ message, unit, path }) => message === 616 && unit === 1 && path?.startsWith(`${host}:`) === true,
      ),
    );
    await goesOn(machine.loads.get(0));
    await machine.stop(t);
  },
);

test.serial("a unit moves to another reactor and back under load, and nothing fails", async (t) => {
  t.timeout(240_000);
  const machine = await Machine.start(t, 2, [1]);
  const client = await ReconnectingClient.connect(join(machine.folder, "nbd.sock"), "0");
  machine.loads.set(0, new VerifiedLoad(client));
  await goesOn(machine.loads.get(0));
  t.is((await machine.unit(0)).reactor, 0);
  const before = (await machine.events()).at(-1)?.id ?? 0;
  for (const reactor of [1, 0, 1]) {
    const moved = await machine.call<UnitView>("POST", "/v1/units/0/move", { reactor });
    t.is(moved.status, 200, JSON.stringify(moved.body));
    t.is(moved.body.reactor, reactor);
    t.deepEqual(
      moved.body.paths.map(({ state }) => state).filter((state) => state !== "in use" && state !== "active"),
      [],
    );
    await goesOn(machine.loads.get(0));
  }
  t.is(client.connected, 4);
  t.is((await machine.call("POST", "/v1/units/0/move", { reactor: 1 })).status, 200, "asked for again");
  const told = (await machine.events()).filter(({ id, unit }) => id > before && unit === 0);
  t.deepEqual(
    told.map(({ message, unit, detail }) => [message, unit, detail["from"], detail["to"]]),
    [
      [697, 0, 0, 1],
      [697, 0, 1, 0],
      [697, 0, 0, 1],
    ],
    "nobody failed over, and nothing was lost",
  );
  // A new control finds it where it is, and the one connection.
  const control = machine.control();
  process.kill(control ?? 0, "SIGKILL");
  await machine.successor(control);
  const found = await machine.unit(0);
  t.is(found.reactor, 1);
  t.is(found.statistics.connections, 1);
  t.is((await machine.call("POST", "/v1/units/0/move", { reactor: 0 })).status, 200);
  await goesOn(machine.loads.get(0));
  await goesOn(machine.loads.get(1));
  await machine.stop(t);
});

test.serial(
  "a unit stays where it is when its reactor has not heard of a write, or the other is not there",
  async (t) => {
    t.timeout(240_000);
    const machine = await Machine.start(t, 2, []);
    const client = await ReconnectingClient.connect(join(machine.folder, "nbd.sock"), "0");
    const load = new VerifiedLoad(client);
    machine.loads.set(0, load);
    await goesOn(load);
    for (const [reactor, text] of [
      [2, /there is no reactor 2; the reactors are 0 to 1/],
      [-1, /reactor/],
      ["x", /reactor/],
    ] as const) {
      const refused = await machine.call<{ error: { message: string } }>("POST", "/v1/units/0/move", { reactor });
      t.is(refused.status, 400);
      t.regex(refused.body.error.message, text);
    }
    // A path that is silent keeps what was sent on it.
    const used = (await machine.unit(0)).paths.find(({ state }) => state === "in use")?.number ?? "";
    const fault = await machine.call<{ id: number }>("POST", "/v1/array/faults", {
      fault: { kind: "queued" },
      where: { path: used },
    });
    t.is(fault.status, 200, JSON.stringify(fault.body));
    await until("commands are under way that nobody answers", async () => {
      const { statistics } = await machine.unit(0);
      return statistics.orphans > 0;
    });
    const refused = await machine.call<{ error: { code: string; message: string } }>("POST", "/v1/units/0/move", {
      reactor: 1,
    });
    t.is(refused.body.error.code, "BUSY", JSON.stringify(refused.body));
    t.regex(refused.body.error.message, new RegExp(`commands on ${used} have not ended within 5 s`));
    t.is((await machine.unit(0)).reactor, 0);
    await goesOn(load);
    t.is((await machine.call("DELETE", "/v1/array/faults")).status, 200);
    await until("it can be moved", async () => {
      return (await machine.call("POST", "/v1/units/0/move", { reactor: 1 })).status === 200;
    });
    await goesOn(load);
    await machine.stop(t);
  },
);

const parsed = (reactors: unknown) => Configuration.safeParse({ reactors });

test("reactors are what the configuration asks for, within reason", (t) => {
  for (const wrong of [0, 65, 1.5, "x", true]) {
    const { success, error } = parsed(wrong);
    t.false(success);
    t.regex(error?.issues[0]?.message ?? "", /must be a whole number from 1 to 64, or "auto"/);
  }
  t.is(parsed(undefined).data?.reactors, 1);
  t.is(reactorsOf("auto", 256, 64), 8);
  t.is(reactorsOf("auto", 3, 64), 3);
  t.is(reactorsOf("auto", 256, 2), 2);
  t.is(reactorsOf(64, 1, 1), 64);
});
