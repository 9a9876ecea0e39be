import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";

/** A certificate with its key, both PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  readonly name: string;
  readonly keyObject: KeyObject;
}

const tag = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  time: 0x18,
  sequence: 0x30,
  set: 0x31,
};

function der(type: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const length =
    body.length < 128
      ? [body.length]
      : body.length < 256
        ? [0x81, body.length]
        : [0x82, body.length >> 8, body.length & 255];
  return Buffer.concat([Buffer.from([type, ...length]), body]);
}

const oid = (...bytes: number[]) => der(tag.oid, Buffer.from(bytes));
const sequence = (...parts: readonly Uint8Array[]) => der(tag.sequence, ...parts);
const time = (text: string) => der(tag.time, Buffer.from(text));

const ecdsaWithSha256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));

function nameOf(text: string): Buffer {
  return sequence(der(tag.set, sequence(oid(0x55, 0x04, 0x03), der(tag.utf8, Buffer.from(text)))));
}

function extensions(isAuthority: boolean): Buffer {
  const dnsLocalhost = der(0x82, Buffer.from("localhost"));
  const ipLoopback = der(0x87, Buffer.from([127, 0, 0, 1]));
  const names = sequence(oid(0x55, 0x1d, 0x11), der(tag.octets, sequence(dnsLocalhost, ipLoopback)));
  const yes = der(tag.boolean, Buffer.from([0xff]));
  const authority = sequence(
    oid(0x55, 0x1d, 0x13),
    yes,
    der(tag.octets, sequence(...(isAuthority ? [yes] : []))),
  );
  return der(0xa3, sequence(names, authority));
}

let serial = 0;

/** Makes a certificate for localhost and 127.0.0.1, good until 2099: an authority's own, or one that an authority signs. */
export function makeCertificate(name: string, authority?: Certificate): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signed = sequence(
    der(0xa0, der(tag.integer, Buffer.from([2]))),
    der(tag.integer, Buffer.from([0x10, ++serial])),
    ecdsaWithSha256,
    nameOf(authority?.name ?? name),
    sequence(time("20200101000000Z"), time("20990101000000Z")),
    nameOf(name),
    publicKey.export({ type: "spki", format: "der" }),
    extensions(authority === undefined),
  );
  const signature = sign("sha256", signed, authority?.keyObject ?? privateKey);
  const whole = sequence(signed, ecdsaWithSha256, der(tag.bits, Buffer.from([0]), signature));
  const lines = whole.toString("base64").match(/.{1,64}/g) ?? [];
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`,
    key: String(privateKey.export({ type: "pkcs8", format: "pem" })),
    name,
    keyObject: privateKey,
  };
}
