// Settings of the daemon: where it listens, what it records, how large its tables are. All are read at start.

import { LOG_LEVELS } from "./names.ts";
import type { SettingTable } from "./setting.ts";

/** Most reactors, and most that `"auto"` starts. */
export const REACTORS_MAX = 64;
export const REACTORS_AUTO_MAX = 8;

export const DAEMON_SETTINGS = {
  reactors: {
    type: "made",
    values: `1 to ${REACTORS_MAX}, \`"auto"\``,
    default: 1,
    restart: true,
    says: `threads that carry I/O; the units are spread over them. \`"auto"\`: as many as there are processors and units, at most ${REACTORS_AUTO_MAX}`,
  },

  "sockets.api": {
    type: "place",
    restart: true,
    otherwise: "`/run/pathmanager/api.sock`",
    says: "Unix socket of the API, mode 0660",
  },
  "sockets.everyone_reads": {
    type: "flag",
    default: true,
    restart: true,
    says: "whether every user may read: over a socket of its own beside `sockets.api`, mode 0666, which refuses all changes (`api-read.sock` beside `api.sock`)",
  },
  "sockets.nbd": {
    type: "place",
    restart: true,
    otherwise: "`/run/pathmanager/nbd.sock`",
    says: "Unix socket of the NBD server, mode 0660",
  },
  "sockets.pr_helper": {
    type: "place",
    restart: true,
    otherwise: "none",
    says: "Unix socket with qemu-pr-helper's protocol, mode 0600: QEMU's guests make persistent reservations through it (`-object pr-manager-helper`)",
  },
  "sockets.nbd_tcp": {
    type: "made",
    values: "a table",
    restart: true,
    otherwise: "none",
    says: "NBD over TCP with TLS; without TLS only if `insecure = true`",
  },
  "sockets.nbd_tcp.listen": {
    type: "made",
    values: '`"host:port"`',
    restart: true,
    otherwise: "needed",
    says: "address to listen on; an empty host means every address",
  },
  "sockets.nbd_tcp.insecure": {
    type: "flag",
    default: false,
    restart: true,
    says: "`true`: clients may connect without TLS. Without TLS files no connection is encrypted or authenticated",
  },
  "sockets.nbd_tcp.certificate": {
    type: "place",
    restart: true,
    otherwise: "none",
    says: "the server's certificate in PEM, followed by those of intermediate authorities",
  },
  "sockets.nbd_tcp.key": {
    type: "place",
    restart: true,
    otherwise: "none",
    says: "its key in PEM, without a passphrase, mode 0640 or less",
  },
  "sockets.nbd_tcp.authorities": {
    type: "place",
    restart: true,
    otherwise: "none",
    says: "PEM certificates of the authorities that sign clients' certificates; a client without such a certificate is refused",
  },
  "sockets.nbd_tcp.psk_file": {
    type: "place",
    restart: true,
    otherwise: "none",
    says: "pre-shared keys, one line of `identity:hexadecimal` per client as written by `psktool`, mode 0640 or less; instead of certificates, or in addition",
  },
  "sockets.nbd_tcp.allow": {
    type: "made",
    values: "a list of rules",
    default: "[]",
    says: 'who may open which export, and how: each rule is for one of `psk`, `subject`, `san`, `anyone`, with `exports` (`"all"` or a list) and `access` (`"read-only"`, `"read-write"`). Without any rule every accepted client may open everything',
  },
  "sockets.api_tcp": {
    type: "made",
    values: "`{ listen, certificate, key, token_file }`, all four, and `read_token_file`",
    restart: true,
    otherwise: "none",
    says: "the API over HTTPS with a bearer token; with that of `read_token_file` a client may read, and change nothing. Only their owner and group may read the key and the tokens. A reload rereads certificate and key",
  },
  "sockets.group": {
    type: "text",
    default: "pathmanager",
    restart: true,
    says: "group of both sockets; its members may change settings",
  },

  "state.directory": {
    type: "place",
    restart: true,
    otherwise: "`/var/lib/pathmanager`",
    says: "where settings and events are kept",
  },
  "state.events_max": {
    type: "whole",
    min: 100,
    max: 1_000_000,
    default: 10_000,
    restart: true,
    says: "how many events are kept",
  },

  "log.file": {
    type: "place",
    restart: true,
    otherwise: "`/var/log/pathmanager/spsevent.log`",
    says: "the event log; 5 MB, then renamed `.old`",
  },
  "log.level": {
    type: "choice",
    values: LOG_LEVELS,
    default: "info",
    restart: true,
    says: "what the daemon logs about itself",
  },
  "log.system": {
    type: "flag",
    default: true,
    restart: true,
    says: "whether important messages go to the system log (`/dev/log`)",
  },

  "limits.connections": {
    type: "whole",
    min: 1,
    max: 4096,
    default: 64,
    restart: true,
    says: "NBD connections; TCP clients may have three quarters of them",
  },
  "limits.connections_per_peer": {
    type: "whole",
    min: 1,
    max: 4096,
    restart: true,
    otherwise: "half of them",
    says: "of these, connections of one user, or of one TCP address; root is not limited",
  },
  "limits.requests": { type: "whole", min: 16, max: 65_536, default: 1024, restart: true, says: "requests in flight" },
  "limits.commands": { type: "whole", min: 16, max: 65_536, default: 1024, restart: true, says: "commands in flight" },
  "limits.pool_mib": { type: "whole", min: 32, max: 2048, default: 64, restart: true, says: "room for data" },
  "limits.units": {
    type: "whole",
    min: 1,
    max: 8192,
    forDevices: 256,
    restart: true,
    says: "size of the table of units",
  },
  "limits.paths": {
    type: "whole",
    min: 1,
    max: 65_536,
    forDevices: 2048,
    restart: true,
    says: "size of the table of paths",
  },
  "limits.events": {
    type: "whole",
    min: 64,
    max: 65_536,
    default: 4096,
    restart: true,
    says: "events that may queue inside the core",
  },
  "limits.path_depth": {
    type: "whole",
    min: 1,
    max: 128,
    default: 64,
    restart: true,
    says: "commands in flight on one path; fewer where its queue has too few tags",
  },

  "ring.backend": {
    type: "choice",
    values: ["auto", "io_uring", "epoll"],
    default: "auto",
    restart: true,
    says: "the kernel interface used for I/O",
  },
  "ring.poll_us": {
    type: "whole",
    min: 0,
    max: 1000,
    default: 50,
    restart: true,
    says: "how long the reactor polls for the next request after a lone reply before it sleeps",
  },

  "process.nice": {
    type: "whole",
    min: -20,
    max: 19,
    otherwise: "-10; 0 where `slice_us` is set and the kernel heeds it",
    restart: true,
    says: "niceness of the daemon's threads, which carry other programs' I/O and should not wait behind them",
  },
  "process.slice_us": {
    type: "whole",
    min: 0,
    max: 100_000,
    otherwise: "0",
    restart: true,
    says: "time slice that the daemon asks of the scheduler (Linux 6.12 or later): a short one lets it run sooner after it wakes, and no longer in all; 0 leaves the kernel's",
  },
} as const satisfies SettingTable;
