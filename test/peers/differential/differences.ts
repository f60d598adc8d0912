// Every difference between our answers and those of nbdkit 1.32 and QEMU 7.2, as in Debian 12, and why the protocol
// (doc/proto.md of the reference implementation) allows both. Any other difference is a bug in one of the two.

import { BLOCK_STATUS, type Command, DF, READ } from "../raw.ts";
import type { Difference, Said, Situation } from "./compare.ts";
import { MEDIUM_BYTES } from "./servers.ts";

const map = (said: Said, change: (line: string) => string): Said => ({
  ours: said.ours.map(change),
  theirs: said.theirs.map(change),
});

const without = (said: Said, is: (line: string) => boolean): Said => ({
  ours: said.ours.filter((line) => !is(line)),
  theirs: said.theirs.filter((line) => !is(line)),
});

/** `next`, if it differs from `said`. */
const changed = (said: Said, next: Said): Said | undefined =>
  said.ours.join("\n") === next.ours.join("\n") && said.theirs.join("\n") === next.theirs.join("\n") ? undefined : next;

const NOTHING: Said = { ours: [], theirs: [] };

/** The kinds of information requested by a GO or INFO. */
function asked(send: Buffer): number[] {
  const name = send.readUInt32BE(16);
  const count = send.readUInt16BE(20 + name);
  return Array.from({ length: count }, (_, i) => send.readUInt16BE(22 + name + 2 * i));
}

const isInfo = (line: string): boolean => /^option [67]: info /.test(line);

/** For differences in which one of their lines may stand for one of ours. */
function forLine(is: (ours: string, theirs: string) => boolean) {
  return (said: Said): Said | undefined => {
    if (said.ours.length !== said.theirs.length) return undefined;
    const theirs = said.theirs.map((text, i) => (is(said.ours[i] ?? "", text) ? (said.ours[i] ?? "") : text));
    return changed(said, { ours: said.ours, theirs });
  };
}

/** For differences in which all answers to one kind of step may differ. */
function forAll(step: RegExp, ours: RegExp, theirs: RegExp) {
  return (said: Said, { step: at }: Situation): Said | undefined => {
    if (at === undefined || !step.test(at.what)) return undefined;
    return ours.test(said.ours.join(", ")) && theirs.test(said.theirs.join(", ")) ? NOTHING : undefined;
  };
}

/** The request of an answer, found by the cookie at the start of the answer's line. */
function commandOf({ step }: Situation, answer: string): Command | undefined {
  if (step?.awaits.kind !== "replies") return undefined;
  const cookie = /^(\d+): /.exec(answer)?.[1];
  return step.awaits.commands.find((c) => String(c.cookie ?? 1n) === cookie);
}

/** The state of every byte that a chunk of extents describes. */
function extents(text: string): Uint8Array | undefined {
  const list = /^\d+: chunk 5 flags 1 00000001((?:[0-9a-f]{16})+)$/.exec(text)?.[1]?.match(/.{16}/g);
  if (list === null || list === undefined) return undefined;
  const all = list.map((one) => {
    const length = Math.min(Number.parseInt(one.slice(0, 8), 16), MEDIUM_BYTES);
    return new Uint8Array(length).fill(Number.parseInt(one.slice(8), 16));
  });
  return Uint8Array.from(Buffer.concat(all));
}

const FAST_ZERO = 0x800;

const withoutFastZero = (text: string): string =>
  text.replace(/((?:info 0|export) [0-9a-f]{16})([0-9a-f]{4})/, (_, size: string, flags: string) => {
    const rest = Number.parseInt(flags, 16) & ~FAST_ZERO;
    return size + rest.toString(16).padStart(4, "0");
  });

/** Our number of the context, replaced by 0. */
const renumbered = (text: string): string =>
  text
    .replace(/^(option 10: reply 4 )00000000/, "$100000001")
    .replace(/^(\d+: chunk 5 flags 1 )00000000/, "$100000001");

