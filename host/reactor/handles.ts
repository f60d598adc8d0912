// Handles of units, paths, ports and connections, as control knows them. Each reactor numbers its own; control's handle also says which
// reactor it is of. With one reactor both are the same.

/** More than a handle of any kind can be: a ring's has 31 bits. */
const HANDLES = 4_294_967_296;

export const reactorOf = (handle: number): number => Math.floor(handle / HANDLES);
/** The handle as its reactor knows it. */
export const ownHandle = (handle: number): number => handle % HANDLES;
export const handleIn = (reactor: number, own: number): number => reactor * HANDLES + own;
