// Writes docs/messages.md from the catalogue of messages, so that the document and the daemon say the same.
//
//   node host/cli/packaging/messages.ts [--check]      --check: only compares; exit status 1 when they differ

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { MESSAGES, receivers, type MessageName } from "../../liaison/messages.ts";

const PAGE = new URL("../../../docs/messages.md", import.meta.url);

/** What an operator has to know beside the text, or does. */
const REMARKS: Readonly<Partial<Record<MessageName, string>>> = {
  "failover-started": "a path cannot be used; I/O goes to the next one",
  "failover-done": "I/O goes over the path named; find out why the other failed",
  "failover-failed": "no path is left; repair one",
  "failback-failed": "the path was checked and is not usable yet",
  "path-error-io": "`outcome` says what the device or the kernel answered",
  "path-error-check": "path patrol found it, or no answer in time",
  "path-removed": "its device is gone; settings are kept until `pathctl path forget`",
  "not-redundant": "one more failure stops I/O: repair now",
  "path-added": "a new path, one that came back (`again`), or one that is numbered anew (`priority before`)",
  "path-renumbered": "nothing: the same path, by the names of its ports, under the number that Linux has given it now",
  "number-reused": "nothing, if LUNs were meant to change places; settings of the earlier path are kept",
  "wrong-unit": "it gets no I/O; correct the mapping of the array, or forget the path",
  "no-path-waiting":
    "they wait for `timeouts.no_path_ms`, or as long as a transition of the port groups may take (`for ms`)",
  "no-path-failed": "applications see errors; repair a path",
  "capacity-changed": "attached devices have the new size",
  stall: "nothing, if it is rare; the path may be a black hole",
  "marginal-out": "find the loose part; then `spscmd -failback`",
  "marginal-back": "an operator vouched for it, or its clean period is over",
  suspect: "one check decides",
  "device-refused": "the reason says what to do",
  "identity-rewritten": "nothing; what names the unit by its former identity still means it",
  "identity-unread": "nothing, if it passes; a path in use stays in use; else the reason names the page",
  "path-in-use": "two masters write to one unit: end the other use at once, as the reason says",
  "capacity-disputed": "it keeps its size until all agree: let the array show the new one on every path",
  "device-open-elsewhere":
    "end that process, unless it only asks: nobody can be kept from writing through an sg device",
  "thin-threshold":
    "add room to its pool, or free some (`fstrim`): without any, writes fail with ENOSPC; said anew when a path tells it again",
  "unit-in-use": "end that use as the reason says, then `pathctl config reload`",
  "state-rebuilt":
    "nothing where `kept` says all settings, else see 675; look for the cause: the disk, or who writes there",
  "settings-incomplete": "set again what is missing, then `pathctl config accept`",
  "path-unverified":
    "`enabled` says how: `pathctl path enable` or `disable` it; only what a unit needs to be served is enabled",
  "events-lost": "more happened at once than is kept; `pathctl show` is right nevertheless",
  "descriptors-short": "who is connected goes on; raise LimitNOFILE (or `ulimit -n`), look who connects so often",
  "lines-lost":
    "have its reader read on (a pager that waits, a terminal that is stopped); `pathctl events` has everything that matters",
  "nbd-client-refused":
    "`why` says of what, `peer` who it was; let it connect less often, or raise `limits.connections` or `limits.connections_per_peer`; told once a minute for each",
  "api-connection-closed": "`why` says what it did, `peer` who it was; told once a minute for each",
  "certificate-expiring":
    "put a new one there, then `pathctl config reload`; who is connected stays; said anew every day",
  "certificate-expired": "clients refuse it; put a new one there, then `pathctl config reload`; said anew every day",
  "client-untrusted": "`reason` says what TLS found; told once a minute for each address",
  "tls-ended": "clients connect again; please report what `reason` says",
  "cache-absent": "nothing; where it has a cache all the same, have it report its caching page",
  "fua-refused": "nothing; such writes take a little longer",
  "leftovers-found": "nothing; they end within `timeouts.command_ms`",
  "empty-filter": "name the devices to use in `devices`, or take back what `exclude` says too widely",
  "daemon-died":
    "`reason` says why, as far as it is known; report a defect (see [how the daemon can end](operators-guide.md))",
  "state-unwritable":
    "what was set is in force; do what the reason says (make room, make the folder writable), a restart is not needed",
  "file-made-again": "nothing is lost; find out who cleans up there",
  "control-died": "nothing: I/O went on, and all that was set is in force; please report what `reason` says",
  "control-started": "nothing; `ms without` says how long nothing could be shown or set, `why` who wanted it",
  "control-unsteady":
    "I/O is safe, but little can be shown or set: report what 666 says, and restart the daemon when I/O may pause",
  "reactor-stalled":
    "the service manager starts the daemon anew; look for a processor or a kernel that hangs, report it",
  "daemon-dying": "the service manager starts it anew; please report what `reason` says",
};

const HEAD = ["number", "text", "level", "system log", "ALIVE", "manager", "kind", "means, or what to do"];

const yesNo = (is: boolean): string => (is ? "yes" : "no");

function rows(): string[][] {
  const kinds = (Object.keys(MESSAGES) as MessageName[]).toSorted((a, b) => MESSAGES[a].number - MESSAGES[b].number);
  return kinds.map((kind) => {
    const { number, text, level, system } = MESSAGES[kind];
    const { alive, manager } = receivers(kind);
    const remark = REMARKS[kind] ?? "";
    return [String(number), text, level, yesNo(system), yesNo(alive), yesNo(manager), `\`${kind}\``, remark];
  });
}

/** A table as the formatter of the repository leaves it. */
function table(lines: readonly (readonly string[])[]): string {
  const widths = HEAD.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const row = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [head = [], ...rest] = lines;
  return [row(head), row(widths.map((width) => "-".repeat(width))), ...rest.map(row)].join("\n");
}

const page = (): string => `# Messages

<!-- Made by host/cli/packaging/messages.ts from host/liaison/messages.ts; edit those. -->

For operators and for whoever forwards messages. All are in \`pathctl events\`, \`spsevent.log\` and the API (\`/v1/events\`); the system's
log (source \`pathmanager\`) gets those marked so. 257 to 278 are the original's; ours begin at 600. Each event of the API tells by
\`alive\` and \`manager\` whether remote maintenance (ALIVE) and the operators' manager (ESMPRO Manager) are to be told, for a program that
forwards them: \`pathctl events --follow --json\`.

${table([HEAD, ...rows()])}
`;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!process.argv.includes("--check")) writeFileSync(PAGE, page());
  else if (readFileSync(PAGE, "utf8") !== page()) {
    console.error("docs/messages.md is not what the daemon says; run: node host/cli/packaging/messages.ts");
    process.exitCode = 1;
  }
}
