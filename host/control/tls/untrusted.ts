// Clients that TLS has turned away: reported, but not as often as they may try.

import type { EventHub } from "../events/event-hub.ts";

/** How long an address that keeps trying is not reported again. */
const TELL_AGAIN_MS = 60_000;
/** How many addresses are remembered for that. */
const ADDRESSES_MAX = 256;

export class UntrustedClients {
  readonly #hub: EventHub;
  readonly #toldMs = new Map<string, number>();

  constructor(hub: EventHub) {
    this.#hub = hub;
  }

  /** @param peer address and port */
  tell(peer: string, reason: string): void {
    const address = peer.slice(0, peer.lastIndexOf(":"));
    const now = performance.now();
    for (const [old, atMs] of this.#toldMs) if (now - atMs >= TELL_AGAIN_MS) this.#toldMs.delete(old);
    if (this.#toldMs.has(address) || this.#toldMs.size >= ADDRESSES_MAX) return;
    this.#toldMs.set(address, now);
    this.#hub.say("client-untrusted", { detail: { client: peer, reason } });
  }
}
