// Contracts made on the spot, for rules and policies that no contract of the shop happens to have.
import {
  create,
  createFileRegistry,
  type DescMessage,
  type DescService,
  type MessageInitShape,
  setExtension,
} from "@bufbuild/protobuf";
import {
  type DescriptorProtoSchema,
  type FieldDescriptorProtoSchema,
  FieldOptionsSchema,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  MessageOptionsSchema,
  MethodOptionsSchema,
  OneofOptionsSchema,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import {
  FieldRulesSchema,
  field as fieldExtension,
  MessageRulesSchema,
  message as messageExtension,
  OneofRulesSchema,
  oneof as oneofExtension,
} from "#gen/buf/validate/validate_pb.ts";
import { MethodPolicySchema, policy as policyExtension } from "#gen/souk/options/v1/options_pb.ts";

type FieldInit = MessageInitShape<typeof FieldDescriptorProtoSchema>;
type MessageInit = MessageInitShape<typeof DescriptorProtoSchema>;
type FieldRules = MessageInitShape<typeof FieldRulesSchema>;

/** What a field is made of; its rules as the contract would state them. */
export interface FieldPlan {
  readonly type: "int32" | "int64" | "string" | "bytes" | "Color" | "Item";
  readonly list?: boolean;
  /** Whether "not set" differs from the default. */
  readonly optional?: boolean;
  readonly oneof?: boolean;
  readonly rules?: FieldRules;
}

/** What a message is made of. */
export interface MessagePlan {
  readonly fields: Readonly<Record<string, FieldPlan>>;
  readonly rules?: MessageInitShape<typeof MessageRulesSchema>;
  /** Rules of the oneof `choice`, whose members are the fields marked `oneof`. */
  readonly oneofRules?: MessageInitShape<typeof OneofRulesSchema>;
}

const types = {
  int32: { type: Type.INT32 },
  int64: { type: Type.INT64 },
  string: { type: Type.STRING },
  bytes: { type: Type.BYTES },
  Color: { type: Type.ENUM, typeName: ".test.Color" },
  Item: { type: Type.MESSAGE, typeName: ".test.Item" },
} as const;

const color = { name: "Color", value: ["NONE", "RED", "BLUE"].map((name, number) => ({ name, number })) };

/** A message whose field `name` must be set: what lists and fields of messages hold. */
const item: MessagePlan = { fields: { name: { type: "string", rules: { required: true } } } };

/** The descriptor of a message. */
export function messageOf(plan: MessagePlan): DescMessage {
  const registry = registryOf([messageProto("Item", item), messageProto("Subject", plan)], []);
  return registry.getMessage("test.Subject") as DescMessage;
}

/** The descriptor of a service `test.TestService` whose unary methods have these policies; `undefined` for none. */
export function serviceOf(
  policies: Readonly<Record<string, MessageInitShape<typeof MethodPolicySchema> | undefined>>,
  clientStreaming = false,
): DescService {
  const subject = messageProto("Subject", { fields: { text: { type: "string" } } });
  const methods = Object.entries(policies).map(([name, policy]) => {
    const options = create(MethodOptionsSchema);
    if (policy !== undefined) setExtension(options, policyExtension, create(MethodPolicySchema, policy));
    return { name, inputType: ".test.Subject", outputType: ".test.Subject", clientStreaming, options };
  });
  const registry = registryOf([subject], [{ name: "TestService", method: methods }]);
  return registry.getService("test.TestService") as DescService;
}

function registryOf(
  messages: MessageInit[],
  services: NonNullable<MessageInitShape<typeof FileDescriptorProtoSchema>["service"]>,
) {
  const file = create(FileDescriptorProtoSchema, {
    name: "test.proto",
    package: "test",
    syntax: "proto3",
    messageType: messages,
    enumType: [color],
    service: services,
  });
  return createFileRegistry(create(FileDescriptorSetSchema, { file: [file] }));
}

function messageProto(name: string, { fields, rules, oneofRules }: MessagePlan): MessageInit {
  const options = create(MessageOptionsSchema);
  if (rules !== undefined) setExtension(options, messageExtension, create(MessageRulesSchema, rules));
  const entries = Object.entries(fields);
  const optional = entries
    .filter(([, plan]) => plan.optional === true)
    .map(([field]) => ({ name: `_${field}` }));
  const choice = entries.some(([, plan]) => plan.oneof === true) ? [choiceProto(oneofRules)] : [];
  const oneofDecl = [...choice, ...optional];
  const indexOf = (oneof: string) => oneofDecl.findIndex(({ name: declared }) => declared === oneof);
  const field = entries.map(([field, plan], at) => fieldProto(field, at + 1, plan, indexOf));
  return { name, options, field, oneofDecl };
}

function choiceProto(oneofRules: MessagePlan["oneofRules"]) {
  const options = create(OneofOptionsSchema);
  if (oneofRules !== undefined) setExtension(options, oneofExtension, create(OneofRulesSchema, oneofRules));
  return { name: "choice", options };
}

function fieldProto(
  name: string,
  number: number,
  plan: FieldPlan,
  indexOf: (oneof: string) => number,
): FieldInit {
  const options = create(FieldOptionsSchema);
  if (plan.rules !== undefined) setExtension(options, fieldExtension, create(FieldRulesSchema, plan.rules));
  const label = plan.list === true ? Label.REPEATED : Label.OPTIONAL;
  const shape = { name, number, label, options, ...types[plan.type] };
  if (plan.optional === true) return { ...shape, proto3Optional: true, oneofIndex: indexOf(`_${name}`) };
  return plan.oneof === true ? { ...shape, oneofIndex: indexOf("choice") } : shape;
}
