import { connectionFault, maxFrameBytes, maxUint31, readUint32, writeUint32 } from "./frames.ts";
import { defaultTableBytes } from "./hpack-table.ts";

/** The number of a setting and its value. */
export type Setting = readonly [id: number, value: number];

/** Settings by their numbers (RFC 9113, 6.5.2). */
export const settingId = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

const entryBytes = 6;
/** Windows before anybody has said anything. */
export const defaultWindowBytes = 65_535;
/** The payload of a SETTINGS frame. */
export function settingBytes(settings: readonly Setting[]): Buffer {
  const bytes = Buffer.alloc(settings.length * entryBytes);
  for (const [at, [id, value]] of settings.entries()) {
    bytes[at * entryBytes + 1] = id;
    writeUint32(bytes, at * entryBytes + 2, value);
  }
  return bytes;
}

/** What the peer allows. */
export class PeerSettings {
  headerTableBytes = defaultTableBytes;
  maxConcurrentStreams = maxUint31;
  initialWindowBytes = defaultWindowBytes;
  maxFrameBytes = maxFrameBytes;

  /** Takes a SETTINGS frame's payload; throws an {@link Http2Error} for values that nobody may send. */
  apply(bytes: Uint8Array, start: number, end: number): void {
    if ((end - start) % entryBytes !== 0) throw connectionFault("frameSize", "half a setting");
    for (let at = start; at < end; at += entryBytes) {
      const id = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
      this.#set(id, readUint32(bytes, at + 2));
    }
  }

  #set(id: number, value: number): void {
    switch (id) {
      case settingId.headerTableSize:
        this.headerTableBytes = value;
        break;
      case settingId.enablePush:
        if (value !== 0) throw connectionFault("protocol", "a server does not switch pushing on");
        break;
      case settingId.maxConcurrentStreams:
        this.maxConcurrentStreams = value;
        break;
      case settingId.initialWindowSize:
        if (value > maxUint31) throw connectionFault("flowControl", `a window of ${value} bytes`);
        this.initialWindowBytes = value;
        break;
      case settingId.maxFrameSize:
        if (value < maxFrameBytes || value > 0xff_ffff)
          throw connectionFault("protocol", `frames of ${value} bytes`);
        this.maxFrameBytes = value;
        break;
      default:
      // The size of header lists is advice; what is not known is to be ignored.
    }
  }
}
