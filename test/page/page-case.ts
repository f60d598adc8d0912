// A case of the suite of pages, and its context.

import type { Browser, Page } from "./browser.ts";
import { until } from "../until.ts";

export interface PageCase {
  readonly name: string;
  readonly run: (browser: Browser) => Promise<void>;
}

/** Whether an element that a selector names has this text, at last. */
export async function shows(page: Page, selector: string, text: string | RegExp): Promise<void> {
  let found = "";
  try {
    await until(`${selector} shows ${String(text)}`, async () => {
      found = await page.value<string>(
        `[...document.querySelectorAll(${JSON.stringify(selector)})].map((one) => one.innerText).join("\\n")`,
      );
      return typeof text === "string" ? found.includes(text) : text.test(found);
    });
  } catch (cause) {
    throw new Error(`${selector} does not show ${String(text)} but ${found.slice(0, 500)}`, { cause });
  }
}

/** Presses Tab until the focus is on what the expression says of `e`, the element in focus. */
export async function tabTo(page: Page, expression: string, stopsMax = 80): Promise<void> {
  for (let stop = 0; stop < stopsMax; stop++) {
    await page.press("Tab");
    if (await page.value<boolean>(`((e) => ${expression})(document.activeElement)`)) return;
  }
  throw new Error(`the Tab key leads to no element for which ${expression}`);
}
