import { create, type DescService, type Message } from "@bufbuild/protobuf";
import type * as grpc from "@grpc/grpc-js";
import {
  type FilePart,
  FileSummarySchema,
  type FollowNotesRequest,
  type Note,
  NoteListSchema,
  NoteSchema,
  StreamsService,
} from "#gen/edge/testing/v1/streams_pb.ts";
import { definitionOf } from "./backend.ts";

type CollectCall = grpc.ServerReadableStream<Note, Message>;
type FileCall = grpc.ServerReadableStream<FilePart, Message>;
type ConverseCall = grpc.ServerDuplexStream<Note, Note>;
type FollowCall = grpc.ServerWritableStream<FollowNotesRequest, Note>;

/** The streams of the backend that are open. */
export type OpenStreams = ReadonlySet<unknown>;

/** Adds the streaming test service to a server. */
export function addStreams(server: grpc.Server): OpenStreams {
  const open = new Set<unknown>();
  server.addService(definitionOf(StreamsService), {
    CollectNotes: (call: CollectCall, respond: grpc.sendUnaryData<Message>) => collect(call, respond, open),
    ReceiveFile: receive,
    Converse: (call: ConverseCall) => converse(call, open),
    FollowNotes: (call: FollowCall) => follow(call, open),
  });
  return open;
}

/** Adds a service whose methods answer with their request. */
export function addEcho(server: grpc.Server, service: DescService): void {
  const echo = (call: grpc.ServerUnaryCall<Message, Message>, respond: grpc.sendUnaryData<Message>) =>
    respond(null, call.request);
  server.addService(
    definitionOf(service),
    Object.fromEntries(service.methods.map(({ name }) => [name, echo])),
  );
}

function collect(call: CollectCall, respond: grpc.sendUnaryData<Message>, open: Set<unknown>): void {
  const notes: Note[] = [];
  watch(call, open);
  call.on("data", (note: Note) => {
    if (note.failWith === 0) notes.push(note);
    else {
      open.delete(call);
      respond({ code: note.failWith, details: "told to" });
    }
  });
  call.on("end", () => {
    open.delete(call);
    respond(null, create(NoteListSchema, { notes }));
  });
}

function receive(call: FileCall, respond: grpc.sendUnaryData<Message>): void {
  const parts: FilePart[] = [];
  call.on("data", (part: FilePart) => parts.push(part));
  call.on("end", () => {
    const sizes = parts.map((part) => part.content?.data.length ?? 0);
    const later = parts.slice(1).map((part) => `${part.name}${part.content?.contentType ?? ""}`);
    respond(
      null,
      create(FileSummarySchema, {
        name: parts[0]?.name ?? "",
        contentType: parts[0]?.content?.contentType ?? "",
        sizeBytes: BigInt(sizes.reduce((sum, size) => sum + size, 0)),
        partCount: parts.length,
        largestPartBytes: Math.max(0, ...sizes),
        repeatedFacts: later.join(""),
      }),
    );
  });
}

/** Greets, then says everything back. */
function converse(call: ConverseCall, open: Set<unknown>): void {
  watch(call, open);
  call.write(create(NoteSchema, { text: "welcome" }));
  call.on("data", (note: Note) => {
    if (note.failWith === 0)
      call.write(create(NoteSchema, { text: `you said ${note.text}`, shelf: note.shelf }));
    else call.emit("error", { code: note.failWith, details: "told to" });
  });
  call.on("end", () => {
    open.delete(call);
    call.end();
  });
}

function follow(call: FollowCall, open: Set<unknown>): void {
  const { count, failWith, shelf, stayOpen } = call.request;
  watch(call, open);
  for (let at = 0; at < count; at++) call.write(create(NoteSchema, { text: `note ${at}`, shelf }));
  if (stayOpen) return;
  open.delete(call);
  if (failWith === 0) call.end();
  else call.emit("error", { code: failWith, details: "told to" });
}

function watch(call: { on(event: "cancelled", listener: () => void): unknown }, open: Set<unknown>): void {
  open.add(call);
  call.on("cancelled", () => open.delete(call));
}
