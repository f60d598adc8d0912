export function closureOf(root: string, file: string): string[];
export function needsOf(root: string, files: readonly string[]): string[];
export function needsOfTests(root: string, args: readonly string[]): string[] | null;
