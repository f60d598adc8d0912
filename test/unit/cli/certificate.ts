// A self-signed certificate for tests, made by Node alone: X.509 v3 (RFC 5280) with a P-256 key, for localhost.

import { generateKeyPairSync, sign } from "node:crypto";

const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const UTF8_STRING = 0x0c;
const GENERALIZED_TIME = 0x18;
const SEQUENCE = 0x30;
const SET = 0x31;
const OBJECT_IDENTIFIER = 0x06;
/** Context-specific tags: constructed, or primitive. */
const within = (tag: number): number => 0xa0 | tag;
const implicit = (tag: number): number => 0x80 | tag;

/** One value in DER. */
function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  if (body.length < 0x80) return Buffer.concat([Uint8Array.of(tag, body.length), body]);
  const length = body.length < 0x100 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Uint8Array.of(tag, ...length), body]);
}

const text = (value: string): Buffer => Buffer.from(value, "latin1");
const identifier = (hex: string): Buffer => der(OBJECT_IDENTIFIER, Buffer.from(hex, "hex"));

const ECDSA_WITH_SHA256 = der(SEQUENCE, identifier("2a8648ce3d040302"));
const COMMON_NAME = "550403";
const SUBJECT_ALTERNATIVE_NAME = "551d11";

/** Certificate and key in PEM; valid now and for the next day, unless days from now are given. */
export function selfSigned({ host = "localhost", fromDay = -1, toDay = 1 } = {}): {
  readonly certificate: string;
  readonly key: string;
} {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name = der(SEQUENCE, der(SET, der(SEQUENCE, identifier(COMMON_NAME), der(UTF8_STRING, text(host)))));
  const day = (days: number): Buffer => {
    const time = new Date(Date.now() + days * 86_400_000).toISOString().replaceAll(/[-:T]|\.\d+/g, "");
    return der(GENERALIZED_TIME, text(time));
  };
  const names = der(
    SEQUENCE,
    der(implicit(2), text(host)),
    ...(host === "localhost" ? [der(implicit(7), Uint8Array.of(127, 0, 0, 1))] : []),
  );
  const extension = der(SEQUENCE, identifier(SUBJECT_ALTERNATIVE_NAME), der(OCTET_STRING, names));
  const body = der(
    SEQUENCE,
    der(within(0), der(INTEGER, Uint8Array.of(2))),
    der(INTEGER, Uint8Array.of(1)),
    ECDSA_WITH_SHA256,
    name,
    der(SEQUENCE, day(fromDay), day(toDay)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(within(3), der(SEQUENCE, extension)),
  );
  const signature = der(BIT_STRING, Uint8Array.of(0), sign("sha256", body, privateKey));
  const lines = der(SEQUENCE, body, ECDSA_WITH_SHA256, signature)
    .toString("base64")
    .replaceAll(/.{64}(?!$)/g, "$&\n");
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}
