// Numbers of the NBD handshake phase (NBD protocol, "Handshake phase" and "Values"). The transmission phase is the core's:
// its numbers live in assembly/frontend/nbd/parser.ts and never appear here.

/** First eight bytes of a server: "NBDMAGIC". */
export const NBD_MAGIC = 0x4e42444d41474943n;
/** Magic of the newstyle handshake and of every option: "IHAVEOPT". */
export const OPTION_MAGIC = 0x49484156454f5054n;
/** Magic of every option reply. */
export const OPTION_REPLY_MAGIC = 0x0003e889045565a9n;

/** Handshake flags, sent by the server and answered by the client. */
export const HANDSHAKE_FIXED_NEWSTYLE = 1;
export const HANDSHAKE_NO_ZEROES = 2;

export const OPTION_EXPORT_NAME = 1;
export const OPTION_ABORT = 2;
export const OPTION_LIST = 3;
export const OPTION_STARTTLS = 5;
export const OPTION_INFO = 6;
export const OPTION_GO = 7;
export const OPTION_STRUCTURED_REPLY = 8;
export const OPTION_LIST_META_CONTEXT = 9;
export const OPTION_SET_META_CONTEXT = 10;
export const OPTION_EXTENDED_HEADERS = 11;

export const REPLY_ACK = 1;
export const REPLY_SERVER = 2;
export const REPLY_INFO = 3;
export const REPLY_META_CONTEXT = 4;
export const REPLY_ERR_UNSUP = 0x80000001;
export const REPLY_ERR_POLICY = 0x80000002;
export const REPLY_ERR_INVALID = 0x80000003;
export const REPLY_ERR_TLS_REQD = 0x80000005;
export const REPLY_ERR_UNKNOWN = 0x80000006;
export const REPLY_ERR_TOO_BIG = 0x80000009;
export const REPLY_ERR_EXT_HEADER_REQD = 0x8000000a;

export const INFO_EXPORT = 0;
export const INFO_NAME = 1;
export const INFO_DESCRIPTION = 2;
export const INFO_BLOCK_SIZE = 3;

/** Transmission flags: what the export offers. */
export const TRANSMISSION_HAS_FLAGS = 1;
export const TRANSMISSION_READ_ONLY = 2;
export const TRANSMISSION_SEND_FLUSH = 4;
export const TRANSMISSION_SEND_FUA = 8;
export const TRANSMISSION_SEND_TRIM = 32;
export const TRANSMISSION_SEND_WRITE_ZEROES = 64;
export const TRANSMISSION_SEND_DF = 128;
export const TRANSMISSION_CAN_MULTI_CONN = 256;
export const TRANSMISSION_SEND_CACHE = 1024;

/** The one metadata context there is, and the number by which replies name it (assembly/request/allocation.ts). */
export const CONTEXT_ALLOCATION_NAME = "base:allocation";
export const CONTEXT_ALLOCATION = 1;

/** Longest string the protocol asks a peer to accept, in bytes (NBD protocol, "Values": strings). */
export const STRING_BYTES_MAX = 4096;
/** Bytes of an option header: magic, option, length. */
export const OPTION_HEADER_BYTES = 16;
/** Zeroes behind the answer to EXPORT_NAME, unless both sides agreed to leave them out. */
export const EXPORT_NAME_PADDING_BYTES = 124;
