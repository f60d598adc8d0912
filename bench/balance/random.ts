// Seeded random numbers for the simulated loads: sfc32, and distributions made from it.

export class Random {
  #a = 0;
  #b = 0;
  #c = 0;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 2 ** 32) >>> 0;
    this.#c = 0x9e3779b9;
    for (let round = 0; round < 15; round++) this.uint32();
  }

  uint32(): number {
    const result = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + result;
    return result >>> 0;
  }

  /** 0 <= x < 1, 53 bits. */
  uniform(): number {
    return ((this.uint32() >>> 5) * 67108864 + (this.uint32() >>> 6)) / 9007199254740992;
  }

  /** Exponential with mean 1. */
  exponential(): number {
    return -Math.log(1 - this.uniform());
  }

  normal(): number {
    return Math.sqrt(2 * this.exponential()) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Log-normal with mean 1 and this coefficient of variation. */
  logNormal(variation: number): number {
    const variance = Math.log(1 + variation * variation);
    return Math.exp(Math.sqrt(variance) * this.normal() - variance / 2);
  }

  /** Pareto with mean 1 and this shape (> 1). */
  pareto(shape: number): number {
    return ((shape - 1) / shape) * (1 - this.uniform()) ** (-1 / shape);
  }
}
