// Control: all of the daemon except what carries I/O, which the supervisor keeps (host/supervisor). It may end at any time and be
// restarted; then it takes over what is running.

import { writeFileSync } from "node:fs";
import module from "node:module";
import type { Socket } from "node:net";
import { setPriority } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { alsoOwn } from "../discovery/uses.ts";
import { endProcess } from "../native/index.ts";
import { readTokens } from "./tls/secrets.ts";
import { loadConfiguration } from "./settings/configuration.ts";
import { Daemon } from "./daemon.ts";
import type { DaemonOptions } from "./parts.ts";
import { ControlError, reasonOf } from "./ground/control-errors.ts";
import { handlersOf } from "./api/handlers.ts";
import { groupId, listenTcp, listenUnix, listenUnixAgain, type UnixPlace } from "./ground/listen.ts";
import { Kept } from "./devices/kept.ts";
import { defectOf } from "./state/last-words.ts";
import { Lifeline } from "./core/lifeline.ts";
import { makeLogger, type Logger } from "./ground/logger.ts";
import { forgiveStreams, standardError, standardOutput } from "./api/output.ts";
import { setDaemonPid } from "./ground/own-process.ts";
import { placesOf } from "./settings/places.ts";
import { makeServer, type Access } from "./api/api-server.ts";
import { statusOf } from "./daemon-status.ts";
import { ApiFiles } from "./tls/api-files.ts";
import { banner } from "./banner.ts";
import { type LogLevel } from "../settings/names.ts";
import { CONFIGURATION_FILE } from "./schemas/constants.ts";
import { counted } from "../wording.ts";

/** The process ends within this time of a SIGTERM, whatever hangs (not by process.exit, which waits for hung threads). */
const STOP_MS_MAX = 4500;

/** How long to wait for a state file in use, and how often to retry. */
const LOCKED_MS_MAX = 2000;
const LOCKED_PAUSE_MS = 50;

/** One line (or one for each mistake in the configuration), with what to do. */
function complain(thrown: unknown): void {
  const lines = reasonOf(thrown).split("\n");
  for (const line of lines) standardError.say(`pathmanagerd: ${line}\n`);
  if (thrown instanceof ControlError && thrown.remedy !== null) standardError.say(`pathmanagerd: ${thrown.remedy}\n`);
}

async function serveUnix(daemon: Daemon, server: FastifyInstance, what: string, place: UnixPlace): Promise<void> {
  await listenUnix(server, place);
  await daemon.keeping.keep({ what, path: place.path, again: () => listenUnixAgain(server, place) });
}

/** The API on its Unix sockets and, if configured, on TCP. */
async function serveApi(daemon: Daemon, version: string): Promise<FastifyInstance[]> {
  const { configuration, group, logger, places } = daemon.options;
  const handlers = handlersOf(daemon, {
    isEmulated: daemon.emulated,
    status: () => statusOf(daemon, version),
    config: () => ({
      file: daemon.configurationFile,
      configuration: daemon.effective.configuration,
      restartNeeded: [...daemon.restartNeeded],
    }),
    reload: () => daemon.reload(),
  });
  const onDefect = (thrown: unknown, request: string): void =>
    logger.error(`${request}: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`);
  const refusalOf = (socket: Socket): string | null => daemon.descriptors.refusalOf(socket);
  const make = (access: Access, tls?: { cert: Buffer; key: Buffer }) =>
    makeServer({
      handlers,
      hub: daemon.hub,
      version,
      access,
      onDefect,
      refusalOf,
      onCounting: (closed) => daemon.apiClosed.push(closed),
      ...(tls === undefined ? {} : { tls }),
    });
  const groupName = configuration.sockets.group;
  const unix = make({ kind: "peer", uid: process.getuid?.() ?? 0, group, groupName });
  const tcp = configuration.sockets.api_tcp;
  // The Unix socket comes last: a client that is answered there may rely on the rest.
  const servers = [unix];
  if (tcp !== undefined) {
    const files = new ApiFiles(tcp);
    const secure = make({ kind: "token", ...readTokens(tcp) }, files.tls);
    servers.push(secure);
    files.serve(secure);
    daemon.tlsSources.add(files);
    await listenTcp(secure, tcp.listen);
  }
  if (places.readSocket !== null) {
    const readers = make({ kind: "reader", groupName, changes: places.apiSocket });
    servers.push(readers);
    await serveUnix(daemon, readers, "API for readers", { path: places.readSocket, group, who: "everyone" });
  }
  await serveUnix(daemon, unix, "API", { path: places.apiSocket, group });
  return servers;
}

/** Handles the supervisor's orders, and the end of the reactor. */
function obey(lifeline: Lifeline, daemon: Daemon, servers: readonly FastifyInstance[], logger: Logger): void {
  let going = false;
  const stop = async (): Promise<void> => {
    if (going) return;
    going = true;
    logger.info("stopping");
    setTimeout(() => endProcess(0), STOP_MS_MAX).unref();
    await daemon.keeping.stop();
    await Promise.allSettled(servers.map((server) => server.close()));
    await daemon.stop().catch((thrown) => logger.error(`stopping: ${reasonOf(thrown)}`));
    endProcess(0);
  };
  const leave = async (): Promise<void> => {
    if (going) return;
    going = true;
    logger.info("control goes, another one follows");
    await daemon.leave().catch((thrown) => logger.error(`leaving: ${reasonOf(thrown)}`));
    endProcess(0);
  };
  const die = (reason: string): void => {
    daemon.die(reason);
    endProcess(1);
  };
  lifeline.obey({
    stop: () => void stop(),
    leave: () => void leave(),
    reload: () => reload(lifeline, daemon, logger),
    die,
    stalled: (reactor, isStalled) => {
      const several = daemon.reactor.reactors > 1;
      if (isStalled) daemon.hub.say("reactor-stalled", several ? { detail: { reactor } } : {});
    },
    told: (level, text) => logger[level](text),
  });
  daemon.reactor.onFailure((error) => {
    logger.error(`${error.message}; the daemon ends, so that the service manager starts it anew`);
    die(error.message);
  });
}

