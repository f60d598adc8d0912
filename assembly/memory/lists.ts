// Doubly linked lists through the records themselves, so that putting, taking and removing cost the same however long
// a list is. A list is two words (first, last); a link is two words (next, previous) at a fixed offset in its record.
// An address of 0 means "none". Who removes a record knows which list it is in; its state says so.

// Doubly linked lists through the records themselves, so that putting, taking and removing cost the same however long
// a list is. A list is two words (first, last); a link is two words (next, previous) at a fixed offset in its record.
// An address of 0 means "none". Who removes a record knows which list it is in; its state says so.

const LAST: usize = 4;
const PREVIOUS: usize = 4;

/** The first record, or 0. */
export function listFirst(list: usize): usize {
  return load<usize>(list);
}

/** The record behind `item`, or 0. */
export function listNext(item: usize, link: usize): usize {
  return load<usize>(item + link);
}

/** Puts `item` at the end. */
export function listPush(list: usize, item: usize, link: usize): void {
  const last = load<usize>(list, LAST);
  store<usize>(item + link, 0);
  store<usize>(item + link, last, PREVIOUS);
  if (last === 0) store<usize>(list, item);
  else store<usize>(last + link, item);
  store<usize>(list, item, LAST);
}

/** Puts `item` at the front. */
export function listUnshift(list: usize, item: usize, link: usize): void {
  const first = load<usize>(list);
  store<usize>(item + link, first);
  store<usize>(item + link, 0, PREVIOUS);
  if (first === 0) store<usize>(list, item, LAST);
  else store<usize>(first + link, item, PREVIOUS);
  store<usize>(list, item);
}

/** Puts `item` before `other`, which is in the list. */
export function listInsert(list: usize, item: usize, other: usize, link: usize): void {
  const previous = load<usize>(other + link, PREVIOUS);
  if (previous === 0) return listUnshift(list, item, link);
  store<usize>(item + link, other);
  store<usize>(item + link, previous, PREVIOUS);
  store<usize>(previous + link, item);
  store<usize>(other + link, item, PREVIOUS);
}

/** Takes `item` out, wherever in the list it is. */
export function listRemove(list: usize, item: usize, link: usize): void {
  const next = load<usize>(item + link);
  const previous = load<usize>(item + link, PREVIOUS);
  if (previous === 0) store<usize>(list, next);
  else store<usize>(previous + link, next);
  if (next === 0) store<usize>(list, previous, LAST);
  else store<usize>(next + link, previous, PREVIOUS);
}

/** Takes the first record out; 0 when the list is empty. */
export function listShift(list: usize, link: usize): usize {
  const first = load<usize>(list);
  if (first !== 0) listRemove(list, first, link);
  return first;
}
