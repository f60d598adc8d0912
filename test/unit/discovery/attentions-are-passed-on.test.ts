// What a device tells discovery it does not tell the core any more: a unit attention after which a path may lead to another
// unit is passed on at once, not when the rescan of all the devices is over.
import test from "ava";
import { attentive, senseOf } from "../../../host/discovery/attentions.ts";
import { discover } from "../../../host/discovery/discover.ts";
import type { ScsiResult, ScsiTransport } from "../../../host/discovery/transport.ts";
import { candidate } from "./pages.ts";

const NOTHING = { hostStatus: 0, data: new Uint8Array(0) };
const fixed = (key: number, asc: number, ascq: number): ScsiResult => {
  const sense = new Uint8Array(18);
  sense.set([0x70, 0, key, 0, 0, 0, 0, 10]);
  sense.set([asc, ascq], 12);
  return { status: 2, sense, ...NOTHING };
};
const descriptor = (key: number, asc: number, ascq: number): ScsiResult => ({
  status: 2,
  sense: Uint8Array.of(0x72, key, asc, ascq, 0, 0, 0, 0),
  ...NOTHING,
});

test("a doubt is told while another device still answers nothing", async (t) => {
  const told: string[] = [];
  const { promise: hangs, resolve: release } = Promise.withResolvers<ScsiResult>();
  let first = true;
  const devices: ScsiTransport = {
    command: async (device) => {
      if (device === "/dev/sg1") return hangs;
      const answer = first ? fixed(6, 0x3f, 0x0e) : fixed(5, 0x20, 0);
      first = false;
      return answer;
    },
  };
  const transport = attentive(devices, (device) => told.push(device));
  const looking = discover(transport, [candidate("/dev/sg0", "4:0:0:0"), candidate("/dev/sg1", "5:0:0:0")], {
    devices: "all",
    exclude: [],
    budgetMs: 20_000,
  });
  const answered = await Promise.race([
    looking.then(() => "over"),
    new Promise((resolve) => setImmediate(resolve, "on")),
  ]);
  t.is(answered, "on");
  t.deepEqual(told, ["/dev/sg0"]);
  release(fixed(5, 0x20, 0));
  t.is((await looking).refusals.length, 2);
});

for (const [key, asc, ascq, problem] of [
  [6, 0x28, 0x00, true],
  [6, 0x28, 0x01, true],
  [6, 0x29, 0x00, true],
  [6, 0x29, 0x07, true],
  [6, 0x3f, 0x03, true],
  [6, 0x3f, 0x05, true],
  [6, 0x3f, 0x0e, true],
  // Resets by others, changed parameters, access states: the unit is the same.
  [6, 0x29, 0x02, false],
  [6, 0x2a, 0x01, false],
  [6, 0x2a, 0x06, false],
  [5, 0x3f, 0x0e, false],
] as const) {
  const name = `sense ${[key, asc, ascq].map((byte) => byte.toString(16)).join("/")}`;
  test(`${name} is ${problem ? "a" : "no"} doubt, in both formats`, async (t) => {
    for (const result of [fixed(key, asc, ascq), descriptor(key, asc, ascq)]) {
      const told: string[] = [];
      const transport = attentive({ command: async () => result }, (device, attention) => {
        if (attention === "unverified") told.push(device);
      });
      t.is(await transport.command("/dev/sg0", new Uint8Array(6), 0, 100), result);
      t.deepEqual(told, problem ? ["/dev/sg0"] : []);
      t.deepEqual(senseOf(result), { key, asc, ascq });
    }
  });
}

test("a thin unit's soft threshold is passed on as such, and no other sense of its code", async (t) => {
  const told: string[] = [];
  for (const result of [
    fixed(6, 0x38, 7),
    descriptor(6, 0x38, 7),
    fixed(6, 0x38, 6),
    fixed(1, 0x38, 7),
    fixed(7, 0x27, 7),
  ]) {
    const transport = attentive({ command: async () => result }, (device, attention) =>
      told.push(`${device} ${attention}`),
    );
    t.is(await transport.command("/dev/sg0", new Uint8Array(6), 0, 100), result);
  }
  t.deepEqual(told, ["/dev/sg0 thin-threshold", "/dev/sg0 thin-threshold"]);
});