function reload(lifeline: Lifeline, daemon: Daemon, logger: Logger): void {
  daemon.reload().then(
    ({ applied, restartNeeded }) => {
      logger.info(`the configuration was read again; applied: ${applied.join(", ") || "nothing"}`);
      if (restartNeeded.length > 0) logger.warning(`needs a restart: ${restartNeeded.join(", ")}`);
      lifeline.reloaded();
    },
    (thrown: unknown) => {
      logger.error(`the configuration was not applied:\n${reasonOf(thrown)}`);
      lifeline.reloaded();
    },
  );
}

/**
 * An uncaught exception ends control at once, and not by Node's own exit, which waits for threads that may hang in the kernel.
 * Unhandled promise rejections come here as well. I/O continues, and a new control takes over.
 */
function endOnDefects(lifeline: Lifeline, logger: Logger, daemon: () => Daemon | null): void {
  let dying = false;
  process.on("uncaughtException", (thrown) => {
    if (dying) endProcess(1);
    dying = true;
    const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    logger.error(`${text}\nthis is a defect of PathManager, please report it; control ends, I/O goes on`);
    lifeline.dying(defectOf(thrown));
    try {
      daemon()?.hub.end();
    } catch (problem) {
      logger.error(`the logs do not take it: ${reasonOf(problem)}`);
    }
    endProcess(1);
  });
}

/** How much nicer than the reactor control is; its start would otherwise take processor time that I/O needs. */
const NICER_BY = 5;

/** Control is expendable when memory is short, and yields the processor to the reactor, which has a lower niceness or shorter slices. */
function stepBack(nice = 0): void {
  try {
    writeFileSync("/proc/self/oom_score_adj", "0");
  } catch {
    // Without /proc the kernel's default judgement stands.
  }
  try {
    setPriority(0, nice < 0 ? Math.min(0, nice + NICER_BY) : nice);
  } catch {
    // The supervisor has already reported that it is not permitted.
  }
}

/** The control of a killed daemon dies with it, but not at the same instant: until then it holds the state file. */
async function startWhenFree(options: DaemonOptions): Promise<Daemon> {
  const end = performance.now() + LOCKED_MS_MAX;
  for (;;) {
    try {
      return await Daemon.start(options);
    } catch (thrown) {
      const isLocked = thrown instanceof ControlError && thrown.code === "STATE_LOCKED";
      if (!isLocked || performance.now() > end) throw thrown;
      await sleep(LOCKED_PAUSE_MS);
    }
  }
}

async function run(config: string | undefined, wantedLevel: LogLevel | undefined, version: string): Promise<void> {
  const lifeline = await Lifeline.begin();
  setDaemonPid(lifeline.pid);
  alsoOwn(lifeline.pid);
  const place = config ?? CONFIGURATION_FILE;
  // A control that takes over keeps the settings in force; a changed file takes effect on a reload, as always.
  const { started: kept } = new Kept(lifeline);
  const { configuration, file, notes } =
    kept === null ? loadConfiguration(place, config !== undefined) : { configuration: kept, file: null, notes: [] };
  stepBack(configuration.process.nice);
  const toJournal = process.env["JOURNAL_STREAM"] !== undefined;
  const level = wantedLevel ?? configuration.log.level;
  const logger = makeLogger(level, (text) => standardError.say(text), toJournal);
  for (const text of notes) logger.warning(text);
  let started: Daemon | null = null;
  endOnDefects(lifeline, logger, () => started);
  const daemon = await startWhenFree({
    configuration,
    configurationFile: file,
    configurationPlace: place,
    places: placesOf(configuration, process.getuid?.() ?? 0),
    group: groupId(configuration.sockets.group),
    logger,
    linesLost: () => standardError.lost,
    keeper: lifeline,
  });
  started = daemon;
  let servers: FastifyInstance[];
  try {
    servers = await serveApi(daemon, version);
  } catch (thrown) {
    // What an earlier control served continues without this one.
    if (lifeline.adoption === null) await daemon.stop();
    throw thrown;
  }
  obey(lifeline, daemon, servers, logger);
  lifeline.ready(
    `${counted(daemon.inventory.unitCount, "logical unit")}, ${counted(daemon.inventory.pathCount, "path")}`,
  );
  const isFirst = lifeline.adoption === null;
  if (isFirst && (level === "info" || level === "debug")) standardOutput.say(banner(daemon, version));
  // Node writes it only on a regular exit, and a control that dies must restart quickly.
  module.flushCompileCache();
}

/**
 * Runs control until it is told to end. A failure to start is reported, and ends the process with status 1.
 * @param config the file that was named; undefined when none was, and then the default file may be missing
 */
export async function runControl(
  config: string | undefined,
  level: LogLevel | undefined,
  version: string,
): Promise<void> {
  forgiveStreams();
  // Orders come from the supervisor, even where a terminal or service manager signals all of its processes.
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR2"] as const) process.on(signal, () => undefined);
  try {
    await run(config, level, version);
  } catch (thrown) {
    complain(thrown);
    endProcess(1);
  }
}
