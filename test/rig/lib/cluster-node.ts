// One node of a cluster whose array is the emulated one: half of its paths are another host's, whose part the test plays.

import { join } from "node:path";
import { reserveOutCommand, type ReserveOut } from "../../../host/discovery/persistent-reservations.ts";
import { TestDaemon } from "../../unit/control/fixtures/daemon.ts";
import { run } from "./command.ts";
import { afterwards } from "./test.ts";

export const AGENTS = join(process.cwd(), "host/cli/packaging/cluster");
export const DEVICE = "/dev/nbd0";
export const [OURS, OTHERS] = ["0xa1", "0xb2"];
/** A port of the initiator 5, which is the other host's. */
const OTHER_PORT = 3;
const CONFIGURATION = `
exclude = [{ path = "5:0:2:0" }, { path = "5:0:3:0" }]
timeouts.no_path_ms = 3600000
[patrol]
interval_s = 1
threshold_s = 1
timeout_s = 1
[array]
units = 1
paths = 4
unit_mib = 8
`;

/** A daemon of the emulated array, in this process, so that the other host can be played; therefore nothing here may run a program and block. */
export async function daemonOf(): Promise<TestDaemon> {
  run("modprobe", "nbd");
  const daemon = await TestDaemon.start({ teardown: afterwards }, CONFIGURATION);
  afterwards(async () => void (await attachments(daemon, "detach").catch(() => undefined)));
  return daemon;
}

export const attachments = (daemon: TestDaemon, what: "attach" | "detach"): Promise<{ status: number }> =>
  daemon.call("POST", `/v1/units/0/${what}`, { device: DEVICE });

/** What another host does. */
export async function other(daemon: TestDaemon, out: ReserveOut): Promise<number> {
  const { cdb, list } = reserveOutCommand(out);
  for (let tries = 0; tries < 8; tries++) {
    const { status } = await daemon.daemon.reactor.arrayCommand(OTHER_PORT, cdb, list);
    // A unit attention comes first.
    if (status !== 2) return status;
  }
  return 2;
}

interface View {
  readonly state: string;
  readonly device: { readonly keys: readonly string[]; readonly held: { readonly type: number } | null } | null;
}

const view = async (daemon: TestDaemon): Promise<View> =>
  (await daemon.call<View>("GET", "/v1/units/0/reservation")).body;

/** The keys at the device, each once. */
export const keys = async (daemon: TestDaemon): Promise<string[]> =>
  [...new Set((await view(daemon)).device?.keys)].toSorted();
