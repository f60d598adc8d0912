// Doubly linked lists through the records themselves, so that adding, taking and removing cost the same however long
// a list is. A list is two words (first, last); a link is two words (next, previous) at a fixed offset in its record.
// An address of 0 means "none". Code that removes a record knows which list it is in from its state.
//
// Most records have their link in `next`: List is such a list, with the type of its records. A record taken from a list that may
// be empty has to be compared with 0.

const LAST: usize = 4;
const PREVIOUS: usize = 4;

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
function listUnshift(list: usize, item: usize, link: usize): void {
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

/** A list of records that are linked by their `next`. */
@unmanaged
export class List<T> {
  first: T;
  last: T;

  @inline
  get isEmpty(): bool {
    return changetype<usize>(this.first) === 0;
  }

  @inline
  push(item: T): void {
    listPush(changetype<usize>(this), changetype<usize>(item), offsetof<T>("next"));
  }

  @inline
  remove(item: T): void {
    listRemove(changetype<usize>(this), changetype<usize>(item), offsetof<T>("next"));
  }

  /** Takes the first record out; none (0) when the list is empty. */
  @inline
  shift(): T {
    return changetype<T>(listShift(changetype<usize>(this), offsetof<T>("next")));
  }
}

/** A list of records that are linked by their `dirtyNext`: there is something to do for them. */
@unmanaged
export class DirtyList<T> {
  first: T;
  last: T;

  @inline
  get isEmpty(): bool {
    return changetype<usize>(this.first) === 0;
  }

  @inline
  push(item: T): void {
    listPush(changetype<usize>(this), changetype<usize>(item), offsetof<T>("dirtyNext"));
  }

  @inline
  remove(item: T): void {
    listRemove(changetype<usize>(this), changetype<usize>(item), offsetof<T>("dirtyNext"));
  }

  /** Takes the first record out; none (0) when the list is empty. */
  @inline
  shift(): T {
    return changetype<T>(listShift(changetype<usize>(this), offsetof<T>("dirtyNext")));
  }
}

/** A list of records that are linked by their `waitNext`: they wait for room. */
@unmanaged
export class WaitingList<T> {
  first: T;
  last: T;

  @inline
  get isEmpty(): bool {
    return changetype<usize>(this.first) === 0;
  }

  @inline
  push(item: T): void {
    listPush(changetype<usize>(this), changetype<usize>(item), offsetof<T>("waitNext"));
  }

  @inline
  unshift(item: T): void {
    listUnshift(changetype<usize>(this), changetype<usize>(item), offsetof<T>("waitNext"));
  }

  @inline
  remove(item: T): void {
    listRemove(changetype<usize>(this), changetype<usize>(item), offsetof<T>("waitNext"));
  }

  /** Takes the first record out; none (0) when the list is empty. */
  @inline
  shift(): T {
    return changetype<T>(listShift(changetype<usize>(this), offsetof<T>("waitNext")));
  }
}
