// Doubly linked lists through the records themselves, so that adding, taking and removing cost the same however long
// a list is. A list is two words (first, last); a link is two words (next, previous) at a fixed offset in its record.
// An address of 0 means "none". Code that removes a record knows which list it is in from its state.
//
// Most records have their link in `next` and are in a List; the other kinds differ only in the link they use. A record taken from a
// list that may be empty has to be compared with 0.

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

/** The link in `next`, which most records have. */
@unmanaged
class NextLink {
  @inline
  offset<T>(): usize {
    return offsetof<T>("next");
  }
}

/** The link in `dirtyNext`. */
@unmanaged
class DirtyLink {
  @inline
  offset<T>(): usize {
    return offsetof<T>("dirtyNext");
  }
}

/** The link in `waitNext`. */
@unmanaged
class WaitLink {
  @inline
  offset<T>(): usize {
    return offsetof<T>("waitNext");
  }
}

/** A list of records `T`. `L` says which of their links it uses; it has no instances, so its method is called on none. */
@unmanaged
class LinkedList<T, L> {
  first: T;
  last: T;

  @inline
  get isEmpty(): bool {
    return changetype<usize>(this.first) === 0;
  }

  @inline
  push(item: T): void {
    listPush(changetype<usize>(this), changetype<usize>(item), changetype<L>(0).offset<T>());
  }

  @inline
  unshift(item: T): void {
    listUnshift(changetype<usize>(this), changetype<usize>(item), changetype<L>(0).offset<T>());
  }

  @inline
  remove(item: T): void {
    listRemove(changetype<usize>(this), changetype<usize>(item), changetype<L>(0).offset<T>());
  }

  /** Takes the first record out; none (0) when the list is empty. */
  @inline
  shift(): T {
    return changetype<T>(listShift(changetype<usize>(this), changetype<L>(0).offset<T>()));
  }
}

export type List<T> = LinkedList<T, NextLink>;
/** Records for which there is something to do. */
export type DirtyList<T> = LinkedList<T, DirtyLink>;
/** Records that wait for room. */
export type WaitingList<T> = LinkedList<T, WaitLink>;
