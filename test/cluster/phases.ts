// What test:cluster does to its two nodes. Forming the cluster comes before, and reading every block after whichever are chosen.

export const PHASES = ["paths", "choices", "power", "split"] as const;
