import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { JsonObject } from "@bufbuild/protobuf";
import type { Document, Route } from "#edge/edge.ts";
import { describeApi } from "./api-document.ts";
import { describeEvents } from "./event-document.ts";

/** Where the OpenAPI document, the page that shows it, and the AsyncAPI document are. */
const apiDocumentPath = "/openapi.json";
const eventDocumentPath = "/asyncapi.json";
const referencePath = "/docs";

/** Everything of the page comes from here, nothing in it runs that is no file, and nobody frames it. */
const pageHeaders = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "cache-control": "no-cache",
};
const assetHeaders = { ...pageHeaders, "cache-control": "public, max-age=3600" };

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Souk: reference</title>
<link rel="icon" href="${referencePath}/favicon-32x32.png">
<link rel="stylesheet" href="${referencePath}/swagger-ui.css">
</head>
<body>
<div id="reference"></div>
<script src="${referencePath}/swagger-ui-bundle.js"></script>
<script src="${referencePath}/start.js"></script>
</body>
</html>
`;

// Without a validator's address it would send the document to one on the internet.
const startScript = `SwaggerUIBundle({
  url: "${apiDocumentPath}",
  dom_id: "#reference",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  validatorUrl: null,
});
`;

const json = "application/json; charset=utf-8";
const script = "text/javascript; charset=utf-8";

const fromPackage = (name: string) =>
  readFileSync(fileURLToPath(import.meta.resolve(`swagger-ui-dist/${name}`)));

/** The documents that the gateway serves beside its routes, by path; each is made when it is first asked for. */
export function createDocuments(routes: () => readonly Route[]): (path: string) => Document | undefined {
  const makers = new Map<string, () => Document>([
    [apiDocumentPath, () => described(describeApi(routes()))],
    [eventDocumentPath, () => described(describeEvents())],
    [referencePath, () => made("text/html; charset=utf-8", page, pageHeaders)],
    [`${referencePath}/`, () => made("text/html; charset=utf-8", page, pageHeaders)],
    [`${referencePath}/start.js`, () => made(script, startScript, assetHeaders)],
    [`${referencePath}/swagger-ui-bundle.js`, () => packaged(script, "swagger-ui-bundle.js")],
    [`${referencePath}/swagger-ui.css`, () => packaged("text/css; charset=utf-8", "swagger-ui.css")],
    [`${referencePath}/favicon-32x32.png`, () => packaged("image/png", "favicon-32x32.png")],
  ]);
  const documents = new Map<string, Document>();
  return (path) => {
    const known = documents.get(path) ?? makers.get(path)?.();
    if (known) documents.set(path, known);
    return known;
  };
}

const described = (document: JsonObject) =>
  made(json, JSON.stringify(document), { "cache-control": "no-cache" });

const made = (contentType: string, text: string, headers: Readonly<Record<string, string>>): Document => ({
  contentType,
  bytes: Buffer.from(text),
  headers,
});

const packaged = (contentType: string, name: string): Document => ({
  contentType,
  bytes: fromPackage(name),
  headers: assetHeaders,
});