/** Number of chunks of content for a request. */
const pieces = (lines: readonly string[], cookie: string): number =>
  lines.filter((text) => new RegExp(`^${cookie}: chunk [12] `).test(text)).length;

export const differences: readonly Difference[] = [
  {
    name: "what errors say to people",
    peer: "both",
    clause:
      'Option reply types: "All error replies MAY have some data set, in which case that data is an error message"',
    explain: (said) =>
      changed(
        said,
        map(said, (line) => line.replace(/ says ".*"$/, "")),
      ),
  },
  {
    name: "fast zeroes are offered",
    peer: "both",
    clause: 'Transmission flags: "In each case, the server MAY set the flag for features it supports"',
    explain: (said) => {
      return changed(said, { ours: said.ours, theirs: said.theirs.map(withoutFastZero) });
    },
  },
  {
    name: "information that was not asked for",
    peer: "both",
    clause: 'NBD_OPT_INFO: "The server MAY ... send other NBD_REP_INFO replies" than those requested',
    explain: (said, { step }) => {
      if (step === undefined || !said.ours.some(isInfo)) return undefined;
      const wanted = new Set([0, ...asked(step.send)]);
      return changed(
        said,
        without(said, (line) => isInfo(line) && !wanted.has(Number(line.split(" ")[3]))),
      );
    },
  },
  {
    name: "the order of information",
    peer: "both",
    clause: "NBD_OPT_INFO: replies of type NBD_REP_INFO in any order, then NBD_REP_ACK",
    explain: (said) => {
      if (!said.ours.some(isInfo)) return undefined;
      return changed(said, { ours: said.ours.toSorted(), theirs: said.theirs.toSorted() });
    },
  },
  {
    name: "information asked for twice is told twice",
    peer: "nbdkit",
    clause: 'NBD_OPT_INFO: "The client MAY list one or more items ... the server MAY ignore" repetitions',
    explain: (said) => {
      if (!said.ours.some(isInfo)) return undefined;
      return changed(said, { ours: said.ours, theirs: [...new Set(said.theirs)] });
    },
  },
  {
    name: "the empty name",
    peer: "both",
    clause:
      'NBD_OPT_EXPORT_NAME: the empty name "is reserved for a default export"; whether there is one is the server\'s affair',
    explain: (said, situation) =>
      forAll(/^EXPORT_NAME $/, /^export /, /^closed$/)(said, situation) ??
      forAll(/^option [67]: 00000000/, /info 0 .*: reply 1 $/, /error 6$/)(said, situation),
  },
  {
    name: "other options from a client that does not speak fixed newstyle",
    peer: "nbdkit",
    clause: 'NBD_OPT_EXPORT_NAME: "This is the only valid option in nonfixed newstyle negotiation"',
    explain: forAll(/^option 3: /, /^closed$/, /^option 3: error 3$/),
  },
  {
    name: "a list is given once",
    peer: "nbdkit",
    clause: 'NBD_OPT_LIST: replies "followed by NBD_REP_ACK or an error"',
    explain: forAll(/^option 3: /, /reply 1 $/, /^option 3: error 3$/),
  },
  {
    name: "structured replies may be asked for twice",
    peer: "nbdkit",
    clause: "NBD_OPT_STRUCTURED_REPLY: what a second one is answered is not said",
    explain: forAll(/^option 8: /, /^option 8: error 3$/, /^option 8: reply 1 $/),
  },
  {
    name: "extended headers",
    peer: "both",
    clause: "NBD_OPT_EXTENDED_HEADERS: NBD_REP_ERR_UNSUP from servers that do not know them",
    explain: forAll(/^option 11: /, /^option 11: reply 1 $/, /^option 11: error 1$/),
  },
  {
    name: "contexts are listed before structured replies",
    peer: "both",
    clause:
      'NBD_OPT_LIST_META_CONTEXT: "MUST NOT be requested unless structured replies have been negotiated first"; the server SHOULD refuse',
    explain: forAll(/^option 9: /, /^option 9: error 3$/, /^(option 9: reply 4 .*)?option 9: reply 1 $/),
  },
  {
    name: "contexts are told before the mistake behind them",
    peer: "nbdkit",
    clause: "NBD_OPT_LIST_META_CONTEXT: NBD_REP_META_CONTEXT replies, then NBD_REP_ACK or an error",
    explain: forAll(/^option 9: /, /^option 9: error 3$/, /^option 9: reply 4 .*option 9: error 3$/),
  },
  {
    name: "the number of a context",
    peer: "qemu-nbd",
    clause: 'NBD_OPT_SET_META_CONTEXT: "each with a unique metadata context ID"; which, the server chooses',
    explain: (said) => {
      return changed(said, { ours: said.ours, theirs: said.theirs.map(renumbered) });
    },
  },
  {
    name: "a context that is asked for twice is told twice",
    peer: "nbdkit",
    clause: "NBD_OPT_SET_META_CONTEXT: one reply for each selected context; that a query repeats one is not considered",
    explain: (said) =>
      said.ours.some((text) => text.startsWith("option 10: reply 4 "))
        ? changed(said, { ours: said.ours, theirs: [...new Set(said.theirs)] })
        : undefined,
  },
  {
    name: "contexts of an export that does not exist",
    peer: "nbdkit",
    clause:
      "NBD_OPT_SET_META_CONTEXT: NBD_REP_ERR_UNKNOWN if the export is not known; this peer looks at the name in GO only",
    explain: forAll(/^option 10: 000000066e6f626f6479/, /^option 10: error 6$/, /^option 10: reply 4 .*reply 1 $/),
  },
  {
    name: "bytes behind the queries",
    peer: "nbdkit",
    clause: 'NBD_REP_ERR_INVALID: "determined by the server to be syntactically invalid"; this peer does not look',
    explain: forAll(/^option 10: /, /^option 10: error 3$/, /^option 10: reply 1 $/),
  },
  {
    name: "which of two mistakes is told",
    peer: "qemu-nbd",
    clause: "Option reply types: which error comes first when several apply is not said",
    explain: forAll(/^option 9: 00000000ffffffff$/, /^option 9: error 3$/, /^option 9: error 6$/),
  },
  {
    name: "an option that is too big",
    peer: "both",
    clause: "NBD_REP_ERR_TOO_BIG: the request is too large for the server to process; or the connection is closed",
    explain: (said, situation) =>
      forAll(/^option 99: /, /^option 99: error 9$/, /^closed$/)(said, situation) ??
      forAll(/^option 99: /, /^option 99: error 9$/, /^option 99: error 1$/)(said, situation),
  },
  {
    name: "why there is no TLS",
    peer: "both",
    clause: "NOTLS mode: NBD_REP_ERR_POLICY, NBD_REP_ERR_UNSUP or another error that is permitted",
    explain: forAll(/^option 5: /, /^option 5: error 1$/, /^option 5: error [23]$/),
  },
  {
    name: "errors in chunks where no chunk is asked for",
    peer: "qemu-nbd",
    clause: "Structured replies: any request may be answered by one; only NBD_CMD_READ and BLOCK_STATUS have to",
    explain: (said, situation) =>
      changed(said, {
        ours: said.ours,
        theirs: said.theirs.map((text) => {
          const c = commandOf(situation, text);
          if (c === undefined || c.type === READ || c.type === BLOCK_STATUS) return text;
          return text.replace(/^(\d+): chunk 32769 flags 1 error/, "$1: simple error");
        }),
      }),
  },
  {
    name: "how a read is cut into chunks",
    peer: "both",
    clause:
      'NBD_CMD_READ: "The server MAY split the reply into any number of content chunks"; holes are one kind of them',
    explain: (said, situation) => {
      const whole = said.ours.filter((text) => / in all /.test(text));
      if (whole.length === 0 || whole.some((text) => !said.theirs.includes(text))) return undefined;
      // Unless the client forbids it; then there has to be one chunk.
      const isForbidden = whole.some((text) => {
        const c = commandOf(situation, text);
        return ((c?.flags ?? 0) & DF) !== 0 && pieces(said.theirs, String(c?.cookie ?? 1n)) !== 1;
      });
      return isForbidden
        ? undefined
        : changed(
            said,
            without(said, (text) => /^\d+: chunk ([12] |0 flags 1$)/.test(text)),
          );
    },
  },
  {
    // Its threads execute the requests, and refuse those that they come to after another one has read the DISC.
    name: "requests that a DISC overtakes",
    peer: "nbdkit",
    isRace: true,
    clause:
      "Termination of the transmission phase: a client SHOULD wait for requests in flight before it sends DISC; NBD_ESHUTDOWN answers those that a server gives up",
    explain: (said, { script, step }) =>
      step === undefined && script.steps.at(-1)?.what.startsWith("command 2 ") === true
        ? forLine((mine, yours) => /^\d+: simple error 0$/.test(mine) && yours.endsWith(" error 108"))(said)
        : undefined,
  },
  {
    name: "requests of no length",
    peer: "nbdkit",
    clause: "Requests: what a length of zero means is not specified, clients SHOULD NOT ask for it",
    explain: (said, situation) =>
      (commandOf(situation, said.ours[0] ?? "")?.length ?? 1) === 0
        ? forLine((mine, yours) => / (simple error 0|chunk 0 flags 1)$/.test(mine) && / error (22|28)$/.test(yours))(
            said,
          )
        : undefined,
  },
  {
    name: "a flush that names a range",
    peer: "nbdkit",
    clause:
      'NBD_CMD_FLUSH: "length and offset are reserved, and MUST be set to all-zero"; what a server does otherwise is not said',
    explain: forAll(/^command 3 .* length 512 /, /: simple error 0$/, /: simple error 22$/),
  },
  {
    name: "of a wrong flag and a wrong place, the place is told",
    peer: "nbdkit",
    clause: "Error values: which error comes first when several apply is not said",
    explain: (said, situation) =>
      (commandOf(situation, said.ours[0] ?? "")?.flags ?? 0) === 0
        ? undefined
        : forLine((mine, yours) => mine.endsWith(" simple error 22") && yours.endsWith(" simple error 28"))(said),
  },
  {
    name: "a write beyond the end is invalid",
    peer: "qemu-nbd",
    clause:
      'Error values: "SHOULD return ENOSPC if it receives a write request including one or more sectors beyond the size"',
    explain: forLine((mine, yours) => mine.endsWith(" simple error 28") && yours.endsWith(" simple error 22")),
  },
  {
    name: "a last word before closing",
    peer: "qemu-nbd",
    clause:
      "Terminating the transmission phase: after what is no request, or has too long a payload, the server MAY disconnect",
    explain: (said, situation) =>
      forAll(/^command 1 .* length 4294967295 /, /^closed$/, / error 22$/)(said, situation) ??
      forAll(/^command .* magic /, /^closed$/, / error 22$/)(said, situation),
  },
  {
    name: "how much is known of the allocation",
    peer: "nbdkit",
    clause:
      'NBD_CMD_BLOCK_STATUS: "a server MAY always safely report a status of 0"; the last extent may reach further than asked',
    explain: forLine((mine, yours) => {
      const [one, other] = [extents(mine), extents(yours)];
      if (one === undefined || other === undefined) return false;
      return one.every((state, i) => state === other[i] || other[i] === undefined || state === 0 || other[i] === 0);
    }),
  },
  {
    name: "fast zeroes",
    peer: "both",
    clause: 'NBD_CMD_FLAG_FAST_ZERO: "MUST NOT be set unless the transmission flags include NBD_FLAG_SEND_FAST_ZERO"',
    explain: forAll(/^command 6 flags (1[6-9]) /, / error 22$/, / error 0$/),
  },
];
