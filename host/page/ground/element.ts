// Elements of the page. Whatever comes from a device, an operator or the daemon becomes a text node or the value of an attribute, never
// markup: there is no other way in here, and the policy of the page's content forbids it, too (Trusted Types).

/** Attributes that are no source of scripts or addresses. */
type Attributes = Readonly<Record<string, string>>;
type Child = Node | string;

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function makeSvg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** An element of the page's own markup. */
export function byId<E extends Element = HTMLElement>(id: string): E {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as unknown as E;
}

/** Writes text only if it is another: an unchanged node is neither laid out nor read out again. */
export function write(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function attribute(element: Element, name: string, value: string): void {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}
