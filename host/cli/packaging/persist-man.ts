// The manual page of `pathpersist`, from its options.

import { PERSIST_OPTIONS } from "../pathpersist/persist-command.ts";
import { roff, sentence } from "./roff.ts";

const HEAD = `.\\" Made by host/cli/packaging/man.ts from the commands themselves; edit those.
.TH PATHPERSIST 8 "" PathManager "PathManager"
.nh
.SH NAME
pathpersist \\- persistent reservations of PathManager's units, like mpathpersist
.SH SYNOPSIS
.B pathpersist
.RI [ options ]
.RI [ DEVICE ]
.SH DESCRIPTION
Takes the options of mpathpersist(8), prints what it prints and ends with its statuses, so that fence agents and resource
agents made for it work with units of
.BR pathmanagerd (8):
give them the path of this program (fence_mpath: mpathpersist_path).
.PP
A key is registered on every path of the unit, or on none. The daemon keeps it and registers paths that come later, before they
carry I/O. The same operations with other words:
.BR "pathctl reservation" ,
see
.BR pathctl (8).
.PP
Keys are 1 to 16 hexadecimal digits, with or without 0x in front. To query or change reservations takes root, the daemon's user, or the
group of its socket.
.SH OPTIONS
`;

const TAIL = `.SH BATCH FILES
Each line of a file given with
.B \\-\\-batch\\-file
is a command line, with or without the program's name in front; # begins a comment. All lines are carried out; the exit status is
that of the first that failed.
.SH EXIT STATUS
.TP
0
Done.
.TP
1
Wrong usage.
.TP
5
The device, or the daemon, refuses (illegal request).
.TP
7
The device has no persistent reservations.
.TP
10
The device's answer makes no sense.
.TP
11
Reservation conflict.
.TP
12
There is no such unit or file.
.TP
15
Anything else: no path answers, the daemon does not run.
.SH ENVIRONMENT
.TP
.B PATHMANAGER_SOCKET
The socket of the daemon.
.SH EXAMPLES
.nf
.RS
pathpersist \\-\\-out \\-\\-register \\-\\-param\\-sark=123abc /dev/nbd0
pathpersist \\-i \\-k \\-d /dev/nbd0
pathpersist \\-\\-out \\-\\-reserve \\-\\-param\\-rk=123abc \\-\\-prout\\-type=5 \\-d /dev/nbd0
pathpersist \\-i \\-r \\-d /dev/nbd0
.RE
.fi
.SH SEE ALSO
.BR pathctl (8),
.BR pathmanagerd (8)
`;

export function persistPage(): string {
  const options = PERSIST_OPTIONS.map(({ short, long, value, does }) => {
    const flags = `\\fB${roff(`-${short}`)}\\fR, \\fB${roff(`--${long}`)}\\fR`;
    return `.TP\n${flags}${value === null ? "" : ` \\fI${value}\\fR`}\n${roff(sentence(does))}\n`;
  });
  return `${HEAD}${options.join("")}${TAIL}`;
}
