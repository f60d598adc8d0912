// Sends the same bytes to our export, to nbdkit's memory plugin and to qemu-nbd: the answers are the same, byte by byte,
// except for listed differences, each with the clause that allows it (../differential/differences.ts).

import { rmSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Case, check, type Context } from "../case.ts";
import { compare, type Difference } from "../differential/compare.ts";
import { differences } from "../differential/differences.ts";
import { type Heard, play } from "../differential/play.ts";
import { randomScript } from "../differential/random.ts";
import type { Script } from "../differential/script.ts";
import { nbdkit, ours, qemu, reset, type Server } from "../differential/servers.ts";
import { written } from "../differential/written.ts";
import { random } from "./random.ts";

const RANDOM_SCRIPTS = 300;
const PEERS = ["nbdkit", "qemu-nbd"] as const;
type Peer = (typeof PEERS)[number];

/** A difference as found with one peer. */
const shownAs = (peer: string, { name }: Difference): string => `${peer}: ${name}`;

const LISTED: Readonly<Record<Peer, readonly Difference[]>> = {
  nbdkit: differences.filter(({ peer }) => peer !== "qemu-nbd"),
  "qemu-nbd": differences.filter(({ peer }) => peer !== "nbdkit"),
};

async function withServers(context: Context, name: string, work: (servers: Server[]) => Promise<void>): Promise<void> {
  const folder = join(context.folder, name);
  mkdirSync(folder);
  const servers: Server[] = [];
  try {
    const { server, description } = await ours(folder);
    servers.push(server);
    servers.push(await nbdkit(folder, description));
    servers.push(await qemu(folder, description));
    await work(servers);
  } finally {
    for (const server of servers) await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function heardBy(server: Server, script: Script): Promise<Heard[]> {
  const socket = server.socket(script);
  try {
    await reset(socket);
    return await play(socket, script);
  } catch (error) {
    throw new Error(`${server.name}: ${script.name}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

/** Plays one script on all servers; returns the listed differences that were found. */
async function differencesIn(servers: readonly Server[], script: Script): Promise<string[]> {
  const [first, ...peers] = servers;
  check(first !== undefined, "there is a server");
  const mine = await heardBy(first, script);
  const shown: string[] = [];
  for (const peer of peers) {
    if (peer.name === script.spares || peer.name === "ours") continue;
    const theirs = await heardBy(peer, script);
    try {
      const seen = compare(script, mine, theirs, LISTED[peer.name]);
      shown.push(...[...seen].map((difference) => shownAs(peer.name, difference)));
    } catch (error) {
      throw new Error(`${peer.name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }
  return shown;
}

export const cases: readonly Case[] = [
  {
    name: `differential: ${written.length} written scripts are answered as by nbdkit and qemu-nbd`,
    run: (context) =>
      withServers(context, "written", async (servers) => {
        const shown = new Set<string>();
        for (const script of written) for (const one of await differencesIn(servers, script)) shown.add(one);
        const listed = PEERS.flatMap((peer) =>
          LISTED[peer].filter(({ isRace }) => isRace === undefined).map((one) => shownAs(peer, one)),
        );
        const gone = listed.filter((one) => !shown.has(one));
        check(gone.length === 0, `listed, but it shows no longer: ${gone.join("; ")}`);
      }),
  },
  {
    name: `differential: ${RANDOM_SCRIPTS} random scripts are answered as by nbdkit and qemu-nbd`,
    run: (context) =>
      withServers(context, "random", async (servers) => {
        const seed = Number(process.env["PEERS_SEED"] ?? 20_260_101);
        for (let i = 0; i < RANDOM_SCRIPTS; i++) {
          await differencesIn(servers, randomScript(random(seed * 1000 + i), `random script ${i} of seed ${seed}`));
        }
      }),
  },
];
