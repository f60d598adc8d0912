// The process operators know as the daemon: the one that carries I/O, which may have started this one.

let pid = process.pid;

/** Set at the start when it is another process. */
export function setDaemonPid(value: number): void {
  pid = value;
}

export const daemonPid = (): number => pid;
