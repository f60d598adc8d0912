// The process of `pathmanagerd`, once its arguments are parsed: carries I/O, and looks after control.

import { becomeIoFlusher, endProcess, requestNiceness, requestSlice, sendDatagram, writeNow } from "../native/index.ts";
import { ServiceManager } from "../liaison/notify.ts";
import { surviveShutdown } from "../liaison/survival.ts";
import { privilegeCalls } from "./privileges.ts";
import { Supervisor } from "./supervisor.ts";

const STANDARD_ERROR = 2;

/** As sd-daemon(3) has them; written only when standard error goes to the journal. */
const PREFIXES = { error: "<3>", warning: "<4>" } as const;

/** Writes now or never: nobody waits for a reader here. */
function say(level: "error" | "warning", text: string): void {
  const prefix = process.env["JOURNAL_STREAM"] === undefined ? "" : PREFIXES[level];
  for (const line of text.split("\n"))
    writeNow(STANDARD_ERROR, Buffer.from(`${prefix}pathmanagerd: ${level}: ${line}\n`));
}

/**
 * Runs the daemon until a signal ends it. If control cannot start, the process ends with control's status.
 * @param entry the program of control
 * @param args its arguments
 */
export function supervise(entry: URL, args: readonly string[]): void {
  // Node's own warnings may fail silently.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  surviveShutdown();
  const privileges = privilegeCalls({ becomeIoFlusher, requestNiceness, requestSlice });
  const supervisor = new Supervisor({ entry, args, manager: new ServiceManager(sendDatagram), privileges, say });
  let isDying = false;
  process.on("uncaughtException", (thrown) => {
    if (isDying) endProcess(1);
    isDying = true;
    const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    say("error", `${text}\nthis is a defect of PathManager, please report it; the daemon ends`);
    supervisor.die(reasonOf(thrown));
  });
  process.on("SIGTERM", () => supervisor.stop());
  process.on("SIGINT", () => supervisor.stop());
  process.on("SIGHUP", () => supervisor.reload());
  process.on("SIGUSR2", () => supervisor.replaceControl());
  supervisor.begin();
}

/** One line for anything thrown: what, and where. */
function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const where = /^\s+at (.+)$/m.exec(thrown.stack ?? "")?.[1];
  const reason = `${thrown.name}: ${thrown.message}`.replaceAll(/\s*\n\s*/g, " ");
  return where === undefined ? reason : `${reason} (at ${where})`;
}
