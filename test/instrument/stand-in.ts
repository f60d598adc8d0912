// In this process, whoever makes an instance of a module of build/ gets one of another module in its place, and somebody is
// told of every instance. So tests and worlds run as they are, against a core that counts or makes mistakes.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { modules } from "./compile.ts";
import type { InstrumentExports } from "./runtime.ts";

const root = join(import.meta.dirname, "..", "..");
const shipped = modules.map(({ built }) => ({ built, bytes: readFileSync(join(root, built)) }));
const names = new WeakMap<WebAssembly.Module, string>();
let stands: ReadonlyMap<string, WebAssembly.Module> = new Map();
let told: (exports: InstrumentExports) => void = () => undefined;

const { Module, Instance } = WebAssembly;

class NamedModule extends (Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module) {
  constructor(bytes: Uint8Array) {
    super(bytes);
    const found = shipped.find((one) => one.bytes.equals(bytes));
    if (found !== undefined) names.set(this, found.built);
  }
}

class OtherInstance extends Instance {
  constructor(module: WebAssembly.Module, imports: Record<string, Record<string, unknown>>) {
    const name = names.get(module);
    const other = name === undefined ? undefined : stands.get(name);
    super(other ?? module, imports);
    if (other !== undefined) told(this.exports as unknown as InstrumentExports);
  }
}

/** From now on; what was instantiated before stays what it is. */
export function installStandIns(): void {
  Object.assign(NamedModule, { imports: Module.imports, exports: Module.exports });
  Object.assign(WebAssembly, { Module: NamedModule, Instance: OtherInstance });
}

/** Names what stands for a module of build/ from now on (null: the same as before), and who hears of each instance. */
export function standIn(
  others: ReadonlyMap<string, Uint8Array> | null,
  listener: (exports: InstrumentExports) => void,
): void {
  if (others !== null) stands = new Map([...others].map(([name, bytes]) => [name, new Module(bytes)]));
  told = listener;
}
