// array: a command inside the guest that acts as the storage administrator, and injects faults into the array.

import { Argument, Command, InvalidArgumentError } from "commander";
import { LioArray } from "./lib/lio.ts";
import { ALUA_STATES, CONTROLLERS, type AluaState, type Controller } from "./lib/stores.ts";
import { ScsiDebug } from "./lib/scsi-debug.ts";

const whole = (text: string): number => {
  if (/^\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It is a number, counted from 0.");
};
const line = new Argument("<state>").choices(["online", "offline"]);
const controller = new Argument("<controller>").choices(Object.keys(CONTROLLERS));

function fromOrders(name: string): number {
  const value = Number(process.env[name]);
  if (!Number.isInteger(value)) throw new Error(`${name} is not set: this command runs inside the rig`);
  return value;
}

function create(): void {
  const options = {
    units: fromOrders("RIG_UNITS"),
    paths: fromOrders("RIG_PATHS"),
    unitMib: fromOrders("RIG_UNIT_MIB"),
  };
  const kind = process.env["RIG_ARRAY"];
  if (kind === "scsi_debug") ScsiDebug.create(options);
  else LioArray.create({ ...options, mapped: kind === "lio-mapped" });
}

function status(): void {
  const array = new LioArray();
  for (const path of array.paths()) {
    for (const [lun, unit] of path.luns) {
      const device = array.device(path.number, unit);
      const where = device === undefined ? "no device" : `${device.pathNumber} ${device.sg}`;
      const state = path.online ? "online" : "offline";
      const alua = array.alua(path.controller, unit) ?? "?";
      console.log(
        `path ${path.number} controller ${path.controller} ${state} lun ${lun} unit ${unit} ${alua} ${where}`,
      );
    }
  }
}

const program = new Command("array").description("Builds and troubles the array inside the rig");
program.command("create").description("builds what the rig's options ask for").action(create);
program.command("status").description("lists paths, states and devices").action(status);
const path = program
  .command("path <number>")
  .description("one path: online, offline, or remap UNIT (of LUN 0, or --lun N)");
path
  .addArgument(new Argument("<what>").choices(["online", "offline", "remap", "delay", "silent", "answering"]))
  .argument("[value]", "remap: the unit it shall lead to; delay: how many ms", whole)
  .option("--lun <n>", "remap: which LUN", whole, 0)
  .action((number: string, what: string, value: number | undefined, options: { lun: number }) => {
    const array = new LioArray();
    const which = whole(number);
    if (what === "online" || what === "offline") return array.setPath(which, what === "online");
    if (what === "silent" || what === "answering") return array.answerPath(which, what === "answering");
    if (value === undefined) throw new Error(`${what}: a number is missing (array path ${number} ${what} N)`);
    return what === "delay" ? array.delayPath(which, value) : array.remap(which, options.lun, value);
  });
program
  .command("controller")
  .description("all paths of a controller")
  .addArgument(controller)
  .addArgument(line)
  .action((name: Controller, state: string) => new LioArray().setController(name, state === "online"));
program
  .command("alua")
  .description("changes the access state of a controller's target port group")
  .addArgument(controller)
  .addArgument(new Argument("<state>").choices(Object.keys(ALUA_STATES)))
  .action((name: Controller, state: AluaState) => new LioArray().setAlua(name, state));
const unit = program.command("unit").description("adds or removes a logical unit");
unit
  .command("add")
  .argument("<number>", "its number", whole)
  .option("--size <MiB>", "its size", whole, Number(process.env["RIG_UNIT_MIB"] ?? 64))
  .action((number: number, options: { size: number }) => new LioArray().addUnit(number, options.size));
unit
  .command("remove")
  .argument("<number>", "its number", whole)
  .action((number: number) => new LioArray().removeUnit(number));
program
  .command("debug")
  .description("sets a parameter of scsi_debug: delay, ndelay, every_nth, opts, ... (Documentation: its sysfs folder)")
  .argument("<parameter>")
  .argument("<value>")
  .action((parameter: string, value: string) => new ScsiDebug().set(parameter, value));

try {
  await program.parseAsync();
} catch (error) {
  console.error(`array: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
