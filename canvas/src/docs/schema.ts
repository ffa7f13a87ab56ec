/** The OpenAPI document as a readable reference: groups, operations, schemas. */

import { isObj, list, obj, str, type Obj } from '../lib/json';

const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options'];
/** Levels of nested objects that are spelled out; deeper ones are named only. */
const MAX_DEPTH = 6;

export interface Operation {
  anchor: string;
  method: string;
  path: string;
  summary: string;
  description: string;
  /** Who may call it. */
  authClass: string;
  /** The same in words. */
  who: string;
  deprecated: boolean;
  parameters: Obj[];
  raw: Obj;
  haystack: string;
}

export interface Group {
  tag: string;
  description: string;
  operations: Operation[];
}

export interface SchemaView {
  name: string;
  required: boolean;
  type: string;
  description: string;
  values: string[];
  members: SchemaView[];
  /** The alternatives of a union that are more than a word. */
  variants: SchemaView[];
}

/** Operations by tag, tags in the order the document declares them. */
export function groups(doc: Obj): Group[] {
  const order = new Map<string, Group>();
  const groupOf = (tag: string, description = '') => {
    const group = order.get(tag) ?? { tag, description, operations: [] };
    order.set(tag, group);
    return group;
  };
  for (const tag of list(doc.tags).map(obj)) groupOf(str(tag.name), str(tag.description));
  for (const [path, item] of Object.entries(obj(doc.paths))) {
    for (const method of METHODS) {
      const raw = obj(item)[method];
      if (!isObj(raw)) continue;
      groupOf(str(list(raw.tags)[0]) || 'other').operations.push(operationOf(doc, path, method, obj(item), raw));
    }
  }
  return [...order.values()].filter((group) => group.operations.length > 0);
}

function operationOf(doc: Obj, path: string, method: string, item: Obj, raw: Obj): Operation {
  const own = list(raw.parameters).map((parameter) => resolve(doc, parameter));
  const shared = list(item.parameters)
    .map((parameter) => resolve(doc, parameter))
    .filter((parameter) => !own.some((each) => each.name === parameter.name && each.in === parameter.in));
  const authClass = str(raw['x-auth-class']);
  const said = [method, path, raw.summary, raw.description, raw.operationId, authClass, ...list(raw.tags)];
  return {
    anchor: `${method}${path.replaceAll(/[^A-Za-z0-9]+/g, '-')}`.replace(/-$/, ''),
    method: method.toUpperCase(),
    path,
    summary: str(raw.summary),
    description: str(raw.description),
    authClass,
    who: str(obj(doc['x-auth-classes'])[authClass]),
    deprecated: raw.deprecated === true,
    parameters: [...shared, ...own],
    raw,
    haystack: said.map(str).join(' ').toLowerCase(),
  };
}

/** Whether an operation has every word that was typed. */
export function matches(operation: Operation, query: string): boolean {
  const wanted = query.toLowerCase().split(/\s+/).filter(Boolean);
  return wanted.every((word) => operation.haystack.includes(word));
}

/** Follows `$ref` within the document; an unresolvable one gives an empty object. */
export function resolve(doc: Obj, node: unknown): Obj {
  let at = obj(node);
  for (let hops = 0; typeof at.$ref === 'string' && hops < 20; hops += 1) {
    const [, ...keys] = at.$ref.split('/');
    let value: unknown = doc;
    for (const key of keys) value = obj(value)[key.replaceAll('~1', '/').replaceAll('~0', '~')];
    at = obj(value);
  }
  return at.$ref ? {} : at;
}

/** Name that a `$ref` points at, "" when it is none. */
function refName(node: unknown): string {
  const ref = str(obj(node).$ref);
  return ref.slice(ref.lastIndexOf('/') + 1);
}

export interface Content {
  media: string;
  schema: unknown;
  /** An example as it is sent, "" when there is none. */
  example: string;
}

/** Media types and schemas of a request body or a response. */
export function contents(doc: Obj, node: unknown): Content[] {
  return Object.entries(obj(resolve(doc, node).content)).map(([media, content]) => ({
    media,
    schema: obj(content).schema,
    example: shown(obj(content).example),
  }));
}

/** Text as it is, anything else as JSON. */
function shown(example: unknown): string {
  if (example === undefined) return '';
  return typeof example === 'string' ? example : JSON.stringify(example, null, 2);
}

