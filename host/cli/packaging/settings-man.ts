// The text of pathmanager.toml(5) around its settings.

export const MAN_HEAD = `.\\" Made by host/cli/packaging/settings-pages.ts from host/settings; edit those.
.TH PATHMANAGER.TOML 5 "" PathManager "PathManager"
.nh
.SH NAME
pathmanager.toml \\- configuration of PathManager
.SH SYNOPSIS
.I /etc/pathmanager/pathmanager.toml
.SH DESCRIPTION
A TOML file. Every key has a default. Without a file there is an emulated array; with one there is what it names, nothing else. A key that nobody knows is a mistake;
.B pathctl config check
names every mistake with file, line and key.
.B pathctl config reload
and SIGHUP read the file again without interrupting I/O; sections marked (restart) take effect with the next start.
.PP
What an operator sets by a command (failback, cluster mode, patrol, policies, priorities) is kept and stronger than the file.`;

/** The parts of the page: keys outside sections, then sections. Sections that are not named go where `rest` stands. */
export const MAN_PARTS: readonly {
  readonly title: string;
  readonly keys: readonly string[] | "rest";
  readonly sections: readonly string[] | "rest";
}[] = [
  { title: "WHICH DEVICES", keys: ["devices", "emulated", "exclude", "initial_paths"], sections: [] },
  {
    title: "HOW PATHS ARE USED",
    keys: "rest",
    sections: ["patrol", "marginal", "timeouts", "alua", "arrays", "units"],
  },
  { title: "WHERE IT LISTENS", keys: [], sections: ["sockets", "sockets.nbd_tcp"] },
  { title: "THE DAEMON", keys: [], sections: "rest" },
];

/** Text below the title of a section. */
export const MAN_SECTIONS: Readonly<Record<string, string>> = {
  marginal: "Monitoring of intermittent failures.",
  arrays: "Settings of all units of an array; a table for each. Those of a single unit win.",
  units: "Settings of single units; a table for each.",
  receivers: "Who else is told of events; a table for each. A reload puts changes in force.",
  array: "The emulated array. That the table is there is enough to have it served, unless real devices are named.",
};

/** Text after the keys that take selectors. */
export const MAN_SELECTORS = `.SS Selectors
A selector is a table with one or more of
.BR identity ,
.B wwid
(the same as scsi_id writes it),
.BR vendor ,
.BR product ,
.B block_device
(sdc),
.B protocol
(scsi:fcp, scsi:iscsi, scsi:sas, scsi:srp, scsi:ata, scsi:usb, scsi:unspec),
.B device
(/dev/sgN) and
.B path
(a path number); all of them have to match, and no selector of the list
.BR except .
In a text * stands for any text, and case does not matter. In place of a text may stand {
.B regex
= "..." }, a POSIX extended regular expression as in multipath.conf; with
.B not
= true it takes what does not match.`;

export const MAN_END = `.SH EXAMPLE
.nf
.RS
devices = [{ vendor = "NEC", product = "DISK ARRAY*" }]
failback = "standby"

[patrol]
interval_s = 5

[[units]]
identity = "naa.60060e8012345678901234567890abcd"
name = "database"
policy = "round-robin"
.RE
.fi
.SH SEE ALSO
.BR pathmanagerd (8),
.BR pathctl (8)`;
