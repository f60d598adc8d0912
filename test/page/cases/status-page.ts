// The status page against answers that a case has prepared.

import { median } from "../../../bench/report.ts";
import type { EventView } from "../../../host/control/schemas/event-schema.ts";
import type { PathView } from "../../../host/control/schemas/path-schema.ts";
import { until } from "../../until.ts";
import { STATUS } from "../../unit/cli/status-views.ts";
import { pathView, REFERENCE_UNITS, unitView } from "../../unit/cli/views.ts";
import { check, same } from "../../peers/case.ts";
import { violations } from "../accessibility.ts";
import type { Browser, Page } from "../browser.ts";
import { shows, tabTo, type PageCase } from "../page-case.ts";
import { Stage } from "../stage.ts";

const event = (id: number, more: Partial<EventView> = {}): EventView => ({
  id,
  time: 1_700_000_000_000 + id * 1000,
  message: 257,
  kind: "failover-done",
  level: "warning",
  alive: true,
  manager: true,
  text: `Failover was done: LogicalUnit #0, path 4:0:0:${id}`,
  unit: 0,
  unitName: null,
  path: "4:0:0:0",
  detail: {},
  ...more,
});

const ready = (page: Page): Promise<void> =>
  until("the page has shown the first answers", () =>
    page.value<boolean>("document.body?.dataset.ready === 'true'"),
  ).then(() => undefined);

async function opened(browser: Browser, stage: Stage): Promise<Page> {
  const page = await browser.open(stage.url);
  await ready(page);
  return page;
}

const LOADS = 3;

/** When the first text was drawn, after the load began. */
async function firstFrameMs(browser: Browser, url: string): Promise<number> {
  const page = await browser.open(url);
  const entry = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime";
  const ms = await until("the first frame is drawn", () => page.value<number | undefined>(entry));
  await page.close();
  return ms;
}

/** How long the first frame takes, as a multiple of a blank page's: medians, loaded in turn. A figure to read, not to fail by. */
async function firstFrames(browser: Browser, stage: Stage): Promise<string> {
  const [own, blank]: [number[], number[]] = [[], []];
  for (let load = 0; load < LOADS; load++) {
    blank.push(await firstFrameMs(browser, `${stage.url}blank`));
    own.push(await firstFrameMs(browser, stage.url));
  }
  return (median(own) / median(blank)).toFixed(1);
}

/** Units of which each has as many paths, over two adapters. */
const manyUnits = (units: number, paths: number) =>
  Array.from({ length: units }, (_, unit) =>
    unitView(
      unit,
      "adaptive",
      Array.from({ length: paths }, (__, at) =>
        pathView(unit, `${4 + (at % 2)}:0:${at >> 1}:${unit}`, at + 1, unit === 7 && at === 0 ? "failed" : "active", {
          targetPort: `naa.500000000000000${at}`,
        }),
      ),
      unit === 7 ? { state: "degraded" } : {},
    ),
  );

/** What would be run if it were ever taken for markup, and what turns the direction of reading. */
const HOSTILE = `</script><img src=x onerror="window.hurt=1"><script>window.hurt=1</script>&lt;b&gt;"'\u202e`;

