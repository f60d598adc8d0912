// What must not be left behind when this process is told to end.

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Runs `work` with a signal that fires when this process is told to end. Once `work` has cleaned up, the process ends as it was told. */
export async function untilTold<T>(work: (told: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  let told: NodeJS.Signals | undefined;
  const note = (signal: NodeJS.Signals): void => {
    told ??= signal;
    abort.abort();
  };
  for (const signal of SIGNALS) process.on(signal, note);
  try {
    return await work(abort.signal);
  } finally {
    for (const signal of SIGNALS) process.removeListener(signal, note);
    if (told !== undefined) process.kill(process.pid, told);
  }
}
