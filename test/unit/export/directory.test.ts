// Names: which are taken, which are refused, and that a refused change changes nothing.

import test from "ava";
import { ExportDirectory, type NbdExport } from "../../../host/export/directory.ts";
import { ExportError, type ExportErrorCode } from "../../../host/export/export-errors.ts";

const base: NbdExport = { unit: 0, number: 0, bytes: 1n << 20n, blockBytes: 512, capabilities: 0 };

type Refusal = [ExportErrorCode, (directory: ExportDirectory) => ExportErrorCode | undefined];

function refused(code: ExportErrorCode, entries: NbdExport[]): Refusal {
  return [
    code,
    (directory) => {
      try {
        directory.replace(entries);
        return undefined;
      } catch (error) {
        return error instanceof ExportError ? error.code : undefined;
      }
    },
  ];
}

test("a change that is refused leaves what was on offer", (t) => {
  const cases = {
    "two units with one number": refused("EXPORT_NAME_TAKEN", [base, { ...base, unit: 1 }]),
    "two units with one name": refused("EXPORT_NAME_TAKEN", [
      { ...base, name: "db" },
      { ...base, unit: 1, number: 1, name: "db" },
    ]),
    "a name that is another's number": refused("EXPORT_NAME_TAKEN", [base, { ...base, unit: 1, number: 1, name: "0" }]),
    "a block of 520 bytes": refused("EXPORT_INVALID", [{ ...base, blockBytes: 520 }]),
    "half a block": refused("EXPORT_INVALID", [{ ...base, bytes: 513n }]),
    "an empty name": refused("EXPORT_INVALID", [{ ...base, name: "" }]),
    "a name with an escape sequence": refused("EXPORT_INVALID", [{ ...base, name: "\u001b[2J" }]),
    "a name that is too long": refused("EXPORT_INVALID", [{ ...base, name: "ü".repeat(2049) }]),
  };
  for (const [title, [code, attempt]] of Object.entries(cases)) {
    const directory = new ExportDirectory();
    directory.replace([{ ...base, unit: 42 }]);
    t.is(attempt(directory), code, title);
    t.is(directory.find("0")?.unit, 42, title);
  }
});

test("a unit may be named after itself, by its number and by its identity, and no unit after another", (t) => {
  const directory = new ExportDirectory();
  directory.replace([
    { ...base, name: "lu0", identity: "naa.1" },
    { ...base, unit: 1, number: 1, name: "naa.2", identity: "naa.2" },
  ]);
  t.is(directory.find("lu0")?.unit, 0);
  t.is(directory.find("naa.1")?.unit, 0);
  t.is(directory.find("naa.2")?.unit, 1);
  t.is(directory.find("naa.3"), undefined);
  const taken = [
    { ...base, name: "lu0", identity: "naa.1" },
    { ...base, unit: 1, number: 1, name: "naa.1", identity: "naa.2" },
  ];
  t.throws(() => directory.replace(taken), { instanceOf: ExportError, code: "EXPORT_NAME_TAKEN" });
  t.is(directory.find("naa.1")?.unit, 0);
});
