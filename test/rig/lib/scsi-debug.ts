// The other array: the kernel's scsi_debug, with several hosts in front of the same units. No ALUA, but delays and timeouts.

import { run } from "./command.ts";
import { writeText } from "./files.ts";
import { scsiDevices, type ScsiDevice } from "./scsi.ts";

const PARAMETERS = "/sys/bus/pseudo/drivers/scsi_debug";

/** Bits of `opts` (see scsi_debug's documentation): what happens to every n-th command. */
export const OPTS = {
  none: 0,
  mediumError: 2,
  timeout: 4,
  recoveredError: 8,
  transportError: 16,
  hostBusy: 0x8000,
} as const;

export class ScsiDebug {
  /**
   * @param options.tags commands that a host accepts at once, for all of its units together
   * @param options.parameters further parameters of the module
   */
  static create(options: {
    readonly units: number;
    readonly paths: number;
    readonly unitMib: number;
    readonly tags?: number;
    readonly parameters?: readonly string[];
  }): ScsiDebug {
    run("modprobe", "-a", "sd_mod", "sg");
    const { units, paths, unitMib, tags, parameters = [] } = options;
    // per_host_store=0 and vpd_use_hostno=0: every host shows the same data and the same identity.
    run(
      "modprobe",
      "scsi_debug",
      `add_host=${paths}`,
      "num_tgts=1",
      `max_luns=${units}`,
      `dev_size_mb=${unitMib}`,
      "vpd_use_hostno=0",
      "delay=0",
      "lbpu=1",
      "lbpws=1",
      ...(tags === undefined ? [] : [`max_queue=${tags}`]),
      ...parameters,
    );
    return new ScsiDebug();
  }

  set(parameter: string, value: string | number): void {
    writeText(`${PARAMETERS}/${parameter}`, value);
  }

  /** The paths to a unit, by host. */
  devices(unit: number): readonly ScsiDevice[] {
    return scsiDevices().filter((device) => device.model === "scsi_debug" && device.lun === unit);
  }
}
