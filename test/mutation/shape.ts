// What a function looks like when all names are taken out of it: the same before and after words, functions and files have got
// other names, and however it is laid out. So a mutant can be known again.

/** A comment, a text, a name, a number or a sign. */
const TOKENS = /\/\/.*|\/\*[^]*?\*\/|"(?:[^"\\]|\\.)*"|[A-Za-z_$][\w$]*|\d[\w.]*|[^\s]/g;

/** The text without comments and white space; each name becomes the number of its first place. */
export function shapeOf(text: string): string {
  const names = new Map<string, string>();
  const tokens: string[] = [];
  for (const [token] of text.matchAll(TOKENS)) {
    if (token.startsWith("//") || token.startsWith("/*")) continue;
    // The comma behind the last argument comes and goes with the length of the line.
    if (/^[)\]}]$/.test(token) && tokens.at(-1) === ",") tokens.pop();
    if (!/^[A-Za-z_$]/.test(token)) {
      tokens.push(token);
      continue;
    }
    const name = names.get(token) ?? `n${names.size}`;
    names.set(token, name);
    tokens.push(name);
  }
  return tokens.join(" ");
}