/** Responses by status, ascending, `default` last. */
export function responses(
  doc: Obj,
  operation: Obj,
): { status: string; description: string; codes: string[]; contents: Content[] }[] {
  return Object.entries(obj(operation.responses))
    .sort(
      ([a], [b]) => Number(a === 'default') - Number(b === 'default') || a.localeCompare(b, 'en', { numeric: true }),
    )
    .map(([status, response]) => ({
      status,
      description: str(resolve(doc, response).description),
      codes: list(resolve(doc, response)['x-error-codes']).map(str),
      contents: contents(doc, response),
    }));
}

/** One schema in words, with its members. `trail`: the names met on the way here, against recursion. */
export function describeSchema(doc: Obj, schema: unknown, trail: readonly string[] = []): SchemaView {
  const name = refName(schema);
  const known = resolve(doc, schema);
  const view: SchemaView = {
    name: '',
    required: false,
    type: typeName(doc, schema),
    description: str(known.description),
    values: list(known.enum).map((value) => JSON.stringify(value)),
    members: [],
    variants: [],
  };
  if ((name && trail.includes(name)) || trail.length >= MAX_DEPTH) return view;
  const deeper = [...trail, name || '·'];
  const inner = itemsOf(known);
  if (inner) {
    const { values, members, variants } = describeSchema(doc, inner, deeper);
    return { ...view, values, members, variants };
  }
  view.members = membersOf(doc, known, deeper);
  const union = list(known.oneOf ?? known.anyOf).filter((each) => !isNull(each));
  if (union.length === 1) {
    const only = describeSchema(doc, union[0], trail);
    view.values = only.values;
    view.members = [...view.members, ...only.members];
    view.variants = only.variants;
    view.description ||= only.description;
  } else if (union.length > 1) {
    view.variants = union.map((each) => describeSchema(doc, each, deeper));
    if (view.variants.every((each) => each.values.length > 0 && each.members.length === 0)) {
      view.values = view.variants.flatMap((each) => each.values);
      view.variants = [];
    }
  }
  return view;
}

/** Members of an object, those of `allOf` (flattened structs) included. */
function membersOf(doc: Obj, schema: Obj, trail: readonly string[]): SchemaView[] {
  const required = new Set(list(schema.required));
  const own = Object.entries(obj(schema.properties)).map(([name, property]) => ({
    ...describeSchema(doc, property, trail),
    name,
    required: required.has(name),
  }));
  const inherited = list(schema.allOf).flatMap((part) => {
    const name = refName(part);
    return name && trail.includes(name) ? [] : membersOf(doc, resolve(doc, part), name ? [...trail, name] : trail);
  });
  return [...inherited, ...own];
}

function itemsOf(schema: Obj): unknown {
  if (schema.items) return schema.items;
  return isObj(schema.additionalProperties) && !schema.properties ? schema.additionalProperties : null;
}

const isNull = (schema: unknown): boolean => obj(schema).type === 'null';

/** `string (uuid)`, `array of WorkspaceView`, `integer or null`, `map of string` … */
export function typeName(doc: Obj, schema: unknown): string {
  if (!isObj(schema)) return 'any';
  const name = refName(schema);
  if (name) {
    const target = resolve(doc, schema);
    const simple = target.type && target.type !== 'object' && !target.enum && !target.items;
    return simple ? `${name} (${plainType(target)})` : name;
  }
  const union = schema.oneOf ?? schema.anyOf;
  if (Array.isArray(union)) {
    const named = [...new Set(union.filter((each) => !isNull(each)).map((each) => typeName(doc, each)))];
    return [...named, ...(union.some(isNull) ? ['null'] : [])].join(' or ');
  }
  if (Array.isArray(schema.allOf)) return schema.allOf.map(refName).filter(Boolean).join(' + ') || 'object';
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const fallback = schema.properties ? 'object' : schema.items ? 'array' : schema.enum ? 'string' : 'any';
  return [schema.type ?? fallback]
    .flat()
    .map((type) => {
      if (type === 'array') return `array of ${typeName(doc, schema.items)}`;
      if (type === 'object' && itemsOf(schema)) return `map of ${typeName(doc, schema.additionalProperties)}`;
      return type === 'null' ? 'null' : plainType({ ...schema, type });
    })
    .join(' or ');
}

function plainType(schema: Obj): string {
  const limits = [
    str(schema.format),
    schema.minimum === undefined ? '' : `≥ ${String(schema.minimum)}`,
    schema.maximum === undefined ? '' : `≤ ${String(schema.maximum)}`,
    schema.maxLength === undefined ? '' : `at most ${String(schema.maxLength)} characters`,
    schema.default === undefined || schema.default === null ? '' : `default ${JSON.stringify(schema.default)}`,
  ].filter(Boolean);
  const type = [schema.type ?? 'any'].flat().map(String).join(' or ');
  return limits.length > 0 ? `${type}, ${limits.join(', ')}` : type;
}
