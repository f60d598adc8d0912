// The shape of a tone. It stands beside the word, so assistive technology skips it.

import type { Mark, Tone } from "../model/tones.ts";
import { attribute, make, makeSvg, write } from "./element.ts";

const SHAPES: Readonly<Record<Tone, string>> = {
  good: "M6 1a5 5 0 1 0 0 10A5 5 0 1 0 6 1Z",
  idle: "M6 1a5 5 0 1 0 0 10A5 5 0 1 0 6 1ZM6 3.4a2.6 2.6 0 1 1 0 5.2A2.6 2.6 0 1 1 6 3.4Z",
  warn: "M6 0.6 11.7 11H0.3Z",
  bad: "M2.2 0.4 6 4.2 9.8 0.4 11.6 2.2 7.8 6 11.6 9.8 9.8 11.6 6 7.8 2.2 11.6 0.4 9.8 4.2 6 0.4 2.2Z",
};

/** A state as shape, colour and word, which changes with the state. */
export class Badge {
  readonly element: HTMLElement;
  readonly #path = makeSvg("path");
  readonly #word = make("span");

  constructor(mark: Mark) {
    const shape = makeSvg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true", class: "glyph" }, this.#path);
    this.#path.setAttribute("fill-rule", "evenodd");
    this.element = make("span", { class: "badge" }, shape, this.#word);
    this.show(mark);
  }

  show({ tone, word }: Mark): void {
    attribute(this.element, "data-tone", tone);
    attribute(this.#path, "d", SHAPES[tone]);
    write(this.#word, word);
  }
}
