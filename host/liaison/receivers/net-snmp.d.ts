// What is used of npm's net-snmp, which brings no types.

declare module "net-snmp" {
  import type { EventEmitter } from "node:events";

  export interface Varbind {
    readonly oid: string;
    readonly type: number;
    readonly value: string | number;
  }

  interface SessionOptions {
    readonly version?: number;
    readonly transport?: "udp4" | "udp6";
    readonly trapPort?: number;
    readonly retries?: number;
    readonly timeout?: number;
    readonly idBitsSize?: number;
    /** Hexadecimal. */
    readonly engineID?: string;
  }

  export interface User {
    readonly name: string;
    readonly level: number;
    readonly authProtocol?: string;
    readonly authKey?: string;
    readonly privProtocol?: string;
    readonly privKey?: string;
  }

  type Answered = (error: Error | null) => void;

  export interface Session extends EventEmitter {
    trap(oid: string, varbinds: readonly Varbind[], options: { readonly upTime?: number }, answered: Answered): void;
    inform(oid: string, varbinds: readonly Varbind[], options: { readonly upTime?: number }, answered: Answered): void;
    close(): void;
  }

  interface NetSnmp {
    readonly Version2c: number;
    readonly ObjectType: { readonly OctetString: number; readonly Integer: number; readonly Unsigned32: number };
    readonly SecurityLevel: { readonly noAuthNoPriv: number; readonly authNoPriv: number; readonly authPriv: number };
    readonly AuthProtocols: { readonly sha256: string };
    readonly PrivProtocols: { readonly aes: string };
    createSession(host: string, community: string, options: SessionOptions): Session;
    createV3Session(host: string, user: User, options: SessionOptions): Session;
  }

  const netSnmp: NetSnmp;
  export default netSnmp;
}
