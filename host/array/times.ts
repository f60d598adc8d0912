// Indexes into the array of times (ns) that engine, plan and service model share. A number with a fraction, or beyond 2^31,
// that is passed between functions may cost an allocation; one in a Float64Array never does.

/** The time of this turn. */
export const TIME_NOW = 0;
/** When the effect of the command takes place; Infinity: never, NaN: not decided. */
export const TIME_EFFECT = 1;
/** When its answer arrives; Infinity: never, NaN: not decided. */
export const TIME_ANSWER = 2;
/** Factor and ns by which faults slow down the service. */
export const TIME_FACTOR = 3;
export const TIME_DELAY = 4;
/** When the command is done by the service model. */
export const TIME_FINISH = 5;
export const TIMES = 6;
