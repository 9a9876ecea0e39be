import { describe, expect, test } from "vitest";
import { errorCode, Http2Error } from "./frames.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { HpackEncoder } from "./hpack-encoder.ts";
import { entryBytes, staticFields } from "./hpack-table.ts";
import { decodeHuffman } from "./huffman.ts";
import { Output } from "./output.ts";

type Fields = [string, string][];

function decodeWith(decoder: HpackDecoder, bytes: Buffer): Fields {
  const fields: Fields = [];
  decoder.decode(bytes, 0, bytes.length, { take: (name, value) => fields.push([name, value]) });
  return fields;
}

const fromHex = (hex: string) => Buffer.from(hex.replaceAll(/\s/g, ""), "hex");

/** Encodes as a connection does: fields in turn, into an output that goes nowhere. */
function encodeWith(encoder: HpackEncoder, fields: Fields): Buffer {
  const out = new Output(() => undefined);
  const flat = fields.flat();
  out.reserve(HpackEncoder.mostBytes(flat));
  encoder.encode(flat, out);
  expect(out.at).toBeLessThanOrEqual(HpackEncoder.mostBytes(flat));
  return Buffer.from(out.buffer.subarray(0, out.at));
}

function faultOf(run: () => unknown): number | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof Http2Error && error.streamId === 0) return error.code;
    throw error;
  }
  return undefined;
}

test("the static table has the 61 entries of RFC 7541", () => {
  expect(staticFields.length).toBe(61);
  expect([staticFields[0]?.name, staticFields[14]?.name, staticFields[60]?.name]).toEqual([
    ":authority",
    "accept-charset",
    "www-authenticate",
  ]);
});

// Several blocks of one connection each, as RFC 7541 prints them.
const vectors: [string, [string, Fields][]][] = [
  [
    "C.2.1, a literal that is remembered",
    [["400a637573746f6d2d6b65790d637573746f6d2d686561646572", [["custom-key", "custom-header"]]]],
  ],
  ["C.2.2, a literal that is not", [["040c2f73616d706c652f70617468", [[":path", "/sample/path"]]]]],
  ["C.2.3, one that never is", [["100870617373776f726406736563726574", [["password", "secret"]]]]],
  ["C.2.4, an indexed field", [["82", [[":method", "GET"]]]]],
  [
    "C.3, requests",
    [
      [
        "828684410f7777772e6578616d706c652e636f6d",
        [
          [":method", "GET"],
          [":scheme", "http"],
          [":path", "/"],
          [":authority", "www.example.com"],
        ],
      ],
      [
        "828684be58086e6f2d6361636865",
        [
          [":method", "GET"],
          [":scheme", "http"],
          [":path", "/"],
          [":authority", "www.example.com"],
          ["cache-control", "no-cache"],
        ],
      ],
      [
        "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
        [
          [":method", "GET"],
          [":scheme", "https"],
          [":path", "/index.html"],
          [":authority", "www.example.com"],
          ["custom-key", "custom-value"],
        ],
      ],
    ],
  ],
  [
    "C.4, requests in Huffman code",
    [
      [
        "828684418cf1e3c2e5f23a6ba0ab90f4ff",
        [
          [":method", "GET"],
          [":scheme", "http"],
          [":path", "/"],
          [":authority", "www.example.com"],
        ],
      ],
      [
        "828684be5886a8eb10649cbf",
        [
          [":method", "GET"],
          [":scheme", "http"],
          [":path", "/"],
          [":authority", "www.example.com"],
          ["cache-control", "no-cache"],
        ],
      ],
      [
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
        [
          [":method", "GET"],
          [":scheme", "https"],
          [":path", "/index.html"],
          [":authority", "www.example.com"],
          ["custom-key", "custom-value"],
        ],
      ],
    ],
  ],
];

test.each(vectors)("blocks of RFC 7541 are read: %s", (_title, blocks) => {
  const decoder = new HpackDecoder();
  for (const [hex, fields] of blocks) expect(decodeWith(decoder, fromHex(hex))).toEqual(fields);
});

