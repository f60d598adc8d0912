// Identifies the peer of a socket: the user on a Unix socket, as the kernel reports it, or the address on TCP.

import type { Socket } from "node:net";
import { peerCredentials } from "../native/index.ts";
import type { Peer } from "./shares.ts";

type Credentials = ReturnType<typeof peerCredentials>;

const known = new WeakMap<Socket, Credentials>();

/** Descriptor of a socket; Node keeps it in an undocumented field. */
export function descriptorOf(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, "_handle");
  const descriptor: unknown = typeof handle === "object" && handle !== null ? Reflect.get(handle, "fd") : undefined;
  return typeof descriptor === "number" ? descriptor : -1;
}

/** The credentials of the process that connected to a Unix socket. */
export function credentialsOf(socket: Socket): Credentials {
  const peer = known.get(socket) ?? peerCredentials(descriptorOf(socket));
  known.set(socket, peer);
  return peer;
}

export function peerOfUser(socket: Socket): Peer {
  try {
    const { uid } = credentialsOf(socket);
    return { name: `user ${uid}`, isRoot: uid === 0 };
  } catch {
    // It is already gone.
    return { name: "nobody", isRoot: false };
  }
}

export const peerOfAddress = (socket: Socket): Peer => ({
  name: `address ${socket.remoteAddress ?? "?"}`,
  isRoot: false,
});
