// The OpenAPI 3.1 document, generated from the table of routes: the schemas that validate are the schemas that describe.

import * as z from "zod";
import { ROUTES, type Route } from "../schemas/routes.ts";
import { ErrorBody } from "../schemas/common.ts";

type Json = { readonly [key: string]: unknown };

/** JSON schemas refer to each other by `$defs`; an OpenAPI document keeps them under components. */
function schemaOf(type: z.ZodType, io: "input" | "output", components: Record<string, unknown>): Json {
  const made = z.toJSONSchema(type, { io, unrepresentable: "any", reused: "inline" });
  const text = JSON.stringify(made).replaceAll('"#/$defs/', '"#/components/schemas/');
  const { $defs, $schema: _, ...rest } = JSON.parse(text) as Record<string, unknown> & { $defs?: Record<string, Json> };
  for (const [name, definition] of Object.entries($defs ?? {})) components[name] ??= definition;
  const id = rest["id"];
  if (typeof id !== "string") return rest;
  components[id] ??= rest;
  return { $ref: `#/components/schemas/${id}` };
}

function parametersOf(where: "path" | "query", type: z.ZodType | undefined, components: Record<string, unknown>) {
  if (!(type instanceof z.ZodObject)) return [];
  return Object.entries(type.shape as Record<string, z.ZodType>).map(([name, part]) => ({
    name,
    in: where,
    required: where === "path",
    schema: schemaOf(part, "input", components),
  }));
}

/** Types of the answers that are not JSON. */
const TEXTS: Readonly<Record<string, string>> = {
  eventStream: "text/event-stream",
  page: "text/html",
  simulator: "text/html",
};

function operationOf(id: string, route: Route, components: Record<string, unknown>): Json {
  const failure = {
    description: "What is wrong, and what to do",
    content: { "application/json": { schema: schemaOf(ErrorBody, "output", components) } },
  };
  const text = TEXTS[id];
  const content =
    text !== undefined
      ? { [text]: { schema: { type: "string" } } }
      : {
          "application/json": {
            schema: route.response === null ? { type: "object" } : schemaOf(route.response, "output", components),
          },
        };
  const required = route.body !== undefined && !route.body.safeParse(undefined).success;
  return {
    operationId: id,
    summary: route.summary,
    parameters: [...parametersOf("path", route.params, components), ...parametersOf("query", route.query, components)],
    ...(route.body === undefined
      ? {}
      : {
          requestBody: {
            required,
            content: { "application/json": { schema: schemaOf(route.body, "input", components) } },
          },
        }),
    responses: { "200": { description: route.summary, content }, default: failure },
    "x-needs-right-to-change": route.change,
  };
}

/** The document; `version` is that of the package. */
export function openapiDocument(version: string): Json {
  const components: Record<string, unknown> = {};
  const paths: Record<string, Record<string, Json>> = {};
  for (const [id, route] of Object.entries<Route>(ROUTES)) {
    const path = route.path.replaceAll(/:(\w+)/g, "{$1}");
    (paths[path] ??= {})[route.method.toLowerCase()] = operationOf(id, route, components);
  }
  return {
    openapi: "3.1.1",
    info: {
      title: "PathManager",
      version,
      description: "Control of paths, logical units, modes and patrol. Served on a Unix socket.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    jsonSchemaDialect: "https://json-schema.org/draft/2020-12/schema",
    paths,
    components: { schemas: components },
  };
}
