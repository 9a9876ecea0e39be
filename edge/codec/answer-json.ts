// Answers as JSON in one pass over their bytes, without message objects: message types are compiled to tables when the edge starts, and
// one writer walks a table beside the bytes. Its JSON has the same content as protobuf-es' of the same message; what it does not handle
// (fields out of order, a field given twice, malformed or out of range) it leaves to protobuf-es, with everything there is to say of it.

import type { DescMessage, Registry } from "@bufbuild/protobuf";
import { createAnswerTables, isAnswerSupported } from "./answer-table.ts";
import { AnswerWriter } from "./answer-writer.ts";
import { Kind, kindOfMessage } from "./kind.ts";
import { giveUp } from "./unusual.ts";

/** Makes the JSON of an encoded message; undefined where that is left to the way over message objects. */
export type AnswerCodec = (bytes: Uint8Array) => Buffer | undefined;

// Writing is synchronous and never nested: one writer with its memory serves everybody.
const writer = new AnswerWriter();
const tablesWith = createAnswerTables(true);
const tablesWithout = createAnswerTables(false);

/** Compiles a message type; undefined for types that only protobuf-es handles. */
export function compileAnswer(
  desc: DescMessage,
  emitDefaults: boolean,
  registry: Registry,
): AnswerCodec | undefined {
  if (kindOfMessage(desc) !== Kind.MESSAGE || !isAnswerSupported(desc)) return undefined;
  const table = (emitDefaults ? tablesWith : tablesWithout)(desc);
  const options = { alwaysEmitImplicit: emitDefaults, registry };
  return (bytes) => {
    try {
      return writer.write(table, bytes, options);
    } catch (error) {
      return giveUp(error);
    }
  };
}
