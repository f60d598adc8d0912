// Writes docs/messages.md from the catalogue of messages, so that the document and the daemon say the same.
//
//   node host/cli/packaging/messages-page.ts [--check]      --check: only compares; exit status 1 when they differ

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { MESSAGES, receivers, type MessageName } from "../../liaison/messages.ts";

const PAGE = new URL("../../../docs/messages.md", import.meta.url);

/** What an operator has to know or do, beyond the text. */
const REMARKS: Readonly<Partial<Record<MessageName, string>>> = {
  "failover-started": "a path is unusable; I/O moves to the next one",
  "failover-done": "I/O uses the named path; find out why the other one failed",
  "failover-failed": "no path is left; repair one",
  "failback-failed": "the path was checked and is not usable yet",
  "path-error-io": "`outcome` says what the device or the kernel answered",
  "path-error-check": "path patrol got an error, or no answer in time",
  "path-removed": "its device is gone; settings are kept until `pathctl path forget`",
  "not-redundant": "one more failure stops I/O: repair now",
  "path-added": "a new path, one that returned (`again`), or one with a new priority (`priority before`)",
  "path-renumbered": "nothing: by its port names it is the same path, under the number Linux gives it now",
  "number-reused": "nothing, if LUNs were remapped on purpose; settings of the earlier path are kept",
  "wrong-unit": "it gets no I/O; correct the array's LUN mapping, or forget the path",
  "no-path-waiting": "they wait for `timeouts.no_path_ms`, or as long as a port group transition may take (`for ms`)",
  "no-path-failed": "applications see errors; repair a path",
  "capacity-changed": "attached devices have the new size",
  stall: "nothing, if it is rare; the path may be a black hole",
  "marginal-out": "find and repair the cause; then `spscmd -failback`",
  "marginal-back": "an operator cleared it, or its clean period is over",
  suspect: "one check decides",
  "device-refused": "the reason says what to do",
  "identity-rewritten": "nothing; its former identity is still accepted as a name",
  "identity-unread": "nothing, if it does not last; a path in use stays in use; the reason names the page",
  "path-in-use": "two hosts or programs write to one unit: end the other use at once, as the reason says",
  "capacity-disputed": "it keeps its size until all agree: make the array show the new size on every path",
  "device-open-elsewhere":
    "end that process, unless it only queries the device: writes through an sg device cannot be prevented",
  "thin-threshold":
    "extend its pool, or free space (`fstrim`): once it is full, writes fail with ENOSPC; repeated when a path reports it again",
  "unit-in-use": "end that use as the reason says, then `pathctl config reload`",
  "state-rebuilt":
    "nothing if `kept` says all settings, else see 675; find the cause: the disk, or another program that writes there",
  "settings-incomplete": "set what is missing again, then `pathctl config accept`",
  "path-unverified":
    "`enabled` says how; correct it with `pathctl path enable` or `disable`; only as many are enabled as the unit needs",
  "events-lost": "more happened at once than can be kept; `pathctl show` is correct nevertheless",
  "descriptors-short":
    "connected clients are not affected; raise LimitNOFILE (or `ulimit -n`), and find out who connects so often",
  "command-done": "a change without a message of its own, such as a failback; `by` says who asked for it",
  "lines-lost":
    "resume whatever should read it (a waiting pager, a stopped terminal); `pathctl events` has everything important",
  "nbd-client-refused":
    "`why` names the limit, `peer` the client; let it connect less often, or raise `limits.connections` or `limits.connections_per_peer`; reported once a minute for each",
  "api-connection-closed": "`why` says what it did, `peer` who it was; reported once a minute for each",
  "certificate-expiring": "install a new one, then `pathctl config reload`; connected clients stay; repeated daily",
  "certificate-expired": "clients refuse it; install a new one, then `pathctl config reload`; repeated daily",
  "client-untrusted": "`reason` is TLS's finding; reported once a minute for each address",
  "tls-ended": "clients reconnect; please report `reason`",
  "cache-absent": "nothing; if it does have a cache, make it report its caching page",
  "fua-refused": "nothing; such writes take a little longer",
  "leftovers-found": "nothing; they end within `timeouts.command_ms`",
  "empty-filter": "select the devices to use with `devices`, or narrow `exclude`",
  "daemon-died":
    "`reason` says why, if known; please report a defect (see [how the daemon can end](operators-guide.md))",
  "state-unwritable":
    "all settings stay in force; do what the reason says (free space, make the folder writable); no restart is needed",
  "file-made-again": "nothing is lost; find out what deletes files there",
  "control-died": "nothing: I/O continued, and all settings are in force; please report `reason`",
  "control-started": "nothing; `ms without` says how long displays and commands were unavailable, `why` what caused it",
  "control-unsteady":
    "I/O is safe, but displays and commands hardly work: report message 666, and restart the daemon when I/O may pause",
  "reactor-stalled": "the service manager restarts the daemon; look for a hung processor or kernel, and report it",
  "daemon-dying": "the service manager restarts it; please report `reason`",
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

/** A table in the layout of the repository's formatter. */
function table(lines: readonly (readonly string[])[]): string {
  const widths = HEAD.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const row = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [head = [], ...rest] = lines;
  return [row(head), row(widths.map((width) => "-".repeat(width))), ...rest.map(row)].join("\n");
}

const page = (): string => `# Messages

<!-- Made by host/cli/packaging/messages-page.ts from host/liaison/messages.ts; edit those. -->

For operators, and for programs that forward messages. All messages are in \`pathctl events\`, \`spsevent.log\` and the API
(\`/v1/events\`); those marked are also in the system log (source \`pathmanager\`). 257 to 278 are the original's, ours start at 600. Each
event in the API says by \`alive\` and \`manager\` whether to report it to remote maintenance (ALIVE) and to the operators' manager
(ESMPRO Manager), for a program that forwards them: \`pathctl events --follow --json\`.

${table([HEAD, ...rows()])}
`;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!process.argv.includes("--check")) writeFileSync(PAGE, page());
  else if (readFileSync(PAGE, "utf8") !== page()) {
    console.error("docs/messages.md is out of date; run: node host/cli/packaging/messages-page.ts");
    process.exitCode = 1;
  }
}
