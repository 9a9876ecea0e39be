import {
  type DescEnumValue,
  type DescMethod,
  getOption,
  hasOption,
  type JsonObject,
} from "@bufbuild/protobuf";
import { createEdge, type Route } from "#edge/edge.ts";
import {
  describeRoutes,
  type MethodFacts,
  type OpenApiOptions,
  type Refusal,
} from "#edge/openapi/openapi.ts";
import { comments } from "#gen/comments.ts";
import { Code } from "#gen/google/rpc/code_pb.ts";
import { ErrorReasonSchema as commonReasons } from "#gen/souk/errors/v1/errors_pb.ts";
import { type MethodPolicy, Retry, reason as reasonOption } from "#gen/souk/options/v1/options_pb.ts";
import { exampleOf } from "./api-examples.ts";
import { edgePolicyFor, policyOf, servedServices } from "./policy.ts";
import { problemTypeOf, reasonSchemas } from "./problems.ts";
import { ticketParameter } from "./tickets.ts";

const bearer = "bearer";
const ticket = "ticket";

/** The OpenAPI document of the routes that the gateway serves. */
export const describeApi = (routes: readonly Route[]): JsonObject => describeRoutes(routes, options);

/** The routes as a gateway compiles them, without one that runs. */
export function compileRoutes(): readonly Route[] {
  return createEdge({
    registry: servedServices.map((service) => service.file),
    services: (service) => servedServices.includes(service),
    backendFor: () => ({ address: "http://127.0.0.1:1" }),
    policyFor: edgePolicyFor,
  }).routes;
}

const description = `Orders, products, payments and shipments of a shop.

Every call is described by its contract: the same methods answer REST as below, Connect, gRPC-Web and gRPC, on the same port.

- Whoever repeats a call that changes something sends the same \`Idempotency-Key\`: it is done once, and the first answer is given again with \`Idempotent-Replayed: true\`. A key is remembered for 24 hours.
- A refusal is \`application/problem+json\` (RFC 9457). Programs decide by \`domain\` and \`reason\`.
- \`X-Correlation-ID\` of a request (letters, digits and \`._:-\`, up to 128) comes back in its answer and stands in every log line.
- \`Connect-Timeout-Ms\` shortens the time a call may take.
- Calls are counted by caller. \`RateLimit-Remaining\` tells how many are left, \`Retry-After\` of a 429 when to come again.
- What services announce is described as AsyncAPI 3: [asyncapi.json](/asyncapi.json).
- Amounts are whole numbers of a currency's minor unit, as text.`;

const header = (says: string, type = "string"): JsonObject => ({ description: says, schema: { type } });

const options: OpenApiOptions = {
  info: {
    title: "Souk",
    version: "1.0.0",
    description,
    license: { name: "Apache-2.0", identifier: "Apache-2.0" },
  },
  servers: [{ url: "/", description: "The gateway that serves this document." }],
  securitySchemes: {
    [bearer]: {
      type: "http",
      scheme: "bearer",
      bearerFormat: "JWT",
      description: "An access token of the shop's issuer, with the scopes that the operation names.",
    },
    [ticket]: {
      type: "apiKey",
      in: "query",
      name: ticketParameter,
      description: "Stands for a token where none can be sent. Made by `GatewayService_CreateWatchTicket`.",
    },
  },
  answerHeaders: {
    "X-Correlation-ID": header("The request's, or one made for it."),
    "RateLimit-Policy": header(
      'What is counted: `"ordinary";q=100;w=2` is 100 calls, all back in 2 seconds.',
    ),
    RateLimit: header("What is left, and the seconds until all is back."),
    "RateLimit-Limit": header("Calls that can be made at once.", "integer"),
    "RateLimit-Remaining": header("Calls that are left.", "integer"),
    "RateLimit-Reset": header("Seconds until all calls are back.", "integer"),
  },
  factsOf,
  commentOf: (desc) => {
    switch (desc.kind) {
      case "field":
      case "enum_value":
      case "rpc":
        return comments[`${desc.parent?.typeName}.${desc.name}`];
      case "message":
      case "enum":
      case "service":
        return comments[desc.typeName];
      default:
        return undefined;
    }
  },
  exampleOf,
};

