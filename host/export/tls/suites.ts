// TLS parameters, also used by the API: TLS 1.3, and the TLS 1.2 suites with forward secrecy and authenticated encryption.

import { constants } from "node:crypto";
import type { SecureContextOptions } from "node:tls";

const TLS_1_3 = [
  // First, because keys of a PSK file work with SHA-256 only, and the suite is chosen before it is known how the client
  // authenticates.
  "TLS_AES_128_GCM_SHA256",
  "TLS_CHACHA20_POLY1305_SHA256",
  "TLS_AES_256_GCM_SHA384",
];

const TLS_1_2 = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
  "ECDHE-PSK-CHACHA20-POLY1305",
];

const TLS_CIPHERS = [...TLS_1_3, ...TLS_1_2].join(":");

/**
 * Settings of every server. No renegotiation. No tickets: every connection authenticates anew, by the rules in force then; what
 * TLS 1.3 calls resumption is then always a PSK of the file.
 */
export const TLS_SERVER: SecureContextOptions = {
  minVersion: "TLSv1.2",
  ciphers: TLS_CIPHERS,
  honorCipherOrder: true,
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET,
};