const date1 = "Mon, 21 Oct 2013 20:13:21 GMT";
const date2 = "Mon, 21 Oct 2013 20:13:22 GMT";
const location: [string, string] = ["location", "https://www.example.com"];
const cookie = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";

test.each([
  [
    "C.5, answers while entries are evicted",
    [
      "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d",
      "4803333037c1c0bf",
      "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
    ],
  ],
  [
    "C.6, the same in Huffman code",
    [
      "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
      "4883640effc1c0bf",
      "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    ],
  ],
])("blocks of RFC 7541 are read: %s", (_title, blocks) => {
  const decoder = new HpackDecoder();
  // The examples are of a table of 256 bytes.
  expect(decodeWith(decoder, fromHex("3fe101"))).toEqual([]);
  expect(blocks.map((hex) => decodeWith(decoder, fromHex(hex)))).toEqual([
    [[":status", "302"], ["cache-control", "private"], ["date", date1], location],
    [[":status", "307"], ["cache-control", "private"], ["date", date1], location],
    [
      [":status", "200"],
      ["cache-control", "private"],
      ["date", date2],
      location,
      ["content-encoding", "gzip"],
      ["set-cookie", cookie],
    ],
  ]);
});

describe("what cannot be decoded ends the connection", () => {
  test.each([
    ["an index of 0", "80"],
    ["an index beyond both tables", "be"],
    ["an index beyond both tables, in several bytes", "ff8001"],
    ["a name's index beyond both tables", "7f0001"],
    ["an integer without end", "ffffffffffffffffffff"],
    ["an integer that breaks off", "ff80"],
    ["a literal without its name", "40"],
    ["a name that breaks off", "400a6375"],
    ["a literal without its value", "400161"],
    ["a value that breaks off", "4001610562"],
    ["a length of gigabytes", "4001617fffffff7f"],
    ["a table larger than agreed", "3fe21f"],
    ["three sizes of the table", "202020"],
    ["a size of the table within a block", "8220"],
    ["padding of a whole byte", "00016182" + "1fff"],
    ["padding that is not ones", "00016181" + "18"],
    ["Huffman's code of the end", "00016184" + "ffffffff"],
  ])("%s", (_title, hex) => {
    expect(faultOf(() => decodeWith(new HpackDecoder(), fromHex(hex)))).toBe(errorCode.compression);
  });
});

test("a table may be made smaller and, within what was agreed, larger again", () => {
  const decoder = new HpackDecoder();
  decodeWith(decoder, fromHex("400161" + "0162"));
  expect(decodeWith(decoder, fromHex("be"))).toEqual([["a", "b"]]);
  expect(decodeWith(decoder, fromHex("203fe11f"))).toEqual([]);
  expect(faultOf(() => decodeWith(decoder, fromHex("be")))).toBe(errorCode.compression);
});

test("a field larger than the table empties it", () => {
  const decoder = new HpackDecoder();
  decodeWith(decoder, fromHex("400161" + "0162"));
  const long = Buffer.concat([fromHex("4001617fa11f"), Buffer.alloc(4_128, "x")]);
  expect(decodeWith(decoder, long)[0]?.[1].length).toBe(4_128);
  expect(faultOf(() => decodeWith(decoder, fromHex("be")))).toBe(errorCode.compression);
});

test("every byte has its Huffman code", () => {
  // Some of each length; that the lengths fill the code is what makes the others right.
  const codes: [number, string][] = [
    [0, "1111111111000"],
    [10, "111111111111111111111111111100"],
    [32, "010100"],
    [48, "00000"],
    [97, "00011"],
    [90, "11111101"],
    [92, "1111111111111110000"],
    [122, "1111011"],
    [127, "1111111111111111111111111100"],
    [195, "1111111111111110001"],
    [249, "1111111111111111111111111110"],
    [255, "11111111111111111111101110"],
  ];
  for (const [byte, code] of codes) {
    const bits = code.padEnd(Math.ceil(code.length / 8) * 8, "1");
    const bytes = Buffer.from(bits.match(/.{8}/g)?.map((octet) => Number.parseInt(octet, 2)) ?? []);
    expect(decodeHuffman(bytes, 0, bytes.length)).toBe(String.fromCharCode(byte));
  }
});

const request: Fields = [
  [":method", "POST"],
  [":scheme", "http"],
  [":authority", "127.0.0.1:8080"],
  [":path", "/souk.orders.v1.OrdersService/PlaceOrder"],
  ["te", "trailers"],
  ["content-type", "application/grpc"],
  ["grpc-timeout", "30000m"],
  ["authorization", `Bearer ${"x".repeat(700)}`],
  ["x-correlation-id", "0197a3f0-5d7e-7c1a-9f5e-1f2d3c4b5a69"],
];

test("what repeats is a byte each from the second or third time on", () => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  const sizes = [1, 2, 3].map(() => {
    const block = encodeWith(encoder, request);
    expect(decodeWith(decoder, block)).toEqual(request);
    return block.length;
  });
  const own =
    entryBytes(...(request[7] as [string, string])) + entryBytes(...(request[8] as [string, string]));
  expect(sizes[0]).toBeGreaterThan(own);
  // Seven indexed fields beside the two that nobody remembers.
  expect(sizes[2]).toBeLessThan(7 + own - 2 * 32 + 10);
});

