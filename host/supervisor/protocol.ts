// Messages between the supervisor, which keeps the reactors, and control, which may end and start again at any time.

import type { Message, ReactorOptions, Request } from "../reactor/reactor-messages.ts";

/** How a life of control ended. */
export interface Death {
  readonly pid: number;
  /** Null when it went because it was asked to. */
  readonly reason: string | null;
  /** When, in ms since the supervisor started. */
  readonly atMs: number;
  /** Number of recent deaths of control, including this one. */
  readonly deaths: number;
  /** It dies again and again. */
  readonly isUnsteady: boolean;
}

/** What is kept beside a handle. */
export type Labelled = readonly (readonly [handle: number, label: unknown])[];

/** One of several reactors has ended: its units have to be brought up again. */
export interface Fall {
  readonly reactor: number;
  readonly reason: string;
}

/** What a control that is not the first finds: everything the reactor has, and the events that no control has acknowledged. */
export interface Adoption {
  readonly death: Death;
  /** How many reactors there are, and those that have ended since a control told of it, with the reasons. */
  readonly reactors: number;
  readonly fallen: readonly Fall[];
  /** What the previous control stored, by name. */
  readonly kept: ReadonlyMap<string, unknown>;
  readonly units: Labelled;
  readonly paths: Labelled;
  /** Paths that were removed: they may still have commands in flight. */
  readonly removedPaths: Labelled;
  /** Native ports that are open. */
  readonly ports: readonly number[];
  readonly connections: Labelled;
  /** Labels of closed connections that no control has acknowledged. */
  readonly closed: readonly unknown[];
  /** Block devices that are claimed, by path. */
  readonly claims: readonly string[];
  /** Events of the core that no control has acknowledged, and how many found no room. */
  readonly events: readonly { readonly reactor: number; readonly entries: Uint8Array }[];
  readonly eventsLost: number;
  /** The number to acknowledge these events by. */
  readonly number: number;
}

/** The first message to control. */
export interface Begin {
  readonly kind: "begin";
  /** How long the supervisor has been running, ms. */
  readonly runningMs: number;
  /** Null for the first control, which starts the reactor. */
  readonly adoption: Adoption | null;
}

/** The privileges of the reactor's threads. */
export interface Privileges {
  /** Null where nothing is configured. */
  readonly nice: number | null;
  /** Length of the time slices asked for, microseconds; 0 for the kernel's, null where nothing is configured. */
  readonly sliceUs: number | null;
  readonly emulated: boolean;
}

/** To control. */
export type Downward =
  | Begin
  | { readonly kind: "reactor"; readonly reactor: number; readonly message: Message }
  /** From a core; acknowledged by their number. */
  | {
      readonly kind: "events";
      readonly number: number;
      readonly reactor: number;
      readonly entries: Uint8Array;
      readonly lost: number;
    }
  | { readonly kind: "crashed"; readonly reactor: number; readonly reason: string }
  | { readonly kind: "exited"; readonly reactor: number; readonly status: number }
  /** One of several reactors takes no calls, or does so again (null). */
  | { readonly kind: "away"; readonly reactor: number; readonly reason: string | null }
  | { readonly kind: "told"; readonly level: "debug" | "warning"; readonly text: string }
  | { readonly kind: "claimed"; readonly id: number; readonly answer: number }
  | { readonly kind: "released"; readonly id: number }
  | { readonly kind: "ping" }
  | { readonly kind: "reload" }
  | { readonly kind: "stop" }
  /** Another control takes over at once: I/O continues. */
  | { readonly kind: "leave" }
  /** The supervisor has a defect: everything stops. */
  | { readonly kind: "die"; readonly reason: string }
  /** A reactor has stopped turning, or turns again. */
  | { readonly kind: "stalled"; readonly reactor: number; readonly isStalled: boolean };

/** To the supervisor. */
export type Upward =
  | { readonly kind: "start"; readonly options: ReactorOptions; readonly privileges: Privileges }
  | { readonly kind: "request"; readonly reactor: number; readonly request: Request; readonly descriptor?: number }
  | { readonly kind: "terminate" }
  /** The label of a connection has changed. */
  | { readonly kind: "relabel"; readonly connection: number; readonly label: unknown }
  /** All events up to this number are acknowledged. */
  | { readonly kind: "noted"; readonly number: number }
  | { readonly kind: "keep"; readonly name: string; readonly value: unknown }
  | { readonly kind: "claim"; readonly id: number; readonly device: string }
  | { readonly kind: "release"; readonly id: number; readonly device: string }
  | { readonly kind: "ready"; readonly status: string }
  | { readonly kind: "reloaded" }
  | { readonly kind: "pong" }
  | { readonly kind: "dying"; readonly reason: string };
