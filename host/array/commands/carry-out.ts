// Lets a command take effect, and lets its port's faults spoil the answer.

import { COMMAND_SENSE, COMMAND_SENSE_BYTES } from "../../abi.ts";
import type { Command } from "./command.ts";
import { execute } from "./execute.ts";
import type { PortFaults } from "../faults/fault-state.ts";
import { isMediumRead, STATUS_GOOD } from "../scsi.ts";
import type { Port } from "../array-unit.ts";

/** Finishes a command whose effect takes place now: executes it and lets the port's faults spoil the answer. */
export function carryOut(command: Command, port: Port, ports: readonly Port[]): void {
  execute(command, port, ports);
  const { faults } = port;
  if (faults === null) return command.close(port.array.descriptorSense);
  spoilAnswer(command, port, faults);
}

function spoilAnswer(command: Command, port: Port, faults: PortFaults): void {
  for (const entry of faults.list) {
    if (entry.fault.kind !== "short-data" || command.status !== STATUS_GOOD) continue;
    if ((!entry.namesCommands && !isMediumRead(command.cdb(0))) || !entry.strikes(command)) continue;
    command.moved = Math.max(0, command.moved - entry.fault.missingBytes);
    command.bytes.fill(0xa5, command.buffer + command.moved, command.buffer + command.bufferBytes);
    command.wanted = command.moved;
  }
  command.close(port.array.descriptorSense);
  const { bytes, slot } = command;
  const sense = bytes[slot + COMMAND_SENSE_BYTES] ?? 0;
  if (!faults.corruptSense || sense === 0) return;
  for (let i = 0; i < sense; i++) bytes[slot + COMMAND_SENSE + i] = (i * 89 + 0xb7) & 0xff;
}
