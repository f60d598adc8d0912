// Dark or light: as the browser is set, unless the reader has chosen.

import { byId, write } from "./element.ts";

const KEY = "pathmanager-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

/** A browser that keeps nothing for this page still shows it. */
function kept(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function keep(theme: string): void {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // It holds until the page is closed.
  }
}

/** The theme to begin with. */
export function firstTheme(): string {
  const chosen = kept();
  return chosen === "dark" || chosen === "light" ? chosen : dark.matches ? "dark" : "light";
}

/** @param changed hears of another theme: canvases have to be drawn again */
export function followTheme(changed: () => void): void {
  const root = document.documentElement;
  const button = byId<HTMLButtonElement>("theme");
  const show = (theme: string): void => {
    root.dataset["theme"] = theme;
    write(button, theme === "dark" ? "Light colours" : "Dark colours");
    changed();
  };
  show(firstTheme());
  dark.addEventListener("change", () => {
    if (kept() === null) show(dark.matches ? "dark" : "light");
  });
  button.addEventListener("click", () => {
    const theme = root.dataset["theme"] === "dark" ? "light" : "dark";
    keep(theme);
    show(theme);
  });
}

/** Colours of the theme, as the style sheet names them. */
export const colour = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
