// The pages for a browser: each one file that has everything in it, built by `npm run build` (host/build/page.mjs). They are the same on
// every host and show nothing until they have asked the API, so a browser gets them without the token.

import { readFile } from "node:fs/promises";
import type { FastifyReply } from "fastify";
import { ControlError } from "../ground/control-errors.ts";

export type PageName = "page" | "simulator";

interface Page {
  readonly text: string;
  readonly policy: string;
}

/** Where the pages are, in the repository as in an installed package. */
const folder = new URL("../../../build/page/", import.meta.url);
/** The policy that a page carries itself, for web servers that send none. */
const POLICY = /<meta http-equiv="content-security-policy" content="([^"]*)"/i;

/** A page does not change while the daemon runs. */
const pages = new Map<PageName, Page>();

async function load(name: PageName): Promise<Page> {
  const known = pages.get(name);
  if (known !== undefined) return known;
  let text: string;
  try {
    text = await readFile(new URL(`${name}.html`, folder), "utf8");
  } catch (cause) {
    throw new ControlError("UNAVAILABLE", "this installation has no pages for a browser", {
      parameter: name,
      remedy: "build them (npm run build), or install the whole package",
      cause,
    });
  }
  const policy = POLICY.exec(text)?.[1];
  if (policy === undefined) throw new Error(`${name}.html names no policy for its content`);
  const page = { text, policy };
  pages.set(name, page);
  return page;
}

export async function sendPage(name: PageName, reply: FastifyReply): Promise<FastifyReply> {
  const { text, policy } = await load(name);
  return reply
    .type("text/html; charset=utf-8")
    .headers({
      // What only a header can say: nobody may show the page within another one.
      "content-security-policy": `${policy}; frame-ancestors 'none'`,
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cross-origin-opener-policy": "same-origin",
      "cache-control": "no-cache",
    })
    .send(text);
}
