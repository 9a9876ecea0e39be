import type { ClientStream } from "./stream.ts";

const slotCount = 1024;

/**
 * Open streams by their ids, which are odd and count up. Most are over long before their slot is due again; one that is not makes room.
 * A map would be written anew every so many streams, and each of its versions keeps the next alive for the collector of young
 * objects: once one has grown old, so does all that a stream holds, in pauses a hundred times as long.
 */
export class OpenStreams {
  readonly #slots: (ClientStream | undefined)[] = Array.from({ length: slotCount }, () => undefined);
  /** Those whose slot another has. */
  readonly #lasting = new Map<number, ClientStream>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): ClientStream | undefined {
    const stream = this.#slots[slotOf(id)];
    return stream?.id === id ? stream : this.#lasting.get(id);
  }

  /** Adds a stream whose id is not here. */
  add(stream: ClientStream): void {
    const slot = slotOf(stream.id);
    const present = this.#slots[slot];
    if (present !== undefined) this.#lasting.set(present.id, present);
    this.#slots[slot] = stream;
    this.#size++;
  }

  delete(stream: ClientStream): void {
    const slot = slotOf(stream.id);
    if (this.#slots[slot] === stream) {
      this.#slots[slot] = undefined;
      this.#size--;
    } else if (this.#lasting.delete(stream.id)) this.#size--;
  }

  /** All of them now. */
  all(): ClientStream[] {
    return [...this.#lasting.values(), ...this.#slots.filter((stream) => stream !== undefined)];
  }
}

function slotOf(id: number): number {
  return (id >>> 1) % slotCount;
}
