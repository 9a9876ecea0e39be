import { inspect } from "node:util";

const shown = "[secret]";

/** A text that prints as `[secret]` in logs, JSON, errors and inspections; only `reveal()` tells it. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself; call it where it is sent, not earlier. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }

  [inspect.custom](): string {
    return shown;
  }
}
