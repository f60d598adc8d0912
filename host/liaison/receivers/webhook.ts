// Notices by HTTP POST. The body may be signed: HMAC-SHA-256 over the time stamp, a full stop and the body, so that a receiver can
// tell that it comes from here and is not an old one. The certificate of an https URL is verified; redirects are not followed, as a
// signed body is for the one who was named.

import { createHmac } from "node:crypto";
import { request as requestHttp, type IncomingMessage } from "node:http";
import { request as requestHttps } from "node:https";
import type { Notice } from "./notice.ts";
import { Refusal, type Transport } from "./receiver.ts";
import { bodiesOf, type Shape } from "./webhook-shapes.ts";

export interface WebhookOptions {
  readonly url: string;
  readonly shape: Shape;
  readonly host: string;
  readonly secret?: Buffer | undefined;
  /** PEM certificates of the authorities to trust, instead of Node's own. */
  readonly authority?: Buffer | undefined;
}

export const SIGNATURE_HEADER = "x-pathmanager-signature";
export const TIME_HEADER = "x-pathmanager-time";

/** `sha256=` and the digest in hexadecimal. */
export const signature = (secret: Uint8Array, time: string, body: string): string =>
  `sha256=${createHmac("sha256", secret).update(`${time}.${body}`).digest("hex")}`;

/** Statuses by which a receiver says that this body will never do. */
const REFUSED: ReadonlySet<number> = new Set([400, 405, 406, 410, 411, 413, 415, 422]);
/** Of an answer no more is read. */
const ANSWER_BYTES_MAX = 4096;

function answerOf(response: IncomingMessage): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const done = (): void => resolve(text.replaceAll(/\s+/g, " ").trim().slice(0, 200));
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => {
      text += chunk;
      if (text.length > ANSWER_BYTES_MAX) response.destroy();
    });
    response.on("close", done);
    response.on("error", done);
  });
}

async function judge(response: IncomingMessage, url: URL): Promise<void> {
  const { statusCode: status = 0, headers } = response;
  const answer = await answerOf(response);
  if (status >= 200 && status < 300) return;
  if (status >= 300 && status < 400) {
    throw new Error(`${url.origin} redirects to ${headers.location ?? "nowhere"}; name that place as the url`);
  }
  const what = `${url.origin} answered ${status}${answer === "" ? "" : `: ${answer}`}`;
  throw REFUSED.has(status) ? new Refusal(what) : new Error(what);
}

export class Webhook implements Transport {
  readonly batchMax = 50;
  readonly #options: WebhookOptions;
  readonly #url: URL;
  readonly #bodyOf: ReturnType<typeof bodiesOf>;

  constructor(options: WebhookOptions) {
    this.#options = options;
    this.#url = new URL(options.url);
    this.#bodyOf = bodiesOf(options.shape, options.host);
  }

  async send(batch: readonly Notice[], signal: AbortSignal): Promise<void> {
    const { secret, authority } = this.#options;
    const { type, text, taken } = this.#bodyOf(batch);
    const time = String(Math.floor(Date.now() / 1000));
    const headers = {
      "content-type": type,
      "content-length": Buffer.byteLength(text),
      "user-agent": "pathmanager",
      ...(secret === undefined ? {} : { [TIME_HEADER]: time, [SIGNATURE_HEADER]: signature(secret, time, text) }),
    };
    const common = { method: "POST", headers, signal, agent: false } as const;
    const isSecure = this.#url.protocol === "https:";
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = isSecure
        ? requestHttps(this.#url, { ...common, ca: authority, minVersion: "TLSv1.2" }, resolve)
        : requestHttp(this.#url, common, resolve);
      sent.on("error", reject);
      sent.end(text);
    });
    await judge(response, this.#url);
    taken?.();
  }

  close(): void {
    // Every request has its own connection.
  }
}
