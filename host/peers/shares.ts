// Shares a limited number of places among peers, and chooses whose place is given up for a newcomer: one client, however often it
// connects, must not lock out the others.
//
// - Each peer (a user on a Unix socket, an address on TCP) has a share of the places; at its limit it loses its own oldest idle
//   place to its newest.
// - Some places are reserved for root, which has no limit of its own.
// - When all places are taken, the peer with the most of them loses the one that has been idle longest.

/** How long a peer that continues is not reported again. */
const TELL_AGAIN_MS = 60_000;

/** The peer of a socket. */
export interface Peer {
  /** `user 1000`, `address 192.0.2.1`. */
  readonly name: string;
  readonly isRoot: boolean;
}

/** One occupied place. */
export interface Place {
  readonly peer: Peer;
  /** Since when it has been idle; null while it is busy, and stays. */
  readonly idleSinceMs: number | null;
}

export interface Shares {
  readonly places: number;
  /** Limit per peer other than root. */
  readonly perPeer: number;
  /** Places reserved for root. */
  readonly rootReserve: number;
}

/** Whether one more of this peer fits: "free", "none", or the place to give up for it. */
export function placeFor<P extends Place>(peer: Peer, taken: readonly P[], shares: Shares): P | "free" | "none" {
  const own = taken.filter((place) => place.peer.name === peer.name);
  if (!peer.isRoot && own.length >= shares.perPeer) return oldestIdle(own) ?? "none";
  if (taken.length < (peer.isRoot ? shares.places : shares.places - shares.rootReserve)) return "free";
  const perPeer = Map.groupBy(taken, (place) => place.peer.name);
  for (const places of [...perPeer.values()].toSorted((a, b) => b.length - a.length)) {
    const idle = oldestIdle(places);
    if (idle !== undefined) return idle;
  }
  return "none";
}

function oldestIdle<P extends Place>(places: readonly P[]): P | undefined {
  let oldest: { place: P; sinceMs: number } | undefined;
  for (const place of places) {
    const sinceMs = place.idleSinceMs;
    if (sinceMs !== null && sinceMs < (oldest?.sinceMs ?? Infinity)) oldest = { place, sinceMs };
  }
  return oldest?.place;
}

/** Counts what was closed or refused, by reason, and reports each peer and reason at most once a minute. */
export class Refusals<Why extends string> {
  readonly #counts: Record<Why, number>;
  readonly #tell: (why: Why, peer: string) => void;
  readonly #toldMs = new Map<string, number>();

  constructor(none: Readonly<Record<Why, number>>, tell: (why: Why, peer: string) => void) {
    this.#counts = { ...none };
    this.#tell = tell;
  }

  get counts(): Readonly<Record<Why, number>> {
    return this.#counts;
  }

  count(why: Why, peer: Peer): void {
    this.#counts[why]++;
    const now = performance.now();
    const key = `${why} ${peer.name}`;
    if (now - (this.#toldMs.get(key) ?? -TELL_AGAIN_MS) < TELL_AGAIN_MS) return;
    // There may be many addresses: what was reported long ago need not be remembered.
    for (const [old, atMs] of this.#toldMs) if (now - atMs >= TELL_AGAIN_MS) this.#toldMs.delete(old);
    this.#toldMs.set(key, now);
    this.#tell(why, peer.name);
  }
}
