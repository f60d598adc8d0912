// The simulator page: from a web server, and from a folder.

import { until } from "../../until.ts";
import { check, same } from "../../peers/case.ts";
import { violations } from "../accessibility.ts";
import type { Browser, Page } from "../browser.ts";
import { shows, tabTo, type PageCase } from "../page-case.ts";
import { Stage } from "../stage.ts";

const FILE = new URL("../../../build/page/simulator.html", import.meta.url).href;

/** Figures of a policy: its row's cells as text. */
const rowOf = (page: Page, policy: string): Promise<string[]> =>
  page.value(
    `[...[...document.querySelectorAll("#lanes tr")].find((row) => row.cells[0].innerText.startsWith("${policy}"))?.cells ?? []].map((cell) => cell.innerText)`,
  );

async function opened(browser: Browser, url: string): Promise<Page> {
  const page = await browser.open(url);
  await until("the lanes run", async () => ((await rowOf(page, "adaptive"))[1] ?? "0") !== "0");
  return page;
}

export const simulatorCases: readonly PageCase[] = [
  {
    name: "the simulator runs from a folder, and asks nobody",
    run: async (browser) => {
      const page = await opened(browser, FILE);
      same(await page.value("document.querySelectorAll('#lanes tr').length"), 4, "policies");
      await shows(page, "#clock", /^[\d.]+ s simulated per second$/);
      same(page.requests, [FILE], "requests");
      same(page.complaints, [], "complaints");
      await page.close();
    },
  },
  {
    name: "a path that falls silent is seen failed by every policy, and no request fails",
    run: async (browser) => {
      await using stage = await Stage.start();
      const page = await opened(browser, `${stage.url}simulator`);
      await page.value(
        "[...document.querySelectorAll('#presets button')].find((one) => one.innerText.includes('silent')).click()",
      );
      for (const policy of ["static", "round-robin", "adaptive", "least-in-flight"]) {
        await until(`${policy} fails path 1`, async () => /0 %\s*failed/.test((await rowOf(page, policy))[7] ?? ""));
        same((await rowOf(page, policy))[5], "0", `failed requests of ${policy}`);
      }
      await page.value(
        "[...document.querySelectorAll('#presets button')].find((one) => one.innerText.includes('equal')).click()",
      );
      await until("path 1 is back", async () => /in use/.test((await rowOf(page, "adaptive"))[7] ?? ""));
      same(page.complaints, [], "complaints");
      await page.close();
    },
  },
  {
    name: "sliders and choices are moved with the keyboard, and axe finds nothing wrong",
    run: async (browser) => {
      await using stage = await Stage.start();
      const page = await browser.open("about:blank");
      await page.send("Page.setBypassCSP", { enabled: true });
      await page.go(`${stage.url}simulator`);
      await until("the lanes run", async () => ((await rowOf(page, "adaptive"))[1] ?? "0") !== "0");
      await tabTo(page, "e.id === 'slow-0'");
      await page.press("End");
      same(
        await page.value(
          "document.activeElement.ariaValueText ?? document.activeElement.getAttribute('aria-valuetext')",
        ),
        "64 times slower",
        "the slider",
      );
      await tabTo(page, "e.id === 'pause'");
      await page.press("Enter");
      await shows(page, "#clock", "paused");
      await tabTo(page, "e.id === 'policy-power-of-two'");
      await page.press(" ");
      check((await rowOf(page, "power-of-two")).length > 0, "no row of power-of-two");
      await page.press(" ");
      same(await rowOf(page, "power-of-two"), [], "the row of power-of-two");
      same(await violations(page), [], "violations in the light");
      await page.value("document.getElementById('theme').click()");
      same(await violations(page), [], "violations in the dark");
      await page.close();
    },
  },
];
