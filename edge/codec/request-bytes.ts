// Requests in binary in one pass over their JSON, without JSON values or message objects: message types are compiled to tables when the
// edge starts, and one reader walks the text beside a table. What it does not handle (unknown members, nulls, anything given twice,
// numbers written oddly, whatever is wrong) it leaves to the way over message objects, which settles it or names the fault.

import { isUtf8 } from "node:buffer";
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { Kind, kindOfMessage } from "./kind.ts";
import { RequestReader } from "./request-reader.ts";
import { createRequestTables, requestFieldOf } from "./request-table.ts";
import { giveUp } from "./unusual.ts";

/** A string field of a request with its text. */
export interface BoundText {
  readonly number: number;
  readonly text: string;
}

/** What a request's message is made of; `bound` is written last and so wins over the body. */
export type RequestCodec = (
  body: Uint8Array | undefined,
  bound: readonly BoundText[],
  maxDepth: number,
) => Buffer | undefined;

// Reading is synchronous and never nested: one reader with its memory serves everybody.
const reader = new RequestReader();
const tableOf = createRequestTables();

/** Compiles a message type, with all of it or one of its fields as body, or none; undefined for types that only protobuf-es handles. */
export function compileRequest(
  input: DescMessage,
  body: "*" | DescField | undefined,
): RequestCodec | undefined {
  const table = tableOf(input);
  if (kindOfMessage(input) !== Kind.MESSAGE || table.names === undefined) return undefined;
  const field = body === "*" || body === undefined ? undefined : requestFieldOf(body, 0, tableOf);
  return (json, bound, maxDepth) => {
    if (json !== undefined && !isUtf8(json)) return undefined;
    try {
      reader.reset(maxDepth);
      if (json !== undefined) {
        if (field === undefined) reader.readMessage(table, json);
        else reader.readField(field, json);
      }
      for (const { number, text } of bound) reader.writeText(number, text);
      return reader.take();
    } catch (error) {
      return giveUp(error);
    }
  };
}