export const statusCases: readonly PageCase[] = [
  {
    name: "the page says what the daemon says, by roles, words and shapes",
    run: async (browser) => {
      await using stage = await Stage.start();
      stage.units = REFERENCE_UNITS;
      stage.events = [event(1)];
      const sentence = "not redundant: LogicalUnit #1";
      stage.status = { ...STATUS, health: { ...STATUS.health, level: "degraded" }, attention: [sentence] };
      const page = await opened(browser, stage);
      await shows(page, "h1", "db1");
      await shows(page, "[role=status]#health", "degraded");
      await shows(page, "#attention", sentence);
      await shows(page, "#path-rows", /4:0:0:1\s[^]*failed[^]*in use/);
      await shows(page, "#figures", /IOPS\s*1\.00k/);
      await shows(page, "#loss-summary", "3 components of 4 would stop units if lost");
      const boxes = await page.value<string[]>(
        "[...document.querySelectorAll('#picture ul')].map((one) => one.children.length + '')",
      );
      same(boxes.length, 4, "columns of the picture");
      same(boxes.at(-1), "3", "boxes of units");
      // Each state has a shape beside its word: four tones, four shapes.
      const shapes = await page.value<[string, string][]>(
        "[...document.querySelectorAll('#path-rows .badge')].map((one) => [one.dataset.tone, one.querySelector('path').getAttribute('d')])",
      );
      same(
        new Set(shapes.map(([tone]) => tone)).size,
        new Set(shapes.map(([, shape]) => shape)).size,
        "tones and shapes",
      );
      const { nodes } = (await page.send("Accessibility.getFullAXTree")) as {
        nodes: { role?: { value: string }; name?: { value: string } }[];
      };
      const roles = nodes.map(({ role, name }) => `${role?.value} ${name?.value ?? ""}`.trim());
      for (const expected of [
        "main",
        "banner",
        "heading db1",
        "heading Cabling",
        "heading Events",
        "columnheader p99",
        "searchbox Filter",
        "combobox Show",
      ]) {
        check(roles.includes(expected), `no ${expected} among ${[...new Set(roles)].join(", ").slice(0, 3000)}`);
      }
      check(
        roles.some((role) => role.startsWith("button #1 lu1")),
        "the box of unit #1 is no button",
      );
      same(page.complaints, [], "complaints");
      await page.close();
    },
  },
  {
    name: "it asks its own host only, and only reads",
    run: async (browser) => {
      await using stage = await Stage.start();
      stage.units = REFERENCE_UNITS;
      const page = await opened(browser, stage);
      check(page.requests.length > 4, String(page.requests));
      for (const url of page.requests) check(url.startsWith(stage.url), url);
      for (const asked of stage.asked) check(/^GET \/(v1\/\w+|favicon\.ico)?$/.test(asked), asked);
      await page.close();
    },
  },
  {
    name: "names and sentences that look like markup are text",
    run: async (browser) => {
      await using stage = await Stage.start();
      const hostile: Partial<PathView> = { initiatorPort: HOSTILE, targetPort: HOSTILE, controller: HOSTILE };
      stage.units = [
        {
          ...unitView(0, "adaptive", [pathView(0, "4:0:0:0", 1), pathView(0, "5:0:0:0", 2, "failed", hostile)]),
          name: HOSTILE,
          vendor: HOSTILE,
        },
      ];
      stage.events = [event(1, { text: HOSTILE, kind: HOSTILE, detail: { [HOSTILE]: HOSTILE } })];
      stage.status = { ...STATUS, host: HOSTILE, attention: [HOSTILE] };
      const page = await opened(browser, stage);
      for (const place of ["h1", "#attention", "#picture", "#path-rows", "#loss-rows", "#events"]) {
        await shows(page, place, "<img src=x onerror=");
      }
      await page.value("document.querySelector('#events details').open = true");
      await shows(page, "#events dl", "<img src=x onerror=");
      await page.value("document.querySelector('#path-rows .link').click()");
      // Those that were built in: before the first frame, and after it.
      same(
        await page.value("[document.images.length, document.scripts.length, typeof window.hurt]"),
        [0, 2, "undefined"],
        "markup",
      );
      same(page.complaints, [], "complaints");
      // Were somebody to forget that, the browser would refuse.
      same(
        await page.value(
          "(() => { try { document.body.innerHTML = '<p>'; return 'taken'; } catch (e) { return e.name; } })()",
        ),
        "TypeError",
        "markup from a string",
      );
      await page.close();
    },
  },
  {
    name: "all of it is reached with the keyboard",
    run: async (browser) => {
      await using stage = await Stage.start();
      stage.units = REFERENCE_UNITS;
      stage.events = [event(1)];
      const page = await opened(browser, stage);
      await page.press("Tab");
      same(await page.value("document.activeElement.className"), "skip", "the first stop");
      await tabTo(page, "e.classList.contains('box')");
      const first = await page.value<string>("document.activeElement.innerText");
      await page.press("ArrowDown");
      check((await page.value("document.activeElement.innerText")) !== first, "an arrow key goes to the next box");
      await page.press("Enter");
      await shows(page, "#chosen", "If it were lost:");
      same(await page.value("document.activeElement.getAttribute('aria-pressed')"), "true", "the chosen box");
      await shows(page, "#path-summary", /^\d paths? of 6$/);
      for (const _ of [1, 2, 3]) await page.press("ArrowRight");
      await page.press("Home");
      await page.press(" ");
      await shows(page, "#chosen", "unit #0 lu0");
      await shows(page, "#path-summary", "2 paths of 6");
      await tabTo(page, "e.id === 'path-filter'");
      await page.type("failed");
      await shows(page, "#path-summary", "0 paths of 6");
      await tabTo(page, "e.dataset.sort === 'path'");
      await page.press("Enter");
      same(await page.value("document.activeElement.closest('th').ariaSort"), "ascending", "sorted");
      await tabTo(page, "e.tagName === 'SUMMARY'");
      await page.press("Enter");
      await shows(page, "#events dl", "What to do");
      await page.close();
    },
  },
  {
    name: "a first frame is drawn before anything is asked for",
    run: async (browser) => {
      await using stage = await Stage.start();
      stage.units = REFERENCE_UNITS;
      const page = await browser.open("about:blank");
      await page.prefer("dark");
      // No frame is drawn until the test lets it be.
      const source = "window.frames_ = []; window.requestAnimationFrame = (drawn) => window.frames_.push(drawn);";
      const { identifier } = await page.send("Page.addScriptToEvaluateOnNewDocument", { source });
      await page.go(stage.url);
      await until("the page waits for its first frame", () => page.value<boolean>("window.frames_?.length === 1"));
      await shows(page, "#paths-title", "Paths");
      same(await page.value("document.documentElement.dataset.theme"), "dark", "the theme of the first frame");
      same(
        stage.asked.filter((one) => one.includes("/v1/")),
        [],
        "what was asked for",
      );
      await page.value("window.frames_[0](0)");
      await ready(page);
      same(page.complaints, [], "complaints");
      await page.send("Page.removeScriptToEvaluateOnNewDocument", { identifier });
      await page.close();
      console.log(`        first frame: ${await firstFrames(browser, stage)} x a blank page`);
    },
  },
  {
    name: "axe finds nothing wrong, in the dark and in the light",
    run: async (browser) => {
      await using stage = await Stage.start();
      stage.units = REFERENCE_UNITS;
      stage.events = [event(1), event(2, { level: "error" }), event(3, { level: "info" })];
      stage.status = {
        ...STATUS,
        health: { ...STATUS.health, level: "critical" },
        attention: ["no path is usable: #2"],
      };
      const backs: string[] = [];
      for (const theme of ["dark", "light"] as const) {
        // Axe makes markup from strings, which the page's policy forbids.
        const page = await browser.open("about:blank");
        await page.send("Page.setBypassCSP", { enabled: true });
        await page.prefer(theme);
        await page.go(stage.url);
        await ready(page);
        await page.value("document.querySelector('#events details').open = true");
        await page.value("document.querySelector('#path-rows .link').click()");
        await page.value("document.querySelector('.box').click()");
        same(await violations(page), [], `violations in the ${theme}`);
        backs.push(await page.value<string>("getComputedStyle(document.body).backgroundColor"));
        await page.value("document.getElementById('theme').click()");
        backs.push(await page.value<string>("getComputedStyle(document.body).backgroundColor"));
        await page.close();
      }
      const [dark, toLight, light, toDark] = backs;
      same([toLight, toDark], [light, dark], "the button changes the colours");
      check(dark !== light, `both are ${dark}`);
    },
  },
  {
    name: "two hundred paths are rows of one table, and the worst are on top",
    run: async (browser) => {
      await using stage = await Stage.start();
      stage.units = manyUnits(25, 8);
      const page = await opened(browser, stage);
      await shows(page, "#path-summary", "200 paths");
      same(await page.value("document.querySelectorAll('#path-rows tr').length"), 200, "rows");
      same(await page.value("document.querySelector('#path-rows tr th').innerText"), "4:0:0:7", "the first row");
      same(await page.value("document.getElementById('path-pages').hidden"), true, "pages");
      await shows(page, "#picture", /#7 lu7\s*degraded/);
      await page.close();
    },
  },
  {
    name: "of a thousand units it draws what can be read, and goes on",
    run: async (browser) => {
      await using stage = await Stage.start();
      stage.units = manyUnits(1024, 8);
      const page = await opened(browser, stage);
      await shows(page, "#path-summary", "8,192 paths, 1 to 200 shown");
      check((await page.value<number>("document.querySelectorAll('.box').length")) < 50, "boxes");
      check((await page.value<number>("document.querySelectorAll('*').length")) < 6000, "elements");
      await shows(page, "#picture", "1023 more");
      await page.value("document.getElementById('path-after').click()");
      await shows(page, "#path-summary", "201 to 400 shown");
      await page.value("document.querySelector('[data-sort=path]').click()");
      await shows(page, "#path-rows tr:first-child", "4:0:0:0");
      await page.close();
    },
  },
  {
    name: "where a token is wanted, it asks for it and keeps it to itself",
    run: async (browser) => {
      await using stage = await Stage.start();
      stage.units = REFERENCE_UNITS;
      stage.token = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
      const page = await browser.open(stage.url);
      await shows(page, "#trouble", "the bearer token is missing or wrong");
      await until("the field has the focus", () => page.value<boolean>("document.activeElement.id === 'token'"));
      await page.type(stage.token);
      await page.press("Enter");
      await ready(page);
      await shows(page, "#path-summary", "6 paths");
      same(await page.value("[localStorage.length, document.cookie, location.search]"), [0, "", ""], "what is kept");
      for (const url of page.requests) check(!url.includes(stage.token), url);
      await page.close();
    },
  },
  {
    name: "a daemon that is gone is told, with the age of what is shown, and found again",
    run: async (browser) => {
      await using stage = await Stage.start();
      stage.units = REFERENCE_UNITS;
      const page = await opened(browser, stage);
      stage.isSilent = true;
      await shows(page, "#trouble", /the daemon does not answer\. What is shown is \d+ s old/);
      same(await page.value("document.getElementById('trouble').getAttribute('role')"), "alert", "role");
      stage.isSilent = false;
      stage.events = [event(1, { level: "error", text: "LINKDOWN" })];
      await until("the trouble is over", () => page.value<boolean>("document.getElementById('trouble').hidden"));
      await shows(page, "#events", "LINKDOWN");
      await page.close();
    },
  },
];
