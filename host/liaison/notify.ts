// Reports the daemon's state to the service manager (sd_notify(3)): a datagram to the socket that NOTIFY_SOCKET names.

import type { SendDatagram } from "./system-log.ts";

/** Talks to the service manager, or to nobody when there is none. */
export class ServiceManager {
  readonly #send: SendDatagram;
  readonly #socket: string | undefined;
  readonly #watchdogUs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(send: SendDatagram, environment: NodeJS.ProcessEnv = process.env) {
    this.#send = send;
    this.#socket = environment["NOTIFY_SOCKET"];
    const isForUs = environment["WATCHDOG_PID"] === undefined || environment["WATCHDOG_PID"] === String(process.pid);
    this.#watchdogUs = isForUs ? Number(environment["WATCHDOG_USEC"] ?? 0) : 0;
  }

  #tell(state: string): void {
    if (this.#socket === undefined || this.#socket === "") return;
    try {
      this.#send(this.#socket, Buffer.from(state));
    } catch {
      // The service manager is gone; nothing depends on it.
    }
  }

  /**
   * The daemon is ready. From now on the watchdog is fed at half its interval, as long as `isAlive` returns true: a daemon whose
   * reactor has stopped turning is restarted by the service manager.
   */
  ready(status: string, isAlive: () => boolean): void {
    this.#tell(`READY=1\nSTATUS=${status}\nMAINPID=${process.pid}`);
    if (!(this.#watchdogUs > 0)) return;
    this.#timer = setInterval(() => {
      if (isAlive()) this.#tell("WATCHDOG=1");
    }, this.#watchdogUs / 2000);
    this.#timer.unref();
  }

  /** One line of status. */
  status(text: string): void {
    this.#tell(`STATUS=${text}`);
  }

  reloading(): void {
    this.#tell(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  reloaded(): void {
    this.#tell("READY=1");
  }

  stopping(): void {
    clearInterval(this.#timer);
    this.#tell("STOPPING=1");
  }
}
