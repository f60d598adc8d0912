// A path whose device disappears is removed: it is not displayed any more, and what was set for it holds again when it
// comes back (reference sections 2 and 10). The daemon in this process, on its emulated array; a rescan that does not find
// a port is what a uevent leads to.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { getlunText } from "../../../host/cli/spscmd/spscmd-layout.ts";
import { Daemon } from "../../../host/control/daemon.ts";
import { handlersOf } from "../../../host/control/api/handlers.ts";
import { removeGone } from "../../../host/control/devices/reconcile.ts";
import { Configuration } from "../../../host/control/schemas/configuration-schema.ts";
import { statusOf } from "../../../host/control/daemon-status.ts";

async function start(t: ExecutionContext) {
  const folder = mkdtempSync(join(tmpdir(), "pathmanager-removed-"));
  const daemon = await Daemon.start({
    configuration: Configuration.parse({
      policy: "static",
      array: { units: 2, paths: 3 },
      log: { system: false },
    }),
    configurationFile: null,
    places: {
      apiSocket: join(folder, "api.sock"),
      readSocket: null,
      lostFolder: join(folder, "lost"),
      nbdSocket: join(folder, "nbd.sock"),
      stateDirectory: folder,
      eventLog: join(folder, "spsevent.log"),
    },
    group: null,
    logger: { error: t.log, warning: t.log, info: () => undefined, debug: () => undefined },
  });
  t.teardown(async () => {
    await daemon.stop();
    rmSync(folder, { recursive: true });
  });
  const handlers = handlersOf(daemon, {
    isEmulated: true,
    status: () => statusOf(daemon, "0"),
    config: () => {
      throw new Error("not asked for here");
    },
    reload: () => daemon.reload(),
  });
  const none = { params: undefined, query: undefined, body: undefined };
  return {
    daemon,
    handlers,
    getlun: async () => {
      await daemon.snapshots.current();
      return getlunText([...(await handlers.units(none)).units]);
    },
    remove: (numbers: readonly string[]) => {
      const present = new Set(daemon.inventory.paths().map((path) => path.number));
      for (const number of numbers) present.delete(number);
      return daemon.change(() => removeGone(daemon, present));
    },
    attention: async () => (await handlers.status(none)).attention,
    paths: async () => Array.from((await handlers.paths(none)).paths, (path) => path.number),
    added: () => daemon.hub.history(0, 1000).flatMap(({ message, text }) => (message === 602 ? [text] : [])),
    messages: () => daemon.hub.history(0, 1000).map(({ message, path }) => `${message} ${path}`),
  };
}

const WHOLE = `*** LogicalUnit #0 ***
    0: Priority=1, PathNumber=4:0:0:0
    1: Priority=2, PathNumber=4:0:1:0
>   2: Priority=3, PathNumber=5:0:2:0
*** LogicalUnit #1 ***
    0: Priority=1, PathNumber=4:0:0:1
    1: Priority=2, PathNumber=4:0:1:1
>   2: Priority=3, PathNumber=5:0:2:1
`;
const SECOND = WHOLE.slice(WHOLE.indexOf("*** LogicalUnit #1"));
const given = { query: undefined, body: undefined };

test("a removed path is not displayed, is told as 274, and comes back with its priority and enabling", async (t) => {
  const world = await start(t);
  const { handlers } = world;
  t.is(await world.getlun(), WHOLE);
  await handlers.setPriority({ ...given, params: { number: "4:0:1:0" }, body: { priority: 9 } });
  await handlers.disablePath({ ...given, params: { number: "4:0:1:0" } });
  const changed = WHOLE.replace("    1: Priority=2, PathNumber=4:0:1:0", " @  1: Priority=9, PathNumber=4:0:1:0");
  t.is(await world.getlun(), changed);

  await world.remove(["4:0:1:0"]);
  t.is(
    await world.getlun(),
    `*** LogicalUnit #0 ***
    0: Priority=1, PathNumber=4:0:0:0
>   1: Priority=3, PathNumber=5:0:2:0
${SECOND}`,
  );
  t.false((await world.paths()).includes("4:0:1:0"));
  t.true(world.messages().includes("274 4:0:1:0"));
  t.deepEqual(await world.attention(), [
    "LogicalUnit #0 has lost a path: 4:0:1:0; settings are kept until `pathctl path forget`",
  ]);
  // A pattern that would match it too names one path of the unit now.
  await handlers.useMatching({ ...given, params: undefined, body: { pattern: "4:::0" } });

  await world.daemon.rescan();
  t.regex(await world.getlun(), /^ @ {2}1: Priority=9, PathNumber=4:0:1:0$/m);
  t.is(world.added().at(-1), "Path was added: LogicalUnit #0, path 4:0:1:0 (again true, priority 9)");
});

test("a path that comes back is told as added, with its old number when another path took that", async (t) => {
  const world = await start(t);
  t.is(world.added().length, 6);
  t.is(world.added()[0], "Path was added: LogicalUnit #0, path 4:0:0:0 (priority 1)");
  await world.remove(["4:0:0:0"]);
  await world.handlers.setPriority({ ...given, params: { number: "5:0:2:0" }, body: { priority: 1 } });
  await world.daemon.rescan();
  t.is(world.added().length, 7);
  t.is(
    world.added().at(-1),
    "Path was added: LogicalUnit #0, path 4:0:0:0 (again true, priority 3, priority before 1)",
  );
});

test("a unit whose paths are all removed is not displayed, and comes back under its number", async (t) => {
  const world = await start(t);
  await world.remove(["4:0:0:0", "4:0:1:0", "5:0:2:0"]);
  t.is(await world.getlun(), SECOND);
  t.deepEqual(await world.attention(), [
    "no path is usable: LogicalUnit #0",
    "LogicalUnit #0 is gone with its paths: 4:0:0:0, 4:0:1:0, 5:0:2:0; settings are kept until `pathctl path forget`",
  ]);
  await world.daemon.rescan();
  t.is(await world.getlun(), WHOLE);
});

test("the path in use is removed: the next highest is in use at once", async (t) => {
  const world = await start(t);
  await world.remove(["5:0:2:0"]);
  t.is(
    await world.getlun(),
    `*** LogicalUnit #0 ***
    0: Priority=1, PathNumber=4:0:0:0
>   1: Priority=2, PathNumber=4:0:1:0
${SECOND}`,
  );
});
