// What a piece of the core says, however it is laid out and commented: so that a mutant can be known again, and a function that has
// changed can be told from one that has only moved.

/** A comment, a text, a name, a number or a sign. */
const TOKENS = /\/\/.*|\/\*[^]*?\*\/|"(?:[^"\\]|\\.)*"|[A-Za-z_$][\w$]*|\d[\w.]*|[^\s]/g;

/** The text without comments, and with single blanks. */
export function shapeOf(text: string): string {
  const tokens: string[] = [];
  for (const [token] of text.matchAll(TOKENS)) {
    if (token.startsWith("//") || token.startsWith("/*")) continue;
    // The comma behind the last argument comes and goes with the length of the line.
    if (/^[)\]}]$/.test(token) && tokens.at(-1) === ",") tokens.pop();
    tokens.push(token);
  }
  return tokens.join(" ");
}
