// npm run test:images [-- PATTERN]      (of names, a regular expression)
//
// Images of appliances, built and started in virtual machines, and recipes for build systems. Needs QEMU and Debian's registry; packages are installed by name where
// that is allowed; so it is not part of `npm test`.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installPackages } from "../../host/embedding/packages.ts";
import { fullTests } from "./full.ts";
import { recipeTests } from "./recipes.ts";
import { smallTests } from "./small.ts";

const PACKAGES = [{ package: "qemu-system-x86", program: "qemu-system-x86_64" }];

const scratch = mkdtempSync(join(tmpdir(), "pathmanager-images-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));

const tests: Record<string, () => Promise<void>> = {
  ...smallTests(scratch),
  ...recipeTests(scratch),
  ...fullTests(scratch),
};
const pattern = new RegExp(process.argv[2] ?? "");
let [passed, failed] = [0, 0];
try {
  installPackages(PACKAGES);
} catch (error) {
  console.error(`test:images: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(2);
}
for (const [name, body] of Object.entries(tests)) {
  if (!pattern.test(name)) continue;
  const began = performance.now();
  try {
    await body();
    passed++;
    console.log(`ok - ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed++;
    console.log(`not ok - ${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
