// Settings of thousands of units go out while the rest of them is still being made.
import test from "ava";
import { demand, modeSet, type CoreCall } from "../../../host/control/core/reactor-port.ts";

const CALLS = 5000;

function reactor(refused: (value: number) => boolean) {
  const portions: CoreCall[][] = [];
  const settings = (calls: CoreCall[]) => {
    portions.push(calls);
    return Promise.resolve(
      calls.map((call) =>
        "value" in call && refused(call.value) ? { code: "CORE_RANGE" as const, message: `${call.value}` } : null,
      ),
    );
  };
  return { portions, client: { settings } as unknown as Parameters<typeof demand>[0] };
}

test("a portion is sent before the next one is made, and all arrive in order", async (t) => {
  const { portions, client } = reactor(() => false);
  let made = 0;
  let ahead = 0;
  async function* calls(): AsyncGenerator<CoreCall> {
    while (made < CALLS) {
      yield modeSet(1, made++);
      ahead = Math.max(ahead, made - portions.flat().length);
    }
  }
  await demand(client, calls(), "setting");
  t.true(portions.length > 1);
  t.deepEqual(
    portions.flat(),
    Array.from({ length: CALLS }, (_, value) => modeSet(1, value)),
  );
  t.true(ahead < CALLS / 2, `${ahead} were made before they could go out`);
});

test("the first refusal is reported, and the other calls are carried out", async (t) => {
  const { portions, client } = reactor((value) => value === 7 || value === CALLS - 1);
  const calls = Array.from({ length: CALLS }, (_, value) => modeSet(1, value));
  const thrown = await t.throwsAsync(demand(client, calls, "setting", "mode"));
  t.regex(thrown?.message ?? "", /^setting: 7$/);
  t.is(portions.flat().length, CALLS);
});

test("without calls nothing is sent", async (t) => {
  const { portions, client } = reactor(() => false);
  await demand(client, [], "setting");
  t.deepEqual(portions, []);
});
