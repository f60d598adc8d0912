// A unit whose paths lie in two port groups, and a device that tells of them.
import * as abi from "../../../host/abi.ts";
import { REPORT, SET, scene, type Scene } from "./scene.ts";
import { check } from "./scsi.ts";

/** A report of target port groups. */
export function report(groups: readonly { id: number; state: number; ports: readonly number[] }[]): Buffer {
  const parts = groups.map(({ id, state, ports }) =>
    Buffer.from([
      state,
      0x8f,
      id >> 8,
      id & 255,
      0,
      2,
      0,
      ports.length,
      ...ports.flatMap((port) => [0, 0, port >> 8, port & 255]),
    ]),
  );
  const body = Buffer.concat(parts);
  const header = Buffer.alloc(4);
  header.writeUInt32BE(body.length);
  return Buffer.concat([header, body]);
}

export function aluaScene(
  pathCount = 4,
  identity: readonly number[] = [],
): Scene & { states: number[]; alua: (path: number) => number } {
  const states = [0, 1];
  const made = scene(identity, pathCount, abi.UNIT_CAN_ALUA);
  const { host, paths, disk } = made;
  host.settle();
  paths.forEach((path, i) => {
    host.must(host.core.pathSet(path, abi.PATH_SET_TARGET_PORT_GROUP, BigInt((i % 2) + 1)));
    host.must(host.core.pathSet(path, abi.PATH_SET_ALUA, BigInt(i % 2)));
  });
  for (let i = 0; i < pathCount; i++) {
    made.faults.set(i, (command) => {
      const state = states[i % 2] ?? 0;
      if (command.cdb[0] === REPORT) {
        const bytes = report(states.map((one, id) => ({ id: id + 1, state: one, ports: [id] })));
        host.bytes(command.buffer, command.bytes).set(bytes);
        return { residual: command.bytes - bytes.length };
      }
      if (command.cdb[0] === SET) {
        const list = host.bytes(command.buffer, command.bytes);
        states[list.readUInt16BE(6) - 1] = list[4] ?? 0;
        return {};
      }
      if (state === abi.ALUA_STANDBY) return check(2, 4, 0x0b);
      if (state === abi.ALUA_TRANSITIONING) return check(2, 4, 0x0a);
      return disk.execute(host, command);
    });
  }
  const alua = (path: number): number =>
    host.view.getUint8(host.core.pathTable() + path * abi.PATH_BYTES + abi.PATH_ALUA);
  return { ...made, states, alua };
}
