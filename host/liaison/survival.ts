// At the end of a shutdown systemd kills what still runs, but for processes whose name begins with @ (systemd.io/ROOT_STORAGE_DAEMONS): a
// daemon on whose device the root lies was started in the initramfs, which says so, and lives until the machine is off.

const SURVIVES = "PATHMANAGER_SURVIVES";

/** Whether this is such a daemon: the initramfs says so. */
export const survivesShutdown = (environment: NodeJS.ProcessEnv = process.env): boolean =>
  environment[SURVIVES] !== undefined;

/** Takes such a name, where the initramfs asks for it. */
export function surviveShutdown(environment: NodeJS.ProcessEnv = process.env): void {
  if (survivesShutdown(environment)) process.title = "@pathmanagerd";
}
