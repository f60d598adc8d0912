// `npm start` and `pathmanagerd`: the daemon in the foreground.

import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { becomeIoFlusher, endProcess, sendDatagram } from "../native/index.ts";
import { ServiceManager } from "../liaison/notify.ts";
import { readToken } from "./api/secrets.ts";
import { loadConfiguration } from "./configuration.ts";
import { Daemon } from "./daemon.ts";
import { ControlError, reasonOf } from "./errors.ts";
import { handlersOf } from "./handlers.ts";
import { groupId, listenTcp, listenUnix, listenUnixAgain } from "./listen.ts";
import { defectOf } from "./last-words.ts";
import { makeLogger, type Logger } from "./logger.ts";
import { forgiveStreams, standardError, standardOutput } from "./output.ts";
import { placesOf } from "./places.ts";
import { isEmulated } from "./schemas/configuration.ts";
import { makeServer, type Access } from "./server.ts";
import { standingCalls, takeStanding } from "./standing.ts";
import { statusOf } from "./status.ts";
import { ApiFiles } from "./tls/api-files.ts";
import { welcome } from "./welcome.ts";
import { CONFIGURATION_FILE, type LogLevel } from "./words.ts";

/** Whatever hangs, the process ends within this of a SIGTERM (not by process.exit, which waits for what hangs). */
const STOP_MS_MAX = 4500;

/** One line (or one for each mistake of the configuration), with what to do. */
function complain(thrown: unknown): void {
  const lines = reasonOf(thrown).split("\n");
  for (const line of lines) standardError.say(`pathmanagerd: ${line}\n`);
  if (thrown instanceof ControlError && thrown.remedy !== null) standardError.say(`pathmanagerd: ${thrown.remedy}\n`);
}

/** The API on its Unix socket and, if configured, on TCP. */
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
  const unix = make({ kind: "peer", uid: process.getuid?.() ?? 0, group });
  const tcp = configuration.sockets.api_tcp;
  // The Unix socket comes last: who is answered there may rely on the rest.
  const servers = [unix];
  if (tcp !== undefined) {
    const files = new ApiFiles(tcp);
    const secure = make({ kind: "token", token: readToken(tcp.token_file) }, files.tls);
    servers.push(secure);
    files.serve(secure);
    daemon.tlsSources.add(files);
    await listenTcp(secure, tcp.listen);
  }
  await listenUnix(unix, places.apiSocket, group);
  const again = (): Promise<void> => listenUnixAgain(unix, places.apiSocket, group);
  await daemon.keeping.keep({ what: "API", path: places.apiSocket, again });
  return servers;
}

function onSignals(daemon: Daemon, servers: readonly FastifyInstance[], manager: ServiceManager, logger: Logger): void {
  let stopping = false;
  const stop = async (signal: string): Promise<void> => {
    if (stopping) return;
    stopping = true;
    logger.info(`${signal}: stopping`);
    manager.stopping();
    setTimeout(() => endProcess(0), STOP_MS_MAX).unref();
    await Promise.allSettled(servers.map((server) => server.close()));
    await daemon.stop().catch((thrown) => logger.error(`stopping: ${reasonOf(thrown)}`));
    endProcess(0);
  };
  process.on("SIGTERM", () => void stop("SIGTERM"));
  process.on("SIGINT", () => void stop("SIGINT"));
  process.on("SIGHUP", () => {
    manager.reloading();
    daemon.reload().then(
      ({ applied, restartNeeded }) => {
        logger.info(`the configuration was read again; applied: ${applied.join(", ") || "nothing"}`);
        if (restartNeeded.length > 0) logger.warning(`needs a restart: ${restartNeeded.join(", ")}`);
        manager.reloaded();
      },
      (thrown: unknown) => {
        logger.error(`the configuration was not applied:\n${reasonOf(thrown)}`);
        manager.reloaded();
      },
    );
  });
  daemon.reactor.onFailure((error) => {
    logger.error(`${error.message}; the daemon ends, so that the service manager starts it anew`);
    daemon.die(error.message);
    endProcess(1);
  });
}

/**
 * What nobody caught ends the process at once, not by Node's own exit: that one waits for threads that may hang in the
 * kernel, and leaves a process that no signal ends. Promises that nobody handles come here as well.
 */
function endOnDefects(logger: Logger, daemon: () => Daemon | null): void {
  let dying = false;
  process.on("uncaughtException", (thrown) => {
    if (dying) endProcess(1);
    dying = true;
    const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    logger.error(`${text}\nthis is a defect of PathManager, please report it; the daemon ends`);
    daemon()?.die(defectOf(thrown));
    endProcess(1);
  });
}

async function run(config: string | undefined, wantedLevel: LogLevel | undefined, version: string): Promise<void> {
  const place = config ?? CONFIGURATION_FILE;
  const { configuration, file } = loadConfiguration(place, config !== undefined);
  const toJournal = process.env["JOURNAL_STREAM"] !== undefined;
  const level = wantedLevel ?? configuration.log.level;
  const logger = makeLogger(level, (text) => standardError.say(text), toJournal);
  let started: Daemon | null = null;
  endOnDefects(logger, () => started);
  takeStanding(configuration.process.nice, isEmulated(configuration), standingCalls(becomeIoFlusher), logger);
  const daemon = await Daemon.start({
    configuration,
    configurationFile: file,
    configurationPlace: place,
    places: placesOf(configuration, process.getuid?.() ?? 0),
    group: groupId(configuration.sockets.group),
    logger,
    linesLost: () => standardError.lost,
  });
  started = daemon;
  let servers: FastifyInstance[];
  try {
    servers = await serveApi(daemon, version);
  } catch (thrown) {
    await daemon.stop();
    throw thrown;
  }
  const manager = new ServiceManager(sendDatagram);
  onSignals(daemon, servers, manager, logger);
  const status = `${daemon.inventory.unitCount} logical units, ${daemon.inventory.pathCount} paths`;
  manager.ready(status, () => daemon.mirror.isAnswering);
  if (level === "info" || level === "debug") standardOutput.say(welcome(daemon, version));
}

/**
 * Runs the daemon until a signal ends it; what keeps it from starting is complained of, and ends the process with status 1.
 * @param config the file that was named; undefined: none was, and the default need not exist
 */
export async function runDaemon(
  config: string | undefined,
  level: LogLevel | undefined,
  version: string,
): Promise<void> {
  forgiveStreams();
  try {
    await run(config, level, version);
  } catch (thrown) {
    complain(thrown);
    endProcess(1);
  }
}
