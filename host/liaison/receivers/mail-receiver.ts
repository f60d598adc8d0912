// Notices by e-mail, through the machine's own sendmail program: it knows how mail leaves this host, and keeps what cannot leave yet.

import { spawn } from "node:child_process";
import { kindOf } from "../messages.ts";
import type { Notice } from "./notice.ts";
import type { Transport } from "./receiver.ts";

export interface MailOptions {
  readonly program: string;
  readonly to: string;
  readonly host: string;
}

/** A header's text in ASCII (RFC 2047); nothing in it can begin another header. */
const encoded = (text: string): string =>
  /^[\u0020-\u007e]*$/.test(text) ? text : `=?UTF-8?B?${Buffer.from(text).toString("base64")}?=`;

/** Characters of a subject. */
const SUBJECT_MAX = 40;

export function mailText(batch: readonly Notice[], { to, host }: MailOptions): string {
  const [first] = batch;
  const more = batch.length > 1 ? ` and ${batch.length - 1} more` : "";
  const subject = `${host}: ${first?.level ?? ""} ${first?.message ?? ""} ${first?.text ?? ""}`.slice(0, SUBJECT_MAX);
  const lines = batch.map(({ time, message, level, text, kind, identity, array }) => {
    const { means, remedy } = kindOf(kind);
    const unit = identity === null ? "" : `  Unit: ${identity}${array === null ? "" : ` of ${array}`}\n`;
    return `${new Date(time).toISOString()} ${message} ${level}\n${text}\n\n${unit}  ${means}\n  What to do: ${remedy}\n`;
  });
  // RFC 3834: nobody should answer this automatically.
  const headers = [
    `To: ${to}`,
    `Subject: ${encoded(`[PathManager] ${subject}${more}`)}`,
    "Auto-Submitted: auto-generated",
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: 8bit",
  ];
  return `${headers.join("\n")}\n\n${lines.join("\n")}`;
}

export class MailReceiver implements Transport {
  readonly batchMax = 100;
  readonly #options: MailOptions;

  constructor(options: MailOptions) {
    this.#options = options;
  }

  async send(batch: readonly Notice[], signal: AbortSignal): Promise<void> {
    const { program } = this.#options;
    // -t: recipients from the header; -i: a line with only a full stop does not end the text.
    const child = spawn(program, ["-t", "-i"], { stdio: ["pipe", "ignore", "pipe"], signal, killSignal: "SIGKILL" });
    let complaint = "";
    child.stderr.on("data", (bytes: Buffer) => {
      if (complaint.length < 1000) complaint += bytes.toString();
    });
    child.stdin.on("error", () => undefined);
    child.stdin.end(mailText(batch, this.#options));
    await new Promise<void>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (status) => {
        if (status === 0) resolve();
        else reject(new Error(`${program} ended with status ${status}: ${complaint.trim()}`));
      });
    });
  }

  close(): void {
    // Nothing stays open.
  }
}
