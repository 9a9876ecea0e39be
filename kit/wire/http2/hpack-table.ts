/** A name and a value. */
export interface HeaderField {
  readonly name: string;
  readonly value: string;
}

const field = (name: string, value = ""): HeaderField => ({ name, value });

/** The fields both sides know from the beginning, from index 1 on (RFC 7541, appendix A). */
export const staticFields: readonly HeaderField[] = [
  field(":authority"),
  field(":method", "GET"),
  field(":method", "POST"),
  field(":path", "/"),
  field(":path", "/index.html"),
  field(":scheme", "http"),
  field(":scheme", "https"),
  ...["200", "204", "206", "304", "400", "404", "500"].map((status) => field(":status", status)),
  field("accept-charset"),
  field("accept-encoding", "gzip, deflate"),
  ...(
    "accept-language accept-ranges accept access-control-allow-origin age allow authorization cache-control " +
    "content-disposition content-encoding content-language content-length content-location content-range " +
    "content-type cookie date etag expect expires from host if-match if-modified-since if-none-match if-range " +
    "if-unmodified-since last-modified link location max-forwards proxy-authenticate proxy-authorization range " +
    "referer refresh retry-after server set-cookie strict-transport-security transfer-encoding user-agent vary via " +
    "www-authenticate"
  )
    .split(" ")
    .map((name) => field(name)),
];

/** The size of a table that neither side has said anything about, in bytes. */
export const defaultTableBytes = 4_096;

const entryOverhead = 32;

/** What an entry counts for. */
export function entryBytes(name: string, value: string): number {
  return name.length + value.length + entryOverhead;
}

/** The fields both sides remember of a connection, newest first; the oldest leave when there is no room. */
export class HeaderTable<Entry extends HeaderField = HeaderField> {
  readonly #onEvicted: ((entry: Entry) => void) | undefined;
  /** A ring; its length is a power of two. */
  #entries: (Entry | undefined)[] = new Array(64);
  #first = 0;
  #count = 0;
  #bytes = 0;
  #maxBytes: number;

  constructor(maxBytes: number, onEvicted?: (entry: Entry) => void) {
    this.#maxBytes = maxBytes;
    this.#onEvicted = onEvicted;
  }

  /** Entries there are. */
  get count(): number {
    return this.#count;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  set maxBytes(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#shrinkTo(maxBytes);
  }

  /** The entry that was inserted so many insertions ago; undefined when there is none. */
  at(age: number): Entry | undefined {
    if (age >= this.#count) return undefined;
    return this.#entries[(this.#first + this.#count - 1 - age) & (this.#entries.length - 1)];
  }

  /** Adds an entry; one that is larger than the table leaves it empty. False where it did not stay. */
  insert(entry: Entry): boolean {
    const bytes = entryBytes(entry.name, entry.value);
    this.#shrinkTo(this.#maxBytes - bytes);
    if (bytes > this.#maxBytes) return false;
    if (this.#count === this.#entries.length) this.#grow();
    this.#entries[(this.#first + this.#count++) & (this.#entries.length - 1)] = entry;
    this.#bytes += bytes;
    return true;
  }

  #shrinkTo(bytes: number): void {
    while (this.#count > 0 && this.#bytes > bytes) {
      const entry = this.#entries[this.#first] as Entry;
      this.#entries[this.#first] = undefined;
      this.#first = (this.#first + 1) & (this.#entries.length - 1);
      this.#count--;
      this.#bytes -= entryBytes(entry.name, entry.value);
      this.#onEvicted?.(entry);
    }
  }

  #grow(): void {
    const entries = Array.from({ length: this.#count }, (_, at) => this.at(this.#count - 1 - at));
    this.#entries = [...entries, ...new Array(this.#count)];
    this.#first = 0;
  }
}
