// A unit's lists with the types of their records. Unit cannot declare them itself: those records refer to Unit, and come after it.

import { List, WaitingList, listInsert, listPush, listRemove } from "./lists";
import { Client, Command, Flow, Request } from "./records";
import { Unit } from "./topology";

/** Requests of a unit, linked by their `unitNext`. */
@unmanaged
class UnitRequests {
  first: Request;
  last: Request;

  @inline
  push(item: Request): void {
    listPush(changetype<usize>(this), changetype<usize>(item), offsetof<Request>("unitNext"));
  }

  /** Puts `item` before `other`, which is in the list. */
  @inline
  insert(item: Request, other: Request): void {
    listInsert(
      changetype<usize>(this),
      changetype<usize>(item),
      changetype<usize>(other),
      offsetof<Request>("unitNext"),
    );
  }

  @inline
  remove(item: Request): void {
    listRemove(changetype<usize>(this), changetype<usize>(item), offsetof<Request>("unitNext"));
  }
}

@unmanaged
class UnitLists {
  /** Requests that have pieces to make. */
  @inline
  get queue(): List<Request> {
    return changetype<List<Request>>(changetype<usize>(this) + offsetof<Unit>("queueFirst"));
  }

  /** Requests that an orphan overlaps. */
  @inline
  get held(): List<Request> {
    return changetype<List<Request>>(changetype<usize>(this) + offsetof<Unit>("heldFirst"));
  }

  /** Flows of small I/O in which requests wait. */
  @inline
  get smallFlows(): List<Flow> {
    return changetype<List<Flow>>(changetype<usize>(this) + offsetof<Unit>("smallFirst"));
  }

  /** Flows of everything else. */
  @inline
  get largeFlows(): List<Flow> {
    return changetype<List<Flow>>(changetype<usize>(this) + offsetof<Unit>("largeFirst"));
  }

  /** Requests that are not answered, in the order of their deadlines. */
  @inline
  get requests(): UnitRequests {
    return changetype<UnitRequests>(changetype<usize>(this) + offsetof<Unit>("requestFirst"));
  }

  /** Commands that are sent as soon as a path takes them. */
  @inline
  get retry(): List<Command> {
    return changetype<List<Command>>(changetype<usize>(this) + offsetof<Unit>("retryFirst"));
  }

  /** Commands that pause, in the order of time. */
  @inline
  get delayed(): List<Command> {
    return changetype<List<Command>>(changetype<usize>(this) + offsetof<Unit>("delayedFirst"));
  }

  /** Commands that the host has, in the order in which they were sent. */
  @inline
  get inFlight(): List<Command> {
    return changetype<List<Command>>(changetype<usize>(this) + offsetof<Unit>("flightFirst"));
  }

  /** Clients that wait until the unit has its share again. */
  @inline
  get share(): WaitingList<Client> {
    return changetype<WaitingList<Client>>(changetype<usize>(this) + offsetof<Unit>("shareFirst"));
  }
}

export function listsOf(unit: Unit): UnitLists {
  return changetype<UnitLists>(unit);
}
