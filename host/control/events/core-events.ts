// Turns the core's events into messages: handles become unit and path numbers, codes become names.

import * as abi from "../../abi.ts";
import type { DetailValue, Message, MessageName } from "../../liaison/messages.ts";
import type { CoreEvent } from "../../reactor/decode-records.ts";
import type { Inventory } from "../inventory/inventory.ts";
import { outcomeText } from "../views/outcome-text.ts";
import { aluaName } from "../views/views.ts";

const REASONS: Readonly<Record<number, string>> = {
  [abi.REASON_OPERATOR]: "operator",
  [abi.REASON_IO]: "I/O",
  [abi.REASON_PATROL]: "patrol",
  [abi.REASON_ALUA]: "ALUA",
  [abi.REASON_TIMEOUT]: "no answer",
  [abi.REASON_IDENTITY]: "identity",
  [abi.REASON_SHARED_COMPONENT]: "shared component",
  [abi.REASON_MARGINAL]: "marginal",
  [abi.REASON_RESERVATION]: "reservation",
};

const SETTLED: Readonly<Record<number, string>> = {
  [abi.SETTLED_COMPLETED]: "completed",
  [abi.SETTLED_RESET]: "reset",
  [abi.SETTLED_REMOVED]: "removed",
};

type Detail = Record<string, DetailValue>;

/** The message for each kind of event; null when only control acts on it. */
function nameAndDetail(event: CoreEvent, pathNumber: (handle: number) => string | null): [MessageName, Detail] | null {
  const { arg0, arg1 } = event;
  switch (event.kind) {
    case abi.EVENT_PATH_STATE: {
      const [before, after] = [flagNames(arg0), flagNames(arg1)];
      // An operator's change has a message of its own, with what was requested.
      return before === after || event.reason === abi.REASON_OPERATOR ? null : ["path-state", { before, after }];
    }
    case abi.EVENT_FAILOVER_STARTED:
      return ["failover-started", {}];
    case abi.EVENT_FAILOVER_DONE:
      return ["failover-done", { from: pathNumber(arg0) }];
    case abi.EVENT_FAILOVER_FAILED:
      return ["failover-failed", {}];
    case abi.EVENT_PATH_ERROR_IO:
      return ["path-error-io", {}];
    case abi.EVENT_PATH_ERROR_CHECK:
      return ["path-error-check", {}];
    case abi.EVENT_FAILBACK_STARTED:
      return ["automatic-failback-started", {}];
    case abi.EVENT_FAILBACK_DONE:
      return [event.reason === abi.REASON_OPERATOR ? "failback-completed" : "automatic-failback-done", {}];
    case abi.EVENT_FAILBACK_FAILED:
      return ["failback-failed", {}];
    case abi.EVENT_WRONG_UNIT:
      return ["wrong-unit", {}];
    case abi.EVENT_NO_PATH_WAITING:
      return [
        "no-path-waiting",
        { "for ms": arg0, ...(arg1 === 1 ? { why: "the port groups are in transition" } : {}) },
      ];
    case abi.EVENT_NO_PATH_FAILED:
      return ["no-path-failed", { requests: arg0 }];
    case abi.EVENT_CAPACITY_CHANGED:
      return null;
    case abi.EVENT_ALUA_CHANGED:
      return ["alua-changed", { before: aluaName(arg0), after: aluaName(arg1) }];
    default:
      return laterKinds(event);
  }
}

function laterKinds({ kind, arg0, arg1 }: CoreEvent): [MessageName, Detail] | null {
  switch (kind) {
    case abi.EVENT_STALL:
      return ["stall", { "threshold us": arg0 }];
    case abi.EVENT_ORPHAN_SETTLED:
      return ["orphan-settled", { how: SETTLED[arg0] ?? arg0, "age ms": arg1 }];
    case abi.EVENT_INQUIRY_CHANGED:
      return ["inquiry-changed", {}];
    case abi.EVENT_LACKS:
      return [arg0 === abi.LACKS_FUA ? "fua-refused" : "cache-absent", {}];
    case abi.EVENT_DATA_LOST:
      return ["data-lost", { "told by": arg0 === 1 ? "a deferred error" : "a flush" }];
    case abi.EVENT_MARGINAL:
      if (arg0 === 1) return ["marginal-out", arg1 === 0 ? { until: "failback" } : { "clean s": arg1 }];
      return ["marginal-back", {}];
    case abi.EVENT_SUSPECT:
      return arg0 === 1 ? ["suspect", {}] : ["suspect-cleared", {}];
    case abi.EVENT_ALUA_SET:
      return ["alua-set", { group: arg0, accepted: arg1 === 1 }];
    default:
      return null;
  }
}

/** Flags whose change has a message of its own kind are left out. */
const FLAGS: readonly (readonly [number, string])[] = [
  [abi.PATH_FLAG_ENABLED, "enabled"],
  [abi.PATH_FLAG_FAILED, "failed"],
  [abi.PATH_FLAG_WRONG_UNIT, "wrong unit"],
  [abi.PATH_FLAG_REMOVING, "removing"],
];

function flagNames(flags: number): string {
  const names = FLAGS.filter(([flag]) => (flags & flag) !== 0).map(([, name]) => name);
  return names.length === 0 ? "none" : names.join(" ");
}

/** The message for an event, or null when people need not read it. */
export function messageOf(event: CoreEvent, inventory: Inventory, timeMs: number): Message | null {
  const pathNumber = (handle: number): string | null => inventory.pathOfHandle(handle)?.number ?? null;
  const named = nameAndDetail(event, pathNumber);
  if (named === null) return null;
  const path = event.path === null ? undefined : inventory.pathOfHandle(event.path);
  const unit = (event.unit === null ? undefined : inventory.unitOfHandle(event.unit)) ?? path?.unit;
  const outcome = outcomeText(event.outcome);
  const reason = REASONS[event.reason];
  return {
    kind: named[0],
    timeMs,
    unit: unit?.number ?? null,
    path: path?.number ?? null,
    detail: {
      ...named[1],
      ...(reason === undefined ? {} : { by: reason }),
      ...(outcome === "" ? {} : { outcome }),
    },
  };
}
