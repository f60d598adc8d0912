// Writes docs/man/pathctl.8 and pathpersist.8 from the commands themselves, so that page and --help say the same.
//
//   node host/cli/packaging/man.ts [--check]      --check: only compares; exit status 1 when they differ

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import type { Command } from "commander";

import { buildProgram } from "../pathctl/main.ts";
import { persistPage } from "./persist-man.ts";
import { roff, sentence } from "./roff.ts";

const PAGES = new URL("../../../docs/man/", import.meta.url);

const silent = { out: () => undefined, err: () => undefined, env: {}, terminal: false, columns: 80, rows: 24 };

/** The example of a command, from the text added after its help. */
function exampleOf(command: Command): string {
  let help = "";
  command.configureOutput({
    writeOut: (text) => {
      help += text;
    },
  });
  command.outputHelp();
  const lines = help.split("Example:\n")[1]?.trimEnd().split("\n") ?? [];
  return lines.map((line) => roff(line.trim())).join("\n");
}

function commandSection(command: Command, name: string): string {
  const args = command.registeredArguments.map((argument) => {
    const shown = `\\fI${roff(argument.name())}\\fR${argument.variadic ? " ..." : ""}`;
    return argument.required ? shown : `[${shown}]`;
  });
  const options = command.options.filter((option) => option.long !== "--socket" && option.long !== "--host");
  const described = options.map(
    (option) => `.TP\n\\fB${roff(option.flags)}\\fR\n${roff(sentence(option.description))}`,
  );
  return [
    `.SS pathctl ${roff(name)} ${args.join(" ")}`.trimEnd(),
    roff(sentence(command.description())),
    ...described,
    ".PP",
    ".nf",
    ".RS",
    exampleOf(command),
    ".RE",
    ".fi",
  ].join("\n");
}

/** Every command that does something, with the words of its call. */
function leaves(command: Command, prefix: readonly string[]): (readonly [Command, string])[] {
  return command.commands
    .filter((child) => !child.name().startsWith("__"))
    .flatMap((child) => {
      const words = [...prefix, child.name()];
      return child.commands.length > 0 ? leaves(child, words) : [[child, words.join(" ")] as const];
    });
}

const HEAD = `.\\" Made by host/cli/packaging/man.ts from the commands themselves; edit those.
.TH PATHCTL 8 "" PathManager "PathManager"
.nh
.SH NAME
pathctl \\- show and control PathManager
.SH SYNOPSIS
.B pathctl
.I command
.RI [ arguments ]
.RB [ \\-\\-json ]
.RB [ \\-\\-socket
.IR path " | "
.B \\-\\-host
.IR name ]
.SH DESCRIPTION
.B pathctl
talks to
.BR pathmanagerd (8)
over its Unix socket, or over TLS if it is that of another host. It shows logical units, their paths and arrays, and changes what an operator may change.
.PP
A path is named by its path number
.IR host : channel : target : lun ,
for example 4:0:0:1. A unit is named by its number or its name; in a shell, write 0 or '#0', because an unquoted # begins
a comment.
.PP
Anyone who reaches the socket may read. Root and the members of the group of the socket may change.
.SH COMMON OPTIONS
.TP
.B \\-\\-json
Print JSON instead of text. The shapes are those of the API; its description, /openapi.json, names them. A command that
fails prints an object with the member error: code, message, parameter, remedy.
.TP
.BI \\-\\-socket " path"
The socket of the daemon, instead of PATHMANAGER_SOCKET and of the default.
.TP
.BI \\-\\-host " name"
The daemon of another host, over TLS: one that hosts.toml lists, for commands that ask a daemon.
.TP
.BR \\-h ", " \\-\\-help
Print the help of a command.
.TP
.BR \\-V ", " \\-\\-version
Print the version.
.SH COMMANDS
`;

const TAIL = `.SH EXIT STATUS
.TP
0
Done.
.TP
1
Refused or failed; one line on standard error says what and why. For
.B doctor
and
.BR "config check" :
something is wrong.
.TP
2
Wrong usage.
.SH ENVIRONMENT
.TP
.B PATHMANAGER_SOCKET
The socket of the daemon.
.TP
.B PATHMANAGER_HOSTS
The file that lists other hosts. Default:
.I ~/.config/pathmanager/hosts.toml
if it is there, else
.IR /etc/pathmanager/hosts.toml .
.TP
.B NO_COLOR
When set and not empty, no colour is used on a terminal. Elsewhere there is none.
.TP
.B NODE_COMPILE_CACHE
Folder in which compiled code is kept between runs. Default:
.I /var/cache/pathmanager
for root,
.I $XDG_CACHE_HOME/pathmanager
or
.I ~/.cache/pathmanager
for others. A folder that others can write to is not used.
.SH SEE ALSO
.BR spscmd (8),
.BR pathmanagerd (8),
.BR pathmanager.toml (5)
`;

async function page(): Promise<string> {
  const program = await buildProgram({ io: silent, status: 0 });
  const sections = leaves(program, []).map(([command, name]) => commandSection(command, name));
  return `${HEAD}${sections.join("\n")}\n${TAIL}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const pages = [
    { name: "pathctl.8", text: await page() },
    { name: "pathpersist.8", text: persistPage() },
  ];
  for (const { name, text } of pages) {
    const place = new URL(name, PAGES);
    if (!process.argv.includes("--check")) writeFileSync(place, text);
    else if (readFileSync(place, "utf8") !== text) {
      console.error(`docs/man/${name} is not what the commands say; run: node host/cli/packaging/man.ts`);
      process.exitCode = 1;
    }
  }
}
