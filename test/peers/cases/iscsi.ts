// libiscsi's test suite judges the emulated array, behind a small iSCSI target of ours. Each verdict is expected by name,
// including tests that the suite skips: a change of the array's features changes a verdict.

import { EmulatedArray } from "../../../host/array/array.ts";
import type { ArrayTopology } from "../../../host/array/array-topology.ts";
import { type Case, check, same } from "../case.ts";
import { IscsiTarget } from "../iscsi/target.ts";
import { differences, expectedVerdicts, parseOutput, type Verdict } from "../iscsi/verdicts.ts";
import { run } from "../run.ts";

/** 16 initiator ports, because the suite logs in again for many tests; the second target port is for its multipath tests. */
function arrayForSuite(shape: Partial<ArrayTopology>): EmulatedArray {
  const topology: ArrayTopology = {
    units: 1,
    unitBytes: 64 * 1024 * 1024,
    controllers: 2,
    portsPerController: 1,
    initiatorPorts: 16,
    paths: 32,
    writeCache: true,
    ...shape,
  };
  return new EmulatedArray(topology, { directBytesMax: 32 * 1024 * 1024 });
}

async function withTarget(
  act: (target: IscsiTarget, array: EmulatedArray) => Promise<void>,
  shape: Partial<ArrayTopology> = {},
): Promise<void> {
  const array = arrayForSuite(shape);
  const target = await IscsiTarget.start(array);
  try {
    await act(target, array);
    check(target.failure === undefined, `the target: ${target.failure?.stack}`);
  } finally {
    await target.stop();
  }
}

/** The suite's verdicts on a family, a suite or a test. */
async function judge(target: IscsiTarget, tests: string): Promise<Map<string, Verdict>> {
  const args = ["--dataloss", "--test", tests, target.url(0), target.url(1)];
  // The status only says that a test failed; the output says which one.
  const { stdout } = await run("iscsi-test-cu", args, { timeoutMs: 400_000, statuses: [0, 1] });
  return parseOutput(stdout);
}

export const cases: readonly Case[] = [
  {
    name: "iSCSI: libiscsi finds both target ports, the unit behind them and its size",
    run: () =>
      withTarget(async (target) => {
        const { stdout } = await run("iscsi-ls", ["-s", target.portal]);
        check((stdout.match(/^Target:/gm) ?? []).length === 2, `two targets expected: ${stdout}`);
        const { stdout: capacity } = await run("iscsi-readcapacity16", [target.url(0)]);
        check(/Total size:\s*67108864/.test(capacity), `64 MiB expected: ${capacity}`);
      }),
  },
  {
    name: "iSCSI: iscsi-test-cu's verdict on each test of the emulated array is the expected one",
    run: () =>
      withTarget(async (target) => {
        const wrong = differences(await judge(target, "ALL"), expectedVerdicts());
        check(wrong.length === 0, `${wrong.length} verdicts differ\n${wrong.join("\n")}`);
      }),
  },
  {
    name: "iSCSI: iscsi-test-cu finds a write-protected unit read-only in every command that writes",
    run: () =>
      withTarget(async (target, array) => {
        array.addFault({ fault: { kind: "write-protect" } });
        same([...(await judge(target, "ALL.ReadOnly"))], [["ReadOnly.ReadOnlySBC", "passed"]], "verdicts");
      }),
  },
  {
    name: "iSCSI: with blocks of 4096 bytes and descriptor sense iscsi-test-cu's verdicts are all passed",
    run: () =>
      withTarget(
        async (target) => {
          for (const suite of ["GetLBAStatus", "Read16"]) {
            const verdicts = await judge(target, `ALL.${suite}`);
            check(verdicts.size > 2, `${suite} did not run`);
            for (const [name, verdict] of verdicts) same(verdict, "passed", name);
          }
        },
        { blockBytes: 4096, descriptorSense: true, writeCache: false },
      ),
  },
];
