import { expect, test } from "vitest";
import { type FrameListener, FrameReceiver } from "./frame-receiver.ts";
import { errorCode, flag, frameType, Http2Error, writeHead } from "./frames.ts";

function frame(type: number, flags: number, streamId: number, payload: Uint8Array | string = ""): Buffer {
  const bytes = typeof payload === "string" ? Buffer.from(payload, "hex") : payload;
  const head = Buffer.alloc(9);
  writeHead(head, 0, { type, flags, streamId, length: bytes.length });
  return Buffer.concat([head, bytes]);
}

const settings = frame(frameType.settings, 0, 0);
const okHead = frame(frameType.headers, flag.endHeaders, 1, "88");

/** A receiver that writes down what it hears. */
function record(): { receiver: FrameReceiver; heard: string[] } {
  const heard: string[] = [];
  const listener: FrameListener = {
    isOpen: true,
    onHeaders: (id, list, isEnd) =>
      heard.push(`headers ${id} ${list.fault ?? JSON.stringify(list.headers)} ${isEnd}`),
    onData: (id, bytes, windowBytes, isEnd) => heard.push(`data ${id} ${bytes} ${windowBytes} ${isEnd}`),
    onReset: (id, code) => heard.push(`reset ${id} ${code}`),
    onSettings: (now, growth) => heard.push(`settings ${now.maxConcurrentStreams} ${growth}`),
    onPing: (payload, isAck) => heard.push(`ping ${payload} ${isAck}`),
    onGoaway: (last, code) => heard.push(`goaway ${last} ${code}`),
    onWindowUpdate: (id, bytes) => heard.push(`window ${id} ${bytes}`),
    onStreamFault: ({ streamId, code }) => heard.push(`fault ${streamId} ${code}`),
  };
  return { receiver: new FrameReceiver(listener), heard };
}

function faultOf(...frames: Buffer[]): number | undefined {
  const { receiver } = record();
  try {
    receiver.read(Buffer.concat(frames));
  } catch (error) {
    if (error instanceof Http2Error && error.streamId === 0) return error.code;
    throw error;
  }
  return undefined;
}

const stream = Buffer.concat([
  frame(frameType.settings, 0, 0, "00030000000a" + "000400020000"),
  frame(
    frameType.headers,
    flag.endHeaders | flag.padded | flag.priority,
    1,
    "02" + "0000000010" + "88" + "0000",
  ),
  frame(frameType.data, flag.padded, 1, Buffer.from("\x03hello\0\0\0", "latin1")),
  frame(99, 255, 7, "0102"),
  frame(frameType.ping, 0, 0, Buffer.from("12345678")),
  frame(frameType.priority, 0, 3, "0000000010"),
  frame(frameType.headers, flag.endStream, 1, "400161"),
  frame(frameType.continuation, 0, 1),
  frame(frameType.continuation, flag.endHeaders, 1, "0162"),
  frame(frameType.windowUpdate, 0, 0, "80000005"),
  frame(frameType.reset, 0, 1, "00000008"),
  frame(frameType.goaway, 0, 0, "80000007" + "0000000b" + "6279"),
]);
const told = [
  "settings 10 65537",
  'headers 1 {":status":200} false',
  "data 1 hello 9 false",
  "ping 12345678 false",
  'headers 1 {"a":"b"} true',
  "window 0 5",
  "reset 1 8",
  "goaway 7 11",
];

test("frames mean the same however the connection cuts them", () => {
  for (const size of [1, 2, 3, 5, 8, 9, 10, 13, stream.length]) {
    const { receiver, heard } = record();
    for (let at = 0; at < stream.length; at += size) receiver.read(stream.subarray(at, at + size));
    expect(heard).toEqual(told);
  }
});

test("a fault of one stream does not touch what follows", () => {
  const { receiver, heard } = record();
  receiver.read(
    Buffer.concat([
      settings,
      frame(frameType.windowUpdate, 0, 5, "00000000"),
      frame(frameType.priority, 0, 5, "00"),
      okHead,
    ]),
  );
  expect(heard.slice(1)).toEqual([
    `fault 5 ${errorCode.protocol}`,
    `fault 5 ${errorCode.frameSize}`,
    'headers 1 {":status":200} false',
  ]);
});

