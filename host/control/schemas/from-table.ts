// Schemas of single settings, made from the table of settings.

import * as z from "zod";
import type { Setting } from "../../settings/setting.ts";
import { ENTRIES, nameOf, sectionOf, type EntryIn, type NameIn } from "../../settings/settings-table.ts";

type Schema<S> = S extends { type: "whole" }
  ? z.ZodInt
  : S extends { type: "share" }
    ? z.ZodNumber
    : S extends { type: "flag" }
      ? z.ZodBoolean
      : S extends { type: "choice"; values: readonly (infer V extends string)[] }
        ? z.ZodEnum<{ [K in V]: K }>
        : S extends { type: "size"; values: readonly (infer V extends number)[] }
          ? z.ZodLiteral<V>
          : z.ZodString;

/** Names of a section whose schemas are made here; the others are written by hand. */
type PlainIn<Section extends string> = {
  [N in NameIn<Section>]: EntryIn<Section, N> extends { type: "made" } ? never : N;
}[NameIn<Section>];

type WithDefault<S> = S extends { default: unknown } ? z.ZodDefault<Schema<S>> : z.ZodOptional<Schema<S>>;

type Shape<Section extends string> = { [N in PlainIn<Section>]: WithDefault<EntryIn<Section, N>> };
type OptionalShape<Section extends string> = { [N in PlainIn<Section>]: z.ZodOptional<Schema<EntryIn<Section, N>>> };

function schemaOf(setting: Setting): z.ZodType {
  switch (setting.type) {
    case "whole":
      return z.int().min(setting.min).max(setting.max);
    case "share":
      return z.number().min(setting.min).max(setting.max);
    case "flag":
      return z.boolean();
    case "choice":
      return z.enum(setting.values);
    case "size":
      return z.literal(setting.values);
    case "place":
      return z.string().regex(/^\/./, { error: "must be an absolute path" });
    case "text":
      return z.string().min(1);
    case "made":
      throw new Error(`a schema for this is written by hand: ${setting.says}`);
  }
}

function made(section: string, optionally: (setting: Setting, schema: z.ZodType) => z.ZodType): unknown {
  const own = ENTRIES.filter(([key, { type }]) => sectionOf(key) === section && type !== "made");
  return Object.fromEntries(own.map(([key, setting]) => [nameOf(key), optionally(setting, schemaOf(setting))]));
}

function withDefault(setting: Setting, schema: z.ZodType): z.ZodType {
  return "default" in setting && setting.default !== undefined ? schema.default(setting.default) : schema.optional();
}

/** What a section of the file may hold; whatever is omitted has its default. */
export function shapeOf<Section extends string>(section: Section): Shape<Section> {
  // The types that `schemaOf` gives each kind of setting.
  return made(section, withDefault) as Shape<Section>;
}

/** The same, where an omitted value means "as it is elsewhere". */
export function optionalShapeOf<Section extends string>(section: Section): OptionalShape<Section> {
  return made(section, (_, schema) => schema.optional()) as OptionalShape<Section>;
}

/** A name from the file as the API spells it: `stallMinMs`. */
export type Camel<S extends string> = S extends `${infer Head}_${infer Rest}` ? `${Head}${Capitalize<Camel<Rest>>}` : S;

export const camel = (name: string): string => name.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase());

/** What the API shows of a section of numbers. */
export function viewOf<Section extends string>(section: Section): { [N in NameIn<Section> as Camel<N>]: z.ZodNumber } {
  const own = ENTRIES.filter(([key]) => sectionOf(key) === section);
  const shown = own.map(([key, { says }]) => [camel(nameOf(key)), z.number().min(0).meta({ description: says })]);
  return Object.fromEntries(shown) as { [N in NameIn<Section> as Camel<N>]: z.ZodNumber };
}