function factsOf(method: DescMethod): MethodFacts {
  const policy = policyOf(method);
  return {
    successStatus: policy.httpStatus || 200,
    security: securityOf(policy),
    parameters: policy.idempotencyKeyRequired ? [idempotencyKey] : [],
    refusals: refusalsOf(method, policy),
  };
}

function securityOf({ anonymous, scopes, ticketAccepted }: MethodPolicy): MethodFacts["security"] {
  if (anonymous) return [];
  return ticketAccepted ? [{ [bearer]: scopes }, { [ticket]: scopes }] : [{ [bearer]: scopes }];
}

const idempotencyKey: JsonObject = {
  name: "Idempotency-Key",
  in: "header",
  required: true,
  description: "Names this request among all of the caller's: a repeat with the same key is done once.",
  schema: { type: "string", minLength: 1, maxLength: 255, pattern: "^[ -~]+$" },
  example: "0198c0de-7a11-7000-8000-5c0ffee5c0de",
};

/** When a reason that any service can answer with concerns a method; those not named concern all. */
const conditions: Readonly<Record<string, (method: DescMethod, policy: MethodPolicy) => boolean>> = {
  PAGE_TOKEN_INVALID: ({ input }) => input.fields.some(({ name }) => name === "page_token"),
  TOKEN_MISSING: (_method, { anonymous }) => !anonymous,
  TOKEN_INVALID: (_method, { anonymous }) => !anonymous,
  SCOPE_MISSING: (_method, { scopes }) => scopes.length > 0,
  TICKET_INVALID: (_method, { ticketAccepted }) => ticketAccepted,
  IDEMPOTENCY_KEY_MISSING: (_method, { idempotencyKeyRequired }) => idempotencyKeyRequired,
  IDEMPOTENCY_KEY_INVALID: (_method, { idempotencyKeyRequired }) => idempotencyKeyRequired,
  IDEMPOTENCY_KEY_REUSED: (_method, { idempotencyKeyRequired }) => idempotencyKeyRequired,
  IDEMPOTENCY_KEY_IN_USE: (_method, { idempotencyKeyRequired }) => idempotencyKeyRequired,
  // Only services cancel commands.
  COMMAND_CANCELLED: () => false,
  ORIGIN_REFUSED: ({ methodKind }) => methodKind !== "unary",
};

function refusalsOf(method: DescMethod, policy: MethodPolicy): Refusal[] {
  const common = commonReasons.values.filter(
    ({ localName }) => conditions[localName]?.(method, policy) ?? true,
  );
  const area = reasonSchemas.find(({ file }) => file.proto.package === method.parent.file.proto.package);
  const own = area?.values.filter((value) => policy.retry !== Retry.SAFE || isForReaders(value)) ?? [];
  return [...common, ...own].flatMap(toRefusal);
}

/** A method that changes nothing can be asked for what there is not, or asked wrongly, and that is all. */
function isForReaders(value: DescEnumValue): boolean {
  const { code } = getOption(value, reasonOption);
  return code === Code.NOT_FOUND || code === Code.INVALID_ARGUMENT;
}

function toRefusal(value: DescEnumValue): Refusal[] {
  if (!hasOption(value, reasonOption)) return [];
  const { code, httpStatus } = getOption(value, reasonOption);
  const { parent, localName: reason } = value;
  const domain = `${parent.file.proto.package.split(".")[1]}.souk`;
  const meaning = comments[`${parent.typeName}.${value.name}`] ?? reason;
  return [{ code, status: httpStatus || undefined, type: problemTypeOf(reason), reason, domain, meaning }];
}