test("a secret is never remembered, nor by whoever passes it on", () => {
  for (const name of ["authorization", "cookie", "x-api-key", "x-session-token", "idempotency-key"]) {
    const encoder = new HpackEncoder();
    for (let time = 0; time < 3; time++) {
      const block = encodeWith(encoder, [[name, "s3cret"]]);
      expect((block[0] as number) & 0xf0).toBe(0x10);
      expect(block.includes("s3cret")).toBe(true);
    }
  }
});

test("what a caller sends displaces nothing that repeats", () => {
  const encoder = new HpackEncoder();
  encodeWith(encoder, request);
  for (let at = 0; at < 500; at++)
    encodeWith(encoder, [
      ["x-of-a-caller", `value ${at}`],
      ["grpc-timeout", `${at}m`],
      ["user-agent", `agent/${at}`],
    ]);
  const [path] = [encodeWith(encoder, [request[3] as [string, string]])];
  expect(path.length).toBe(1);
});

test("the peer's table may be smaller, or none: the encoder follows and says so", () => {
  const encoder = new HpackEncoder();
  encodeWith(encoder, request);
  encoder.limit(0);
  encoder.limit(100);
  const decoder = new HpackDecoder();
  const block = encodeWith(encoder, request);
  expect(block.subarray(0, 3).toString("hex")).toBe("203f45");
  expect(decodeWith(decoder, block)).toEqual(request);
  encoder.limit(1_000_000);
  expect(encodeWith(encoder, request).subarray(0, 3).toString("hex")).toBe("3fe11f");
  encoder.limit(0);
  const none = encodeWith(encoder, request);
  expect(none[0]).toBe(0x20);
  const fresh = new HpackDecoder();
  expect(decodeWith(fresh, none)).toEqual(request);
  expect(decodeWith(fresh, encodeWith(encoder, request))).toEqual(request);
});

test("random requests of one connection are what they were, while the table turns over", () => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  let seed = 7;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  const names = [
    ":path",
    ":authority",
    "te",
    "content-type",
    "grpc-timeout",
    "user-agent",
    "x-a",
    "authorization",
  ];
  for (let block = 0; block < 3_000; block++) {
    if (random(200) === 0) encoder.limit([0, 50, 300, 4_096][random(4)] as number);
    const fields: Fields = Array.from({ length: random(12) }, () => [
      names[random(names.length)] as string,
      "v".repeat(random(60)) + random(40),
    ]);
    expect(decodeWith(decoder, encodeWith(encoder, fields))).toEqual(fields);
  }
});
