// `pathctl page`: the daemon's pages in a browser; `pathctl fleet show`: all known hosts at a glance.

import type { Command } from "commander";
import { type Client, CommandError } from "../api-client.ts";
import { wholeValue } from "../values.ts";
import {
  branch,
  leaf,
  localLeaf,
  perform,
  type CommonOptions,
  type Context,
  type Result,
  type Runner,
} from "./context.ts";

async function servePage({ client, io, json }: Context, port: number): Promise<null> {
  const { servePages } = await import("./page-proxy.ts");
  // Who is not there now is told at once, not in the browser.
  await client.call("GET", "/v1/status");
  const { server, address } = await servePages(client, port);
  const hint = "open it in a browser on this machine; it works once. Ctrl-C ends it.";
  io.out(json ? `${JSON.stringify({ address })}\n` : `${address}\n${hint}\n`);
  await new Promise<void>((resolve) => {
    process.once("SIGINT", resolve).once("SIGTERM", resolve);
  });
  server.closeAllConnections();
  server.close();
  return null;
}

async function showFleet({ io, style }: Context): Promise<Result> {
  const { clientOf, remoteHosts } = await import("../remote-host.ts");
  const { askFleet, fleetExit, fleetText } = await import("./fleet.ts");
  const members = await askFleet(await remoteHosts(io.env), (host): Client => clientOf(host));
  return { json: { hosts: members }, text: fleetText(members, style), status: fleetExit(members) };
}

export function addFleetCommands(program: Command, runner: Runner): void {
  leaf(
    program,
    "page",
    "show the daemon's status page and the simulator to a browser on this machine",
    "pathctl page\npathctl --host db2 page --port 9000",
    "{address}",
  )
    .option("--port <number>", "the port on 127.0.0.1 (default: one that is free)")
    .action((options: CommonOptions & { port?: string }) =>
      perform(runner, options, (context) => {
        const port = options.port === undefined ? 0 : wholeValue("--port", options.port, 1, 65_535);
        return servePage(context, port);
      }),
    );
  localLeaf(
    branch(program, "fleet", "all hosts that hosts.toml lists"),
    "show",
    "show how each host is; exit status 0, 1 or 2 as of `pathctl status`, the worst counts",
    "pathctl fleet show",
    "{hosts: [{name, address, status, error}]}",
  ).action((options: CommonOptions) =>
    perform(runner, options, showFleet, [], (error) => (error instanceof CommandError ? 1 : 2)),
  );
}
