// What crosses between the supervisor, which keeps the reactor, and control, which may end and start again at any time.

import type { Message, ReactorOptions, Request } from "../reactor/messages.ts";

/** How a life of control ended. */
export interface Death {
  readonly pid: number;
  /** Null: it went because it was asked to. */
  readonly reason: string | null;
  /** When, in ms of the supervisor's running. */
  readonly atMs: number;
  /** How many times control has died lately, this one included. */
  readonly deaths: number;
  /** It dies again and again. */
  readonly isUnsteady: boolean;
}

/** What is remembered beside a handle. */
export type Labelled = readonly (readonly [handle: number, label: unknown])[];

/** What control finds that is not the first: all that the reactor has, and what happened that no control has noted. */
export interface Adoption {
  readonly death: Death;
  /** What control before this one gave to be kept, by name. */
  readonly kept: ReadonlyMap<string, unknown>;
  readonly units: Labelled;
  readonly paths: Labelled;
  /** Paths that were removed: they may still have commands in flight. */
  readonly removedPaths: Labelled;
  /** Native ports that are open. */
  readonly ports: readonly number[];
  readonly connections: Labelled;
  /** Labels of connections that have closed, as no control has noted. */
  readonly closed: readonly unknown[];
  /** Block devices that are claimed, by path. */
  readonly claims: readonly string[];
  /** Events of the core that no control has noted, and how many found no room. */
  readonly events: Uint8Array;
  readonly eventsLost: number;
  /** By which these events are acknowledged. */
  readonly number: number;
}

/** What control is told first. */
export interface Begin {
  readonly kind: "begin";
  /** How long the supervisor has been running, ms. */
  readonly runningMs: number;
  /** Null: this is the first, and starts the reactor. */
  readonly adoption: Adoption | null;
}

/** How the threads of the reactor stand with the kernel. */
export interface Privileges {
  readonly nice: number;
  readonly emulated: boolean;
}

/** To control. */
export type Downward =
  | Begin
  | { readonly kind: "reactor"; readonly message: Message }
  /** Of the core; acknowledged by their number. */
  | { readonly kind: "events"; readonly number: number; readonly entries: Uint8Array; readonly lost: number }
  | { readonly kind: "crashed"; readonly reason: string }
  | { readonly kind: "exited"; readonly status: number }
  | { readonly kind: "told"; readonly level: "debug" | "warning"; readonly text: string }
  | { readonly kind: "claimed"; readonly id: number; readonly answer: number }
  | { readonly kind: "released"; readonly id: number }
  | { readonly kind: "ping" }
  | { readonly kind: "reload" }
  | { readonly kind: "stop" }
  /** Another control follows at once: I/O goes on. */
  | { readonly kind: "leave" }
  /** The supervisor has a defect: everything ends. */
  | { readonly kind: "die"; readonly reason: string }
  /** The reactor does not turn, or does so again. */
  | { readonly kind: "stalled"; readonly isStalled: boolean };

/** To the supervisor. */
export type Upward =
  | { readonly kind: "start"; readonly options: ReactorOptions; readonly privileges: Privileges }
  | { readonly kind: "request"; readonly request: Request; readonly descriptor?: number }
  | { readonly kind: "terminate" }
  /** The label of a connection is another one now. */
  | { readonly kind: "relabel"; readonly connection: number; readonly label: unknown }
  /** All events up to this number are noted. */
  | { readonly kind: "noted"; readonly number: number }
  | { readonly kind: "keep"; readonly name: string; readonly value: unknown }
  | { readonly kind: "claim"; readonly id: number; readonly device: string }
  | { readonly kind: "release"; readonly id: number; readonly device: string }
  | { readonly kind: "ready"; readonly status: string }
  | { readonly kind: "reloaded" }
  | { readonly kind: "pong" }
  | { readonly kind: "dying"; readonly reason: string };
