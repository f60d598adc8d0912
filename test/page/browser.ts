// A headless Chromium, driven by its DevTools protocol over a pipe: messages of JSON, each ended by a zero byte.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

/** How long one command may take. */
const COMMAND_MS_MAX = 30_000;
/** Where the child reads commands, and writes answers. */
const COMMANDS_FD = 3;
const ANSWERS_FD = 4;

interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

interface Waiting {
  readonly resolve: (result: Record<string, unknown>) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export class Browser implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #commands: Writable;
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Set<(message: Message) => void>();
  #next = 1;
  #rest = "";
  #log = "";

  private constructor(program: string) {
    this.#folder = mkdtempSync(join(tmpdir(), "pathmanager-browser-"));
    const options = [
      "--headless=new",
      "--remote-debugging-pipe",
      `--user-data-dir=${this.#folder}`,
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-extensions",
      "--no-default-browser-check",
      "--no-first-run",
      "--hide-scrollbars",
      "--mute-audio",
      // Chromium's sandbox refuses root, and many containers refuse it.
      "--no-sandbox",
      "about:blank",
    ];
    this.#child = spawn(program, options, { stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"] });
    const { stdio } = this.#child;
    this.#commands = stdio[COMMANDS_FD] as Writable;
    const answers = stdio[ANSWERS_FD] as Readable;
    answers.setEncoding("utf8").on("data", (text: string) => this.#arrived(text));
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#log = (this.#log + text).slice(-4000);
    });
    const gone = (): void => this.#fail(new Error(`the browser is gone: ${this.#log}`));
    this.#child.once("exit", gone).once("error", gone);
    this.#commands.on("error", gone);
  }

  static start(program: string): Browser {
    return new Browser(program);
  }

  #fail(error: Error): void {
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#waiting.clear();
  }

  #arrived(text: string): void {
    const parts = (this.#rest + text).split("\0");
    this.#rest = parts.pop() ?? "";
    for (const part of parts) {
      const message = JSON.parse(part) as Message;
      const waiting = message.id === undefined ? undefined : this.#waiting.get(message.id);
      if (waiting === undefined) {
        for (const listener of this.#listeners) listener(message);
        continue;
      }
      this.#waiting.delete(message.id ?? 0);
      clearTimeout(waiting.timer);
      if (message.error === undefined) waiting.resolve(message.result ?? {});
      else waiting.reject(new Error(message.error.message));
    }
  }

  send(method: string, params: object = {}, sessionId?: string): Promise<Record<string, unknown>> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`${method}: no answer within ${COMMAND_MS_MAX} ms; ${this.#log}`));
      }, COMMAND_MS_MAX);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#commands.write(
        `${JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) })}\0`,
      );
    });
  }

  listen(listener: (message: Message) => void): void {
    this.#listeners.add(listener);
  }

  /** Opens a page of a size. */
  async open(url: string, { width = 1280, height = 900 } = {}): Promise<Page> {
    // A context of its own: nothing that another page has kept.
    const { browserContextId } = await this.send("Target.createBrowserContext");
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank", browserContextId });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, String(sessionId), String(targetId));
    await page.begin(width, height);
    await page.go(url);
    return page;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = new Promise((resolve) => {
      this.#child.once("exit", resolve);
    });
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGKILL");
      await gone;
    }
    // Its helpers may still be writing while they die.
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

export class Page {
  readonly #browser: Browser;
  readonly #session: string;
  readonly #target: string;
  /** Exceptions, refusals by the policy, and errors on the console. */
  readonly complaints: string[] = [];
  /** Addresses that were asked for. */
  readonly requests: string[] = [];

  constructor(browser: Browser, session: string, target: string) {
    this.#browser = browser;
    this.#session = session;
    this.#target = target;
  }

  send(method: string, params: object = {}): Promise<Record<string, unknown>> {
    return this.#browser.send(method, params, this.#session);
  }

  async begin(width: number, height: number): Promise<void> {
    this.#browser.listen(({ sessionId, method, params = {} }) => {
      if (sessionId !== this.#session) return;
      if (method === "Runtime.exceptionThrown") this.complaints.push(JSON.stringify(params["exceptionDetails"]));
      if (method === "Log.entryAdded") {
        const { level, text } = params["entry"] as { level: string; text: string };
        if (level === "error") this.complaints.push(text);
      }
      if (method === "Network.requestWillBeSent") this.requests.push((params["request"] as { url: string }).url);
    });
    for (const domain of ["Page", "Runtime", "Log", "Network", "Accessibility"]) await this.send(`${domain}.enable`);
    await this.resize(width, height);
  }

  async resize(width: number, height: number): Promise<void> {
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
  }

  async go(url: string): Promise<void> {
    const { errorText } = await this.send("Page.navigate", { url });
    if (errorText !== undefined) throw new Error(`${url}: ${String(errorText)}`);
  }

  /** Makes the browser prefer dark or light. */
  async prefer(theme: "dark" | "light"): Promise<void> {
    await this.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: theme }] });
  }

  /** The value of an expression, awaited. */
  async value<T>(expression: string): Promise<T> {
    const answer = await this.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    const { result, exceptionDetails } = answer as {
      result: { value?: T };
      exceptionDetails?: { exception?: { description?: string } };
    };
    if (exceptionDetails !== undefined) throw new Error(exceptionDetails.exception?.description ?? expression);
    return result.value as T;
  }

  /** Presses a key and lets it go. */
  async press(key: string, { shift = false } = {}): Promise<void> {
    const codes: Readonly<Record<string, number>> = {
      Tab: 9,
      Enter: 13,
      " ": 32,
      End: 35,
      Home: 36,
      ArrowLeft: 37,
      ArrowUp: 38,
      ArrowRight: 39,
      ArrowDown: 40,
    };
    const common = {
      key,
      code: key === " " ? "Space" : key,
      windowsVirtualKeyCode: codes[key] ?? 0,
      modifiers: shift ? 8 : 0,
    };
    const text = key === "Enter" ? "\r" : key === " " ? " " : undefined;
    await this.send("Input.dispatchKeyEvent", { type: "keyDown", ...common, ...(text === undefined ? {} : { text }) });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...common });
  }

  /** Types text where the focus is. */
  async type(text: string): Promise<void> {
    await this.send("Input.insertText", { text });
  }

  async screenshot(file: string, isWhole = true): Promise<void> {
    const { data } = await this.send("Page.captureScreenshot", { format: "png", captureBeyondViewport: isWhole });
    writeFileSync(file, Buffer.from(String(data), "base64"));
  }

  async close(): Promise<void> {
    await this.#browser.send("Target.closeTarget", { targetId: this.#target });
  }
}
