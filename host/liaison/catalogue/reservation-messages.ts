// Messages about persistent reservations.

import type { MessageKind } from "./message-kind.ts";

export const RESERVATION_MESSAGES = {
  "reservation-changed": {
    number: 703,
    level: "info",
    text: "A persistent reservation was changed",
    system: true,
    each: true,
    means:
      "The command in `action` was carried out for the unit as a whole. `paths to follow` are registered when they come. `move`: the " +
      "path of the holder (`from`) is away, and another one of this host holds the reservation now; nobody could get in between.",
    remedy: "Nothing.",
  },
  "registration-undone": {
    number: 704,
    level: "error",
    text: "A registration was undone",
    system: true,
    each: true,
    means:
      "A key could not be registered on every path, or the daemon ended meanwhile; what was registered was taken back. A path in " +
      "`paths left` did not answer that and may still have the key.",
    causes: [
      "the array has persistent reservations on one controller only",
      "another program has registered a path",
      "the daemon was killed while it registered",
    ],
    remedy: "Read the error of the command; `pathctl reservation show` lists the keys that the device has.",
  },
  "reservation-conflict": {
    number: 705,
    level: "warning",
    text: "A reservation conflicts with a command",
    system: true,
    means:
      "Another host, or another program on this one, holds the reservation in `holder`, or the command named a key that is not " +
      "this host's. The device carried nothing out, and no path is to blame.",
    causes: [
      "another node of the cluster owns the unit",
      "a key was mistyped",
      "a program uses the unit beside the cluster",
    ],
    remedy: "If the other host is dead, let the cluster fence it, or preempt its key.",
  },
  "registration-preempted": {
    number: 706,
    level: "error",
    text: "Another host has removed this one's registration",
    system: true,
    alive: true,
    each: true,
    means:
      "The device does not know this host's key any more: the unit belongs to the hosts in `keys now`. It carries no I/O here, so " +
      "that two hosts never write to it at once.",
    causes: [
      "the cluster has fenced this node",
      "somebody cleared the reservations",
      "the unit was preempted by mistake",
    ],
    remedy:
      "Find out why this node was fenced. Then register again (`pathctl reservation register`), or let the unit be used without " +
      "reservations (`pathctl reservation unregister`).",
  },
  "path-registered": {
    number: 707,
    level: "info",
    text: "A path was registered again",
    system: true,
    ends: ["path-unregistered"],
    means:
      "The path came back, appeared, or its device had lost its registrations; it has this host's key, and carries I/O.",
    remedy: "Nothing.",
  },
  "path-unregistered": {
    number: 708,
    level: "warning",
    text: "A path cannot be registered",
    system: true,
    alive: true,
    means: "It carries no I/O, because its device does not take this host's key on it; the unit's other paths do.",
    causes: [
      "another program has registered the path with another key",
      "the device refuses registrations on this port",
    ],
    remedy: "Look at `reason`; remove another key with `sg_persist` on the path, then `pathctl path failback` it.",
  },
  "reservation-keys-unused": {
    number: 709,
    level: "warning",
    text: "Stored reservation keys are not used",
    system: true,
    each: true,
    means:
      "The keys in the state directory are another host's, or the file is damaged. This host is registered nowhere until it " +
      "registers; the file was moved away (`moved to`).",
    causes: [
      "the state directory was copied from another host",
      "the machine's identity (/etc/machine-id) was changed",
    ],
    remedy: "Register this host with a key of its own: `pathctl reservation register`.",
  },
  "unit-lost": {
    number: 710,
    level: "error",
    text: "A logical unit is lost to this host",
    system: true,
    alive: true,
    means:
      "No path of the unit has been usable for as long as its I/O waits (`on_no_path`, `timeouts.no_path_ms`). Cluster software is told " +
      "by a file in `/run/pathmanager/lost`, named after the unit's number, so that another node takes over. With `fence` all I/O fails until a path " +
      "is usable.",
    causes: ["the array is off or unreachable", "a component that all paths share failed", "paths were disabled"],
    remedy:
      "Repair or enable one path; `pathctl show` says what each of them lacks. In a cluster, let the other node go on.",
  },
  "unit-found": {
    number: 711,
    level: "info",
    text: "A logical unit that was lost has a path again",
    system: true,
    ends: ["unit-lost"],
    means: "I/O goes on; the file in `/run/pathmanager/lost` is gone.",
    remedy: "In a cluster: tell it that the node may run the resource again (`crm_resource --cleanup`).",
  },
  "legacy-reservation-lost": {
    number: 712,
    level: "warning",
    text: "A reservation of SPC-2 was lost",
    system: true,
    means:
      "An initiator had reserved the unit with RESERVE, which is one path's. That path is not in use any more, or was reset. Other hosts may get " +
      "in, or, if the array still keeps the reservation for that path, this host's I/O is refused until a reset of the logical unit. " +
      "The unit's SCSI device says so with a unit attention (29/07, 29/03).",
    causes: [
      "the path failed",
      "an operator chose another path",
      "another host reset the unit, or took the reservation",
    ],
    remedy:
      "The cluster software has to reserve the unit again. Better: let it use persistent reservations, which are the unit's.",
  },
  "cluster-balancing": {
    number: 714,
    level: "info",
    text: "The balancing of a logical unit in cluster mode has changed",
    system: false,
    means:
      "In cluster mode a unit is `static`, because cluster software may reserve one path only. A persistent reservation for registrants (types 5 " +
      "to 8) keeps none of this host's registered paths out: while one is held the policy that is set is in force, and `static` again without it.",
    causes: [
      "this host registered and reserved, or released",
      "another host preempted the reservation, or changed its type",
    ],
    remedy: "None is needed. `pathctl show` says which policy is in force; `pathctl reservation show`, what is held.",
  },
} as const satisfies Record<string, MessageKind>;