test.each<[string, keyof typeof errorCode, Buffer[]]>([
  ["no SETTINGS at first", "protocol", [okHead]],
  ["an acknowledgement at first", "protocol", [frame(frameType.settings, flag.ack, 0)]],
  ["HTTP/1.1", "frameSize", [Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")]],
  ["a frame larger than agreed", "frameSize", [settings, frame(frameType.data, 0, 1, Buffer.alloc(16_385))]],
  ["DATA for the connection", "protocol", [settings, frame(frameType.data, 0, 0)]],
  ["HEADERS for the connection", "protocol", [settings, frame(frameType.headers, flag.endHeaders, 0, "88")]],
  ["RST_STREAM for the connection", "protocol", [settings, frame(frameType.reset, 0, 0, "00000000")]],
  ["RST_STREAM of another length", "frameSize", [settings, frame(frameType.reset, 0, 1, "000000")]],
  ["SETTINGS for a stream", "protocol", [settings, frame(frameType.settings, 0, 1)]],
  ["half a setting", "frameSize", [frame(frameType.settings, 0, 0, "000300")]],
  [
    "an acknowledgement with settings",
    "frameSize",
    [settings, frame(frameType.settings, flag.ack, 0, "000300000001")],
  ],
  ["a window of 32 bits", "flowControl", [frame(frameType.settings, 0, 0, "000480000000")]],
  ["a frame size below the least", "protocol", [frame(frameType.settings, 0, 0, "000500003fff")]],
  ["a frame size above the most", "protocol", [frame(frameType.settings, 0, 0, "000501000000")]],
  ["a server that switches pushing on", "protocol", [frame(frameType.settings, 0, 0, "000200000001")]],
  ["PUSH_PROMISE", "protocol", [settings, frame(frameType.pushPromise, flag.endHeaders, 1, "0000000288")]],
  ["PING of another length", "frameSize", [settings, frame(frameType.ping, 0, 0, "00")]],
  ["PING for a stream", "protocol", [settings, frame(frameType.ping, 0, 1, "0000000000000000")]],
  ["GOAWAY for a stream", "protocol", [settings, frame(frameType.goaway, 0, 1, "0000000000000000")]],
  ["GOAWAY that is too short", "frameSize", [settings, frame(frameType.goaway, 0, 0, "00000000")]],
  ["WINDOW_UPDATE of another length", "frameSize", [settings, frame(frameType.windowUpdate, 0, 0, "00")]],
  ["WINDOW_UPDATE by nothing", "protocol", [settings, frame(frameType.windowUpdate, 0, 0, "00000000")]],
  ["PRIORITY for the connection", "protocol", [settings, frame(frameType.priority, 0, 0, "0000000010")]],
  ["CONTINUATION of nothing", "protocol", [settings, frame(frameType.continuation, flag.endHeaders, 1)]],
  [
    "a header block that another frame interrupts",
    "protocol",
    [settings, frame(frameType.headers, 0, 1, "88"), frame(frameType.data, 0, 1)],
  ],
  [
    "a header block that an unknown frame interrupts",
    "protocol",
    [settings, frame(frameType.headers, 0, 1, "88"), frame(99, 0, 1)],
  ],
  [
    "a header block that goes on for another stream",
    "protocol",
    [settings, frame(frameType.headers, 0, 1, "88"), frame(frameType.continuation, 4, 3)],
  ],
  ["more padding than data", "protocol", [settings, frame(frameType.data, flag.padded, 1, "0500")]],
  ["a padded frame without its length", "frameSize", [settings, frame(frameType.data, flag.padded, 1)]],
  [
    "HEADERS shorter than its priority",
    "frameSize",
    [settings, frame(frameType.headers, flag.priority | flag.endHeaders, 1, "0000")],
  ],
  [
    "a header block that cannot be decoded",
    "compression",
    [settings, frame(frameType.headers, flag.endHeaders, 1, "ff")],
  ],
])("ends the connection: %s", (_title, code, frames) => {
  expect(faultOf(...frames)).toBe(errorCode[code]);
});

test.each<[string, Buffer]>([
  ["pings", frame(frameType.ping, 0, 0, "0000000000000000")],
  ["settings", settings],
  ["acknowledgements", frame(frameType.settings, flag.ack, 0)],
  ["priorities", frame(frameType.priority, 0, 1, "0000000010")],
  ["data without data", frame(frameType.data, 0, 1)],
  ["frames of no known type", frame(99, 0, 1)],
])("a flood is told to calm down: %s", (_title, one) => {
  expect(faultOf(settings, ...Array.from({ length: 900 }, () => one))).toBeUndefined();
  expect(faultOf(settings, ...Array.from({ length: 100_000 }, () => one))).toBe(errorCode.enhanceYourCalm);
});

test("so is a header block without end, and what is held of it stays small", () => {
  const part = frame(frameType.continuation, 0, 1, Buffer.alloc(16_384, 0x88));
  expect(
    faultOf(settings, frame(frameType.headers, 0, 1), ...Array.from({ length: 7 }, () => part)),
  ).toBeUndefined();
  expect(faultOf(settings, frame(frameType.headers, 0, 1), ...Array.from({ length: 9 }, () => part))).toBe(
    errorCode.enhanceYourCalm,
  );
});

const literal = (name: string, value: string) =>
  Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
const status = Buffer.from([0x88]);

test.each<[string, Buffer[], string]>([
  ["a name in capitals", [status, literal("Name", "v")], "a header whose name is none"],
  ["a name with a space", [status, literal("na me", "v")], "a header whose name is none"],
  ["no name", [status, literal("", "v")], "a header whose name is none"],
  ["a header of the connection", [status, literal("connection", "close")], "a header whose name is none"],
  [
    "a value with a line's end",
    [status, literal("a", "b\r\nc: d")],
    "the value of a holds what no value holds",
  ],
  ["a value with NUL", [status, literal("a", "b\0")], "the value of a holds what no value holds"],
  [
    "a value that begins with a space",
    [status, literal("a", " b")],
    "the value of a holds what no value holds",
  ],
  ["te of a server", [status, literal("te", "gzip")], "te that is not trailers"],
  ["two statuses", [status, status], "a pseudo-header out of place"],
  ["a status behind headers", [literal("a", "b"), status], "a pseudo-header out of place"],
  ["a status that is none", [literal(":status", "20")], "a pseudo-header out of place"],
  ["a pseudo-header of requests", [literal(":path", "/")], "a pseudo-header out of place"],
  [
    "a list that is too long",
    [status, ...Array.from({ length: 1_500 }, () => literal("a", "b".repeat(20)))],
    "a header list of more than 65536 bytes",
  ],
])("an answer's headers are refused: %s", (_title, fields, fault) => {
  const { receiver, heard } = record();
  const block = Buffer.concat(fields);
  const frames = [settings];
  for (let at = 0; at < block.length; at += 16_384) {
    const part = block.subarray(at, at + 16_384);
    const flags = at + 16_384 >= block.length ? flag.endHeaders : 0;
    frames.push(frame(at === 0 ? frameType.headers : frameType.continuation, flags, 1, part));
  }
  receiver.read(Buffer.concat(frames));
  expect(heard[1]).toBe(`headers 1 ${fault} false`);
});

test("headers of one name are joined, but for set-cookie and those that there is one of", () => {
  const { receiver, heard } = record();
  const fields = [
    ["a", "1"],
    ["a", "2"],
    ["set-cookie", "c"],
    ["set-cookie", "d"],
    ["content-type", "x"],
    ["content-type", "y"],
    ["__proto__", "z"],
  ];
  const block = Buffer.concat([
    status,
    ...fields.map(([name, value]) => literal(name as string, value as string)),
  ]);
  receiver.read(Buffer.concat([settings, frame(frameType.headers, flag.endHeaders, 1, block)]));
  expect(heard[1]).toBe(
    'headers 1 {":status":200,"a":"1, 2","set-cookie":["c","d"],"content-type":"x","__proto__":"z"} false',
  );
});
