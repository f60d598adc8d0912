// axe-core on a page: every rule it has, the contrast of colours included.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "./browser.ts";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface Violation {
  readonly id: string;
  readonly help: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** What is wrong with the page as it is now, one line each. */
export async function violations(page: Page): Promise<string[]> {
  if (!(await page.value<boolean>("'axe' in window"))) await page.value(`${AXE}; undefined`);
  const found = await page.value<readonly Violation[]>("axe.run(document).then(({ violations }) => violations)");
  return found.flatMap(({ id, help, nodes }) =>
    nodes.slice(0, 3).map(({ html, failureSummary }) => `${id}: ${help}: ${html.slice(0, 160)} ${failureSummary}`),
  );
}
