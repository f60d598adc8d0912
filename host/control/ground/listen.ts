// Binds the API to its Unix sockets (that for changes: mode 0660, group as configured; that for readers: mode 0666) and, if
// configured, to TCP.

import { chmodSync, chownSync, lstatSync, mkdirSync, readFileSync, unlinkSync } from "node:fs";
import { once } from "node:events";
import { connect, type Server } from "node:net";
import { dirname } from "node:path";
import type { FastifyInstance } from "fastify";
import { ControlError, reasonOf } from "./control-errors.ts";

/** Who may connect: the daemon's own user, the group, or everyone. */
const SOCKET_MODES = { owner: 0o600, group: 0o660, everyone: 0o666 } as const;

/** Where to listen, and for whom. */
export interface UnixPlace {
  readonly path: string;
  /** Group of the socket's file; null: the daemon's own. */
  readonly group: number | null;
  readonly who?: keyof typeof SOCKET_MODES;
}

/** The gid of a group, or null when there is none of that name. */
export function groupId(name: string, file = "/etc/group"): number | null {
  try {
    for (const row of readFileSync(file, "utf8").split("\n")) {
      const [group, , gid] = row.split(":");
      if (group === name && gid !== undefined) return Number(gid);
    }
  } catch {
    return null;
  }
  return null;
}

/** Whether a process listens on a socket file. */
function isAlive(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path);
  socket.once("connect", () => {
    socket.destroy();
    resolve(true);
  });
  socket.once("error", () => resolve(false));
  return promise;
}

function socketError(path: string, problem: string, remedy: string): ControlError {
  return new ControlError("SOCKET", `cannot listen on ${path}: ${problem}`, { parameter: path, remedy });
}

/** Removes a socket file that a killed daemon left; refuses one in use, and a file that is not a socket. */
async function clearSocket(path: string): Promise<void> {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status === undefined) return;
  if (!status.isSocket()) throw socketError(path, "a file that is no socket is in the way", "move it away");
  if (await isAlive(path))
    throw socketError(path, "another program listens there", "stop it, or choose another socket");
  unlinkSync(path);
}

/** Listens on a Unix socket. The file never has wider permissions than it should. */
export async function listenUnix(app: FastifyInstance, place: UnixPlace): Promise<void> {
  await bindUnix(place, () => app.listen({ path: place.path }));
}

/** Listens again after the socket's file has gone. Requests under way and followers of events stay connected. */
export async function listenUnixAgain(app: FastifyInstance, place: UnixPlace): Promise<void> {
  const { server } = app;
  // Close first, because closing removes the file of that name; its promise would wait for every connection.
  if (server.listening) server.close();
  await bindUnix(place, async () => {
    server.listen({ path: place.path });
    await once(server, "listening");
  });
}

/** The same for a server of another protocol. */
export async function listenPlain(server: Server, place: UnixPlace): Promise<void> {
  await bindUnix(place, async () => {
    server.listen({ path: place.path });
    await once(server, "listening");
  });
}

async function bindUnix({ path, group, who = "group" }: UnixPlace, listen: () => Promise<unknown>): Promise<void> {
  const mode = SOCKET_MODES[who];
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  await clearSocket(path);
  const before = process.umask(0o777 & ~mode);
  try {
    await listen();
  } catch (thrown) {
    throw socketError(path, reasonOf(thrown), "choose another socket in the configuration");
  } finally {
    process.umask(before);
  }
  chmodSync(path, mode);
  if (group === null || lstatSync(path).gid === group) return;
  try {
    chownSync(path, -1, group);
  } catch {
    // Without permission to hand it to the group, it keeps the daemon's own.
  }
}

/** `host:port` in its parts; an empty host means every address. */
export function parseListen(text: string): { host: string; port: number } {
  const at = text.lastIndexOf(":");
  const host = text.slice(0, at).replaceAll(/^\[|\]$/g, "");
  return { host: host === "" ? "::" : host, port: Number(text.slice(at + 1)) };
}

/** What to do when a TCP address cannot be bound. @param key of the configuration */
export function tcpRemedy(thrown: unknown, key: string): string {
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : null;
  return code === "EAFNOSUPPORT"
    ? "let the service listen on TCP: `systemctl edit pathmanagerd`, [Service] RestrictAddressFamilies=AF_INET AF_INET6, IPAddressDeny="
    : `choose another address in ${key}`;
}

export async function listenTcp(app: FastifyInstance, address: string): Promise<void> {
  try {
    await app.listen(parseListen(address));
  } catch (thrown) {
    throw socketError(address, reasonOf(thrown), tcpRemedy(thrown, "sockets.api_tcp.listen"));
  }
}
