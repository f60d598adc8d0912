// Text for manual pages.

/**
 * Text for roff: backslashes and hyphens are escaped; a leading dot or quote is protected so that it is not taken as a
 * request.
 */
export const roff = (text: string): string =>
  text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("~", "\\(ti")
    .replaceAll(/^([.'])/gm, "\\&$1");

export const sentence = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
