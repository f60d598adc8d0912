// Clients that come and go at once: the place of each is free again, also when word of its end comes right behind word of its
// beginning, as it does between the daemon's two processes.

import { once } from "node:events";
import { createConnection } from "node:net";
import test from "ava";
import { NbdClient } from "../../../host/cli/demo/nbd-client.ts";
import { request } from "../core/fixtures/nbd-client.ts";
import { infoData, option, u32 } from "../export/client.ts";
import { RealDaemon } from "./daemon.ts";

const CLIENTS = 600;
const AT_ONCE = 8;
const DISCONNECT = 2;

/** Asks for the export and takes its leave in one piece. */
async function comeAndGo(path: string): Promise<void> {
  const socket = createConnection(path);
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write(Buffer.concat([u32(3), option(7, infoData("0", [])), request(DISCONNECT, 1n, 0n, 0)]));
  socket.resume();
  await once(socket, "close");
}

test("many more clients than there are places come and go, and the next one finds a place", async (t) => {
  await using daemon = await RealDaemon.start("[array]\nunits = 1\nunit_mib = 1\n[limits]\nconnections = 32\n");
  let left = CLIENTS;
  const some = async (): Promise<void> => {
    while (left-- > 0) await comeAndGo(daemon.nbdSocket);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, some));
  await t.notThrowsAsync(async () => (await NbdClient.connect(daemon.nbdSocket, "0")).close());
});
