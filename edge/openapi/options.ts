import type { DescMethod, JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { ExampleOf } from "./example.ts";
import type { CommentOf } from "./schema.ts";

/** A refusal that callers of a method have to reckon with. */
export interface Refusal {
  /** gRPC status number. */
  readonly code: number;
  /** HTTP status where it is not that of `code`. */
  readonly status?: number | undefined;
  /** `type` of its problem document. */
  readonly type: string;
  readonly reason: string;
  readonly domain: string;
  /** When it comes, as a sentence. */
  readonly meaning: string;
}

/** What a gateway lays down for a method beside its shape. */
export interface MethodFacts {
  /** Status of a success. */
  readonly successStatus: number;
  /** Ways to be let in, any of which will do: scheme names with the scopes they have to carry. None at all lets everybody in. */
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  /** Parameters beside those of the contract, such as headers. */
  readonly parameters: readonly JsonObject[];
  readonly refusals: readonly Refusal[];
}

/** Everything a document says that routes do not. */
export interface OpenApiOptions {
  readonly info: Readonly<Record<string, JsonValue>>;
  readonly servers: readonly JsonObject[];
  readonly securitySchemes: Readonly<Record<string, JsonObject>>;
  readonly factsOf: (method: DescMethod) => MethodFacts;
  /** Headers of every answer, by name. */
  readonly answerHeaders: Readonly<Record<string, JsonObject>>;
  readonly commentOf: CommentOf;
  readonly exampleOf: ExampleOf;
}
