/** One server-sent event. */
export type ServerEvent = { event: string; data: string };

/** A line or event longer than this is not what a shop sends. */
const MAX_BUFFER = 1_000_000;

/** Reads the events of a `text/event-stream` body; ends where the body ends. Comments and empty events are skipped. */
export async function* readEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let buffer = "";
  for await (const chunk of body) {
    buffer = (buffer + decoder.decode(chunk, { stream: true })).replaceAll("\r\n", "\n");
    if (buffer.length > MAX_BUFFER) throw new Error("A server-sent event is too long");
    const blocks = buffer.split("\n\n");
    buffer = blocks.pop() ?? "";
    yield* blocks.map(parseBlock).filter(({ data }) => data !== "");
  }
}

function parseBlock(block: string): ServerEvent {
  const lines = block.split("\n");
  const valuesOf = (field: string) =>
    lines
      .filter((line) => line.startsWith(`${field}:`))
      .map((line) => line.slice(field.length + 1).trimStart());
  return { event: valuesOf("event").at(-1) ?? "message", data: valuesOf("data").join("\n") };
}
