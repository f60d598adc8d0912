// The reactor: a worker thread in which the core, the native ring and the emulated array take turns, and nothing else runs. It
// blocks in `ring.enter`; a message from control wakes it and is read between turns.

import { join } from "node:path";
import { parentPort, receiveMessageOnPort, workerData, type MessagePort } from "node:worker_threads";
import { EmulatedArray } from "../array/array.ts";
import type { Medium } from "../array/medium.ts";
import type { FullTopology } from "../array/array-topology.ts";
import { MODE_TELLS_SHARERS } from "../abi.ts";
import { clockNs, duplicate, Ring } from "../native/index.ts";
import { handlersOf, type Reactor } from "./calls.ts";
import { Core } from "./core-loader.ts";
import { EventDrain } from "./event-ring.ts";
import { coreAnswer, isFatal, ReactorError } from "./reactor-errors.ts";
import { runTurns } from "./loop.ts";
import type { CallName, Message, ReactorCalls, ThreadOptions, ThreadRequest } from "./reactor-messages.ts";
import type { SharedNews } from "./shared-news.ts";
import { NativeMedium } from "./native-medium.ts";
import { ScsiQueues } from "./scsi-queues.ts";
import { ENTER_ATTENTION, ENTER_WOKEN, UblkQueues } from "./ublk-queues.ts";

const NS_PER_MS = 1_000_000n;
/** How often a stopping reactor checks whether its connections and their leftovers are gone, in microseconds. */
const STOPPING_WAIT_US = 20_000;
/** Most messages handled between two turns: however busy control is, I/O continues. */
const MESSAGES_MAX = 16;

function mediumOf(media: string | null, { name, directory }: FullTopology, unit: number, bytes: number): Medium {
  const place = directory === null ? { shared: media, name: `${name}/${unit}` } : join(directory, `unit-${unit}.img`);
  return new NativeMedium(bytes, place);
}

function prepare(options: ThreadOptions): Reactor {
  const core = new Core({
    nowNs: clockNs(),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...(options.door === undefined ? {} : { door: options.door }),
    ...(options.core === undefined ? {} : { wasm: options.core }),
    ...(options.seed === undefined ? {} : { seed: options.seed }),
  });
  const ring = new Ring(core.bytes, core.control, {
    backend: options.backend ?? "auto",
    ...(options.pollUs === undefined ? {} : { pollUs: options.pollUs }),
  });
  const array = new EmulatedArray(options.arrays ?? [], {
    medium: (topology, unit, bytes) => mediumOf(options.media, topology, unit, bytes),
    // Of several copies of one array only the first is asked by discovery, which takes note of it.
    powerOnAttention: options.media === null,
  });
  array.attach(core.bytes, core.control);
  if ((options.reactors ?? 1) > 1) coreAnswer("modeSet", core.exports.modeSet(MODE_TELLS_SHARERS, 1n));
  return { core, ring, array, ublks: new UblkQueues(core, ring), targets: new ScsiQueues(core, ring) };
}

/** Takes turns until control says stop. An error in here is a crash: it ends the thread, and control is notified. */
function run(port: MessagePort, { core, ring, array, ublks, targets }: Reactor): void {
  const handlers = handlersOf({ core, ring, array, ublks, targets });
  const drain = new EventDrain(core);
  let stopAtNs: bigint | null = null;
  let more = false;

  const post = (message: Message): void => port.postMessage(message);
  targets.onAsked = () => post({ kind: "asked" });
  targets.onEnded = (name) => post({ kind: "ended", name });
  const take = (request: ThreadRequest): void => {
    if (request.kind === "stop") {
      stopAtNs = clockNs() + BigInt(request.graceMs) * NS_PER_MS;
      ublks.leave();
      targets.leave();
      closeConnections(core);
      return;
    }
    if (request.kind === "news") return hear(core, request);
    const { id } = request;
    try {
      // The client's types have checked name and arguments against each other.
      const handler = handlers[request.name] as (...args: readonly unknown[]) => unknown;
      const answer = handler(...request.args);
      port.postMessage({ kind: "answer", id, answer } satisfies Message, ownBuffers(request.name, answer));
    } catch (error) {
      if (isFatal(error)) throw error;
      post({ kind: "refused", id, ...describe(error) });
    }
  };

  // A descriptor of control's own: it stays valid however this thread ends.
  const wakeDescriptor = duplicate(ring.wakeDescriptor);
  post({ kind: "ready", wakeDescriptor, backend: ring.backend, memoryBytes: core.bytes.byteLength });
  for (;;) {
    const wait = runTurns(core, array);
    if (drain.waiting) post({ kind: "events", entries: drain.take() });
    if (stopAtNs !== null && (clockNs() >= stopAtNs || !anythingLeft(core))) break;
    const entered = ring.enter(more ? 0 : stopAtNs === null ? wait : STOPPING_WAIT_US);
    ublks.attend(entered);
    if ((entered & ENTER_ATTENTION) !== 0) targets.attend();
    if ((entered & ENTER_WOKEN) === 0 && !more) continue;
    more = true;
    for (let count = 0; more && count < MESSAGES_MAX; count++) {
      const next = receiveMessageOnPort(port);
      if (next === undefined) more = false;
      else take(next.message as ThreadRequest);
    }
  }
  ring.close();
  port.close();
}

/** Buffers of a large answer, which go over to control without a copy. */
function ownBuffers(name: CallName, answer: unknown): ArrayBuffer[] {
  if (answer instanceof Float64Array) return [answer.buffer as ArrayBuffer];
  if (name !== "snapshot") return [];
  // The answer of each call has the type that `ReactorCalls` gives it.
  const { paths, units } = answer as ReactorCalls["snapshot"]["answer"];
  return [paths, units].flatMap(({ handles, records }) => [handles.buffer, records.buffer]) as ArrayBuffer[];
}

/** What another reactor has found out. */
function hear(core: Core, { what, initiatorPort, targetPort, controller, isSilent, probesMax }: SharedNews): void {
  const { exports } = core;
  const silent = isSilent ? 1 : 0;
  if (what === "answer") coreAnswer("sharedAnswer", exports.sharedAnswer(initiatorPort, targetPort));
  else coreAnswer("sharedFault", exports.sharedFault(initiatorPort, targetPort, controller, silent, probesMax));
}

/** Closes every connection: its requests are given up, its commands in flight become orphans. */
function closeConnections(core: Core): void {
  for (let connection = 0; connection < core.limits.connections; connection++) core.exports.connectionClose(connection);
}

/** The next daemon need not wait for a command that ends before this thread does. */
function anythingLeft(core: Core): boolean {
  for (let unit = 0; unit < core.limits.units; unit++) {
    if (core.connectionsOf(unit) > 0 || core.orphansOf(unit) > 0) return true;
  }
  return false;
}

function describe(error: unknown): { code: string; message: string } {
  const code = error instanceof Error && "code" in error ? String(error.code) : "REACTOR_INTERNAL";
  return { code, message: error instanceof Error ? error.message : String(error) };
}

if (parentPort === null)
  throw new ReactorError("REACTOR_WORKER", "host/reactor/worker.ts runs in a worker thread only");
let reactor: Reactor | null = null;
try {
  reactor = prepare(workerData as ThreadOptions);
} catch (error) {
  parentPort.postMessage({ kind: "failed", ...describe(error) } satisfies Message);
  parentPort.close();
}
if (reactor !== null) run(parentPort, reactor);
