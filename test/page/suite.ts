// `npm run test:page [-- PATTERN...]`: the pages in a real, headless Chromium. Runs the cases whose names contain one of the patterns; all
// without a pattern. Prints "N passed, N failed"; exits with status 1 when a case failed, 2 when the browser is missing.

import { type DebianPackage, ensurePackages, findProgram, missingSentence } from "../rig/packages.ts";
import { Browser } from "./browser.ts";
import { simulatorCases } from "./cases/simulator-page.ts";
import { statusCases } from "./cases/status-page.ts";
import type { PageCase } from "./page-case.ts";

const PACKAGES: readonly DebianPackage[] = [{ package: "chromium", program: "chromium" }];
const CASE_MS_MAX = 180_000;

const missing = ensurePackages(PACKAGES);
if (missing.length > 0) {
  console.error(missingSentence(missing, "test:page"));
  process.exit(2);
}

async function attempt(one: PageCase, browser: Browser): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${CASE_MS_MAX} ms`)), CASE_MS_MAX);
  });
  try {
    await Promise.race([one.run(browser), late]);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
  }
}

async function main(): Promise<number> {
  const wanted = process.argv.slice(2);
  const chosen = [...statusCases, ...simulatorCases].filter(
    ({ name }) => wanted.length === 0 || wanted.some((pattern) => name.includes(pattern)),
  );
  await using browser = Browser.start(findProgram("chromium") ?? "chromium");
  let failed = 0;
  for (const one of chosen) {
    const began = Date.now();
    const why = await attempt(one, browser);
    const seconds = ((Date.now() - began) / 1000).toFixed(1);
    if (why !== undefined) failed += 1;
    console.log(
      why === undefined
        ? `  ok    ${one.name} (${seconds} s)`
        : `  FAIL  ${one.name} (${seconds} s)\n        ${why.replaceAll("\n", "\n        ")}`,
    );
  }
  console.log(`${chosen.length - failed} passed, ${failed} failed`);
  return failed === 0 && chosen.length > 0 ? 0 : 1;
}

process.exitCode = await main();
