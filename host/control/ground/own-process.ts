// Which process operators know as the daemon: the one that carries I/O, and may have started this one.

let pid = process.pid;

/** To be told at the start, where it is another one. */
export function setDaemonPid(value: number): void {
  pid = value;
}

export const daemonPid = (): number => pid;
