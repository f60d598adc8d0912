// Asks the daemon. Over TLS it wants its token, which the reader types in; it is kept as long as this page is open, nowhere else.

import { byId } from "../ground/element.ts";

/** How long an answer may take. */
const ANSWER_MS_MAX = 30_000;

export class Refused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

let token = "";

/** Asks the reader for the token; resolves when something was typed. */
export function askForToken(): Promise<void> {
  const form = byId<HTMLFormElement>("token-form");
  const field = byId<HTMLInputElement>("token");
  form.hidden = false;
  field.focus();
  return new Promise((resolve) => {
    const given = (event: Event): void => {
      event.preventDefault();
      if (field.value === "") return;
      token = field.value;
      field.value = "";
      form.hidden = true;
      form.removeEventListener("submit", given);
      resolve();
    };
    form.addEventListener("submit", given);
  });
}

interface ErrorBody {
  readonly error?: { readonly message?: string; readonly remedy?: string | null };
}

/** One GET of the API. */
export async function ask<T>(path: string): Promise<T> {
  const headers: Record<string, string> = token === "" ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(path, { headers, cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  if (response.ok) return (await response.json()) as T;
  const { error } = (await response.json().catch(() => ({}))) as ErrorBody;
  const text = error?.message ?? `the answer has status ${response.status}`;
  throw new Refused(response.status, [text, error?.remedy].filter((part) => typeof part === "string").join("; "));
}
