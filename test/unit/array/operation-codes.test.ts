// REPORT SUPPORTED OPERATION CODES tells exactly what the array carries out.

import test from "ava";
import { cdb, quietArray, sense, STATUS_GOOD } from "./fixture.ts";

const LENGTHS = [6, 10, 10, 0, 16, 12, 0, 0];
const INVALID_OPCODE = [5, 0x20, 0];
const ILLEGAL_FIELD = [5, 0x24, 0];

type Array_ = ReturnType<typeof quietArray>;

function ask(array: Array_, options: number, opcode = 0, action = 0): ReturnType<Array_["command"]> {
  return array.command(0, cdb(0xa3, 0x0c, options, opcode, action >>> 8, action & 0xff, 0, 0, 0x10, 0, 0, 0), 4096);
}

interface Listed {
  readonly opcode: number;
  readonly action: number;
  readonly acting: boolean;
  readonly bytes: number;
}

function list(array: Array_, timeouts = false): Listed[] {
  const { data } = ask(array, timeouts ? 0x80 : 0);
  const view = new DataView(data.buffer, data.byteOffset);
  const listed: Listed[] = [];
  for (let at = 4; at < 4 + view.getUint32(0); at += timeouts ? 20 : 8) {
    const [action, bytes] = [view.getUint16(at + 2), view.getUint16(at + 6)];
    listed.push({ opcode: data[at] ?? 0, action, acting: ((data[at + 5] ?? 0) & 1) !== 0, bytes });
  }
  return listed;
}

/** Whether the array knows a command, by what it says to one of zeroes. */
function knows(array: Array_, opcode: number, action: number): boolean {
  const command = new Uint8Array(LENGTHS[opcode >>> 5] ?? 0);
  command[0] = opcode;
  command[1] = action;
  const result = array.command(0, command);
  const [key, asc, ascq] = sense(result);
  if (result.status === STATUS_GOOD) return true;
  const pointsToAction = (result.sense[17] ?? 0) === 1 && (result.sense[15] ?? 0) === 0xcc;
  return [key, asc, ascq].join() !== INVALID_OPCODE.join() && !pointsToAction;
}

test("what is listed is carried out, and nothing else is", (t) => {
  const array = quietArray({ units: 1 });
  const listed = list(array);
  for (let opcode = 0; opcode < 256; opcode++) {
    const bytes = LENGTHS[opcode >>> 5] ?? 0;
    if (bytes === 0) continue;
    const ofOpcode = listed.filter((entry) => entry.opcode === opcode);
    t.is(knows(array, opcode, ofOpcode[0]?.action ?? 0), ofOpcode.length > 0, `opcode ${opcode.toString(16)}`);
    for (const entry of ofOpcode) t.is(entry.bytes, bytes);
    if (ofOpcode[0]?.acting !== true) continue;
    for (let action = 0; action < 32; action++) {
      const expected = ofOpcode.some((entry) => entry.action === action);
      t.is(knows(array, opcode, action), expected, `opcode ${opcode.toString(16)} action ${action}`);
    }
  }
});

test("each command listed is told by itself, with its opcode and service action in the bits that count", (t) => {
  const array = quietArray({ units: 1 });
  for (const { opcode, action, acting, bytes } of list(array)) {
    for (const options of acting ? [2, 3] : [1, 3]) {
      const { data } = ask(array, options, opcode, action);
      t.deepEqual([data[1], data[3], data.length, data[4]], [3, bytes, 4 + bytes, opcode]);
      if (acting) t.is((data[5] ?? 0) & 0x1f, action);
    }
    t.deepEqual(sense(ask(array, acting ? 1 : 2, opcode, action)), ILLEGAL_FIELD);
  }
});

test("a command that is not there is told as not supported; unknown options are refused", (t) => {
  const array = quietArray({ units: 1 });
  for (const [options, opcode, action] of [
    [1, 0x1b, 0],
    [3, 0x1b, 0],
    [2, 0x9e, 0x17],
    [3, 0x9e, 0x17],
    [3, 0x88, 1],
  ] as const) {
    const { data } = ask(array, options, opcode, action);
    t.deepEqual([...data], [0, 1, 0, 0]);
  }
  t.deepEqual(sense(ask(array, 4)), ILLEGAL_FIELD);
});

test("timeouts descriptors come with the list and with one command when they are asked for", (t) => {
  const array = quietArray({ units: 1 });
  t.deepEqual(list(array, true), list(array));
  const { data } = ask(array, 0x81, 0x88);
  t.deepEqual([data[1], data.length, data[20], data[21]], [0x83, 4 + 16 + 12, 0, 10]);
});

test("the list is cut to the allocation length and says how long it is", (t) => {
  const array = quietArray({ units: 1 });
  const { data, residual } = array.command(0, cdb(0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0), 4096);
  t.deepEqual([data.length, residual], [12, 4096 - 12]);
  t.is(new DataView(data.buffer, data.byteOffset).getUint32(0), list(array).length * 8);
});
