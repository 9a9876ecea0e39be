// Writes docs/errors.md: every error reason of the contract with its statuses and its meaning. Codes and statuses come
// from the compiled contract, meanings from its comments. Run by `npm run gen`; a test compares.

import { globSync, readFileSync, writeFileSync } from "node:fs";
import { type DescEnum, getOption, hasOption } from "@bufbuild/protobuf";
import { codeName, httpStatusOf } from "#edge/grpc/grpc-code.ts";
import { reason as reasonOption } from "#gen/souk/options/v1/options_pb.ts";

const root = new URL("..", import.meta.url);
const page = new URL("docs/errors.md", root);

const head = `# Errors

Made from the contract by \`npm run gen\`; do not edit.

Every refusal is a gRPC status with a \`google.rpc.ErrorInfo\`, and over REST the same as \`application/problem+json\`
(RFC 9457): \`reason\` says what is wrong, \`domain\` who says so. Programs decide by these two, never by a text. Any service
can answer with the reasons of \`errors.souk\`.
`;

/** The text of docs/errors.md. */
export async function errorsPage(): Promise<string> {
  const files = globSync("gen/souk/*/v1/errors_pb.ts", { cwd: root }).sort(sharedFirst);
  const sections = await Promise.all(files.map(readSection));
  return `${head}\n${sections.join("\n")}`;
}

function sharedFirst(a: string, b: string): number {
  const rank = (path: string) => `${path.startsWith("gen/souk/errors/") ? 0 : 1} ${path}`;
  return rank(a).localeCompare(rank(b), "en");
}

async function readSection(file: string): Promise<string> {
  const { ErrorReasonSchema } = (await import(new URL(file, root).href)) as { ErrorReasonSchema: DescEnum };
  const meanings = readMeanings(file.replace(/^gen/, "proto").replace(/_pb\.ts$/, ".proto"));
  const rows = ErrorReasonSchema.values
    .filter((value) => hasOption(value, reasonOption))
    .map((value) => {
      const { code, httpStatus } = getOption(value, reasonOption);
      const meaning = meanings.get(value.name);
      return `| \`${value.localName}\` | ${codeName(code)} | ${httpStatus || httpStatusOf(code)} | ${meaning} |`;
    });
  const [, area = ""] = ErrorReasonSchema.file.proto.package.split(".");
  const title = `## ${area}.souk\n\n| Reason | gRPC status | HTTP status | Meaning |\n|---|---|---|---|`;
  return `${title}\n${rows.join("\n")}\n`;
}

/** The comment above each enum value. */
function readMeanings(file: string): Map<string, string> {
  const text = readFileSync(new URL(file, root), "utf8");
  const values = text.matchAll(/((?:^ *\/\/.*\n)+) *(ERROR_REASON_\w+) = \d+/gm);
  return new Map(Array.from(values, ([, comment = "", name = ""]) => [name, toSentence(comment)]));
}

function toSentence(comment: string): string {
  const lines = comment.trim().split("\n");
  return lines
    .map((line) => line.replace(/^\s*\/\/ ?/, ""))
    .join(" ")
    .replaceAll("|", "\\|");
}

if (import.meta.main) writeFileSync(page, await errorsPage());
