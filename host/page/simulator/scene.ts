// What the visitor has set, for all lanes: how slow each path is, what is wrong with it, and how many requests are under way.

import { PATHS, TROUBLES, type Trouble } from "../model/lane.ts";
import { byId, make, write } from "../ground/element.ts";
import { counted } from "../../wording.ts";

/** Steps of a slider per power of two. */
const STEPS_PER_OCTAVE = 2;
const STEPS_MAX = 12;

export interface PathScene {
  readonly factor: number;
  readonly trouble: Trouble;
}

/** Scenes at the press of a button. */
const PRESETS: readonly { readonly name: string; readonly paths: readonly Partial<PathScene>[] }[] = [
  { name: "All equal", paths: [] },
  { name: "One path 4 times slower", paths: [{}, {}, {}, { factor: 4 }] },
  { name: "One path 32 times slower", paths: [{}, {}, {}, { factor: 32 }] },
  { name: "A path falls silent", paths: [{ trouble: "silent" }] },
  { name: "A controller dies", paths: [{ trouble: "gone" }, {}, { trouble: "gone" }] },
  { name: "A path comes and goes", paths: [{}, { trouble: "flapping" }] },
];

const isTrouble = (text: string): text is Trouble => Object.hasOwn(TROUBLES, text);

const factorText = (factor: number): string =>
  factor === 1
    ? "full speed"
    : `${factor < 10 ? factor.toFixed(1).replace(".0", "") : Math.round(factor)} times slower`;

/** The controls of one path. */
class PathControls {
  readonly element: HTMLElement;
  readonly #slider: HTMLInputElement;
  readonly #told = make("output");
  readonly #select: HTMLSelectElement;

  constructor(at: number, changed: () => void) {
    const [slider, select] = [`slow-${at}`, `trouble-${at}`];
    const name = `Path ${at + 1}`;
    this.#slider = make("input", {
      type: "range",
      id: slider,
      min: "0",
      max: String(STEPS_MAX),
      value: "0",
      step: "1",
    });
    this.#select = make(
      "select",
      { id: select },
      ...Object.entries(TROUBLES).map(([value, text]) => make("option", { value }, text)),
    );
    this.element = make(
      "fieldset",
      {},
      make("legend", {}, `${name}, controller ${at % 2 === 0 ? "A" : "B"}`),
      make("label", { for: slider }, "Speed"),
      this.#slider,
      this.#told,
      make("label", { for: select }, "State"),
      this.#select,
    );
    this.#slider.addEventListener("input", () => {
      this.#tell();
      changed();
    });
    this.#select.addEventListener("change", changed);
    this.#tell();
  }

  #tell(): void {
    const text = factorText(this.scene.factor);
    write(this.#told, text);
    this.#slider.setAttribute("aria-valuetext", text);
  }

  get scene(): PathScene {
    const { value } = this.#select;
    return { factor: 2 ** (Number(this.#slider.value) / STEPS_PER_OCTAVE), trouble: isTrouble(value) ? value : "none" };
  }

  set scene({ factor, trouble }: PathScene) {
    this.#slider.value = String(Math.round(Math.log2(factor) * STEPS_PER_OCTAVE));
    this.#select.value = trouble;
    this.#tell();
  }
}

export class Scene {
  readonly #paths: readonly PathControls[];
  readonly #depth = byId<HTMLInputElement>("depth");
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
    this.#paths = Array.from({ length: PATHS }, (_, at) => new PathControls(at, changed));
    byId("paths").append(...this.#paths.map(({ element }) => element));
    byId("presets").append(...PRESETS.map(({ name, paths }) => this.#preset(name, paths)));
    this.#depth.addEventListener("input", () => {
      this.#tell();
      changed();
    });
    this.#tell();
  }

  #preset(name: string, paths: readonly Partial<PathScene>[]): HTMLButtonElement {
    const button = make("button", { type: "button" }, name);
    button.addEventListener("click", () => {
      for (const [at, controls] of this.#paths.entries()) controls.scene = { factor: 1, trouble: "none", ...paths[at] };
      this.#changed();
    });
    return button;
  }

  #tell(): void {
    write(byId("depth-told"), `${counted(this.depth, "request")} under way`);
  }

  get depth(): number {
    return Number(this.#depth.value);
  }

  get paths(): readonly PathScene[] {
    return this.#paths.map(({ scene }) => scene);
  }
}
