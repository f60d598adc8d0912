// Plays a script against a server, and returns the server's output after each step.

import { RawClient } from "../raw.ts";
import { readLengths, type Script, type Step } from "./script.ts";
import {
  assembled,
  contentOf,
  type Message,
  optionReply,
  type Piece,
  type ReadLengths,
  transmissionReply,
} from "./wire.ts";

/** Output after one step, in the order received; replies to several requests are sorted by cookie. */
export interface Heard {
  readonly step: string;
  readonly lines: readonly string[];
}

export const CLOSED = "closed";
const SILENT = "nothing came";
const WAIT_MS_MAX = 5000;

/** One session. Output after the client's last step counts as one more step. */
export async function play(socket: string, script: Script): Promise<Heard[]> {
  const client = await RawClient.connect(socket);
  try {
    return await new Session(client, script).run();
  } finally {
    client.close();
  }
}

class Session {
  readonly #client: RawClient;
  readonly #script: Script;
  /** Lengths of the READs whose answers are awaited. */
  #lengths: ReadLengths = new Map();
  #transmission = false;

  constructor(client: RawClient, script: Script) {
    this.#client = client;
    this.#script = script;
  }

  async run(): Promise<Heard[]> {
    const heard: Heard[] = [{ step: "the greeting", lines: [(await this.#client.take(18)).toString("hex")] }];
    const { steps, isEager } = this.#script;
    if (isEager === true) this.#client.send(...steps.map(({ send }) => send));
    for (const step of steps) {
      this.#lengths = readLengths(step);
      if (isEager !== true) this.#client.send(step.send);
      const lines = await this.#listen(step);
      heard.push({ step: step.what, lines });
      if (lines.at(-1) === CLOSED) return heard;
    }
    this.#client.socket.end();
    heard.push({ step: "the client sends no more", lines: await this.#rest() });
    return heard;
  }

  async #listen({ awaits }: Step): Promise<string[]> {
    switch (awaits.kind) {
      case "nothing":
        return [];
      case "export-name":
        return this.#exportName(awaits.zeroes);
      case "option":
        return this.#replies(new Set([BigInt(awaits.option)]));
      case "replies":
        return this.#replies(new Set(awaits.commands.map(({ cookie }) => cookie ?? 1n)));
    }
  }

  async #exportName(zeroes: number): Promise<string[]> {
    const bytes = await this.#enough(10 + zeroes);
    if (typeof bytes === "string") return [bytes];
    this.#transmission = true;
    await this.#client.take(bytes.length);
    return [`export ${bytes.toString("hex")}`];
  }

  /** The first `count` bytes received; if they do not come, the state of the connection. */
  async #enough(count: number): Promise<Buffer | string> {
    try {
      await this.#client.wait(count, WAIT_MS_MAX);
    } catch {
      return this.#client.ended ? CLOSED : SILENT;
    }
    return this.#client.received.subarray(0, count);
  }

  async #replies(wanted: Set<bigint>): Promise<string[]> {
    const lines = new Map<bigint, string[]>();
    const content = new Map<bigint, Piece[]>();
    let end: string | undefined = undefined;
    while (wanted.size > 0 && end === undefined) {
      const message = this.#next();
      if (message === undefined) {
        const more = await this.#enough(this.#client.received.length + 1);
        if (typeof more === "string") end = more;
        continue;
      }
      const piece = this.#transmission ? contentOf(this.#client.received, 0) : undefined;
      if (piece !== undefined) content.set(message.about, [...(content.get(message.about) ?? []), piece]);
      await this.#client.take(message.next);
      lines.set(message.about, [...(lines.get(message.about) ?? []), message.text]);
      if (message.isLast) wanted.delete(message.about);
      if (/^option 7: reply 1 $/.test(message.text)) this.#transmission = true;
    }
    for (const [cookie, pieces] of content) lines.get(cookie)?.push(`${cookie}: in all ${assembled(pieces)}`);
    const sorted = [...lines].toSorted(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, all]) => all);
    if (end === undefined) return sorted;
    const rest = this.#client.received;
    return [...sorted, ...(rest.length === 0 ? [] : [`a part: ${rest.toString("hex")}`]), end];
  }

  #next(): Message | undefined {
    const bytes = this.#client.received;
    return this.#transmission ? transmissionReply(bytes, 0, this.#lengths) : optionReply(bytes, 0);
  }

  /** All further output until the server closes the connection, which it has to. */
  async #rest(): Promise<string[]> {
    await this.#client.end(WAIT_MS_MAX).catch(() => undefined);
    return this.#replies(new Set([-1n]));
  }
}
