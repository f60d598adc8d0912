// Who is at the other end of a socket: a user on a Unix socket, as the kernel knows him, an address on TCP.

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

/** The credentials of whoever connected to a Unix socket, as the kernel knows them. */
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
    // It has gone already.
    return { name: "nobody", isRoot: false };
  }
}

export const peerOfAddress = (socket: Socket): Peer => ({
  name: `address ${socket.remoteAddress ?? "?"}`,
  isRoot: false,
});
