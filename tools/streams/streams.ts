import { globSync } from "node:fs";
import { join, resolve } from "node:path";
import type { DescFile } from "@bufbuild/protobuf";
import { streamName, streamSubjects } from "#kit/nats/event-names.ts";
import { ensureStream, type Nats } from "#kit/nats/nats.ts";

const REPOSITORY = resolve(import.meta.dirname, "../..");

/** The streams of every event in the contract, by name. */
export async function readStreams(prefix: string): Promise<{ name: string; subjects: string }[]> {
  const paths = globSync("gen/souk/*/v*/events_pb.ts", { cwd: REPOSITORY }).sort();
  const files = await Promise.all(paths.map(readFile));
  return files.map((file) => ({ name: streamName(file, prefix), subjects: streamSubjects(file, prefix) }));
}

async function readFile(path: string): Promise<DescFile> {
  const exported = Object.values((await import(join(REPOSITORY, path))) as Record<string, unknown>);
  const file = exported.find((value) => (value as { kind?: unknown } | undefined)?.kind === "file");
  if (!file) throw new Error(`${path} describes no file`);
  return file as DescFile;
}

/** Makes the streams that are missing, gives those that have too few replicas the rest; resolves to their names. */
export async function makeStreams(nats: Nats, prefix: string): Promise<string[]> {
  const streams = await readStreams(prefix);
  for (const stream of streams) await ensureStream(nats, stream);
  return streams.map(({ name }) => name);
}
