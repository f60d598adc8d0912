import { createServer } from "node:http";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";

import { Client } from "../../../host/cli/api-client.ts";
import { failbackTimeoutMs } from "../../../host/cli/failback-request.ts";
import { pathctl } from "../../../host/cli/pathctl/main.ts";
import { spscmd } from "../../../host/cli/spscmd/main.ts";
import { recordedServer, run } from "./server.ts";
import { MODE, pathView } from "./views.ts";

test("failback is waited for as long as the daemon waits for the checks: three times the patrol's timeout", (t) => {
  t.true(failbackTimeoutMs(120) > 3 * 120_000 + 500, 'profile = "classic"');
  t.true(failbackTimeoutMs(3600) > 3 * 3_600_000 + 500);
  t.is(failbackTimeoutMs(1), 60_000, "never shorter than for anything else");
});

test("every command for failback asks for the patrol's timeout first", async (t) => {
  for (const [main, line, call] of [
    [spscmd, "-failback 4:0:0:0", "POST /v1/paths/4:0:0:0/failback"],
    [spscmd, "-failbackall", "POST /v1/failback-all"],
    [pathctl, "path failback 4:0:0:0", "POST /v1/paths/4:0:0:0/failback"],
    [pathctl, "path failback --all", "POST /v1/failback-all"],
  ] as const) {
    const answer = call.endsWith("all") ? { results: [] } : pathView(0, "4:0:0:0", 1);
    await using server = await recordedServer({ "GET /v1/patrol": MODE.patrol, [call]: answer });
    t.is((await run(main, line.split(" "), server.socket)).status, 0, line);
    t.deepEqual(
      server.seen.map((seen) => seen.call),
      ["GET /v1/patrol", call],
    );
  }
});

test("a call waits as long as it is told to", async (t) => {
  const socket = join(mkdtempSync(join(tmpdir(), "pathmanager-cli-")), "api.sock");
  const server = createServer(() => undefined);
  await new Promise<void>((resolve) => {
    server.listen(socket, resolve);
  });
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const error = await t.throwsAsync(new Client(socket).call("POST", "/v1/failback-all", undefined, 200));
  t.regex(error?.message ?? "", /gave no answer within 0\.2 s$/);
});
