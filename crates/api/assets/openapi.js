// The OpenAPI document as a readable reference: groups, operations, schemas. Knows no DOM.

const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options'];
/** Levels of nested objects that are spelled out; deeper ones are named only. */
const MAX_DEPTH = 6;

/**
 * Operations by tag, tags in the order the document declares them.
 * @param {any} doc
 * @returns {{tag: string, description: string, operations: any[]}[]}
 */
export function groups(doc) {
  const declared = Array.isArray(doc?.tags) ? doc.tags : [];
  const order = new Map(declared.map((tag) => [tag.name, { tag: tag.name, description: tag.description ?? '', operations: [] }]));
  for (const [path, item] of Object.entries(doc?.paths ?? {})) {
    for (const method of METHODS) {
      const operation = item?.[method];
      if (!operation) continue;
      const tag = operation.tags?.[0] ?? 'other';
      if (!order.has(tag)) order.set(tag, { tag, description: '', operations: [] });
      order.get(tag).operations.push(operationView(doc, path, method, item, operation));
    }
  }
  return [...order.values()].filter((group) => group.operations.length > 0);
}

function operationView(doc, path, method, item, operation) {
  const own = (operation.parameters ?? []).map((parameter) => resolve(doc, parameter));
  const shared = (item.parameters ?? [])
    .map((parameter) => resolve(doc, parameter))
    .filter((parameter) => !own.some((each) => each.name === parameter.name && each.in === parameter.in));
  return {
    anchor: `${method}${path.replaceAll(/[^A-Za-z0-9]+/g, '-')}`.replace(/-$/, ''),
    method: method.toUpperCase(),
    path,
    summary: operation.summary ?? '',
    description: operation.description ?? '',
    authClass: operation['x-auth-class'] ?? '',
    deprecated: operation.deprecated === true,
    operation,
    parameters: [...shared, ...own],
    haystack: [method, path, operation.summary, operation.description, operation.operationId, operation['x-auth-class'], ...(operation.tags ?? [])]
      .filter(Boolean)
      .join(' ')
      .toLowerCase(),
  };
}

/** Whether an operation has every word that was typed. */
export function matches(operation, query) {
  return query
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean)
    .every((word) => operation.haystack.includes(word));
}

/** Follows `$ref` within the document; an unresolvable one gives an empty object. */
export function resolve(doc, node) {
  let at = node;
  for (let hops = 0; at?.$ref && hops < 20; hops += 1) {
    const [, ...keys] = at.$ref.split('/');
    at = keys.reduce((value, key) => value?.[key.replaceAll('~1', '/').replaceAll('~0', '~')], doc);
  }
  return at && !at.$ref ? at : {};
}

/** Name that a `$ref` points at, "" when it is none. */
function refName(node) {
  return typeof node?.$ref === 'string' ? node.$ref.slice(node.$ref.lastIndexOf('/') + 1) : '';
}

/** Media types and schemas of a request body or a response. */
export function contents(doc, node) {
  return Object.entries(resolve(doc, node).content ?? {}).map(([media, { schema }]) => ({ media, schema }));
}

/** Responses by status, ascending, `default` last. */
export function responses(doc, operation) {
  return Object.entries(operation.responses ?? {})
    .sort(([a], [b]) => (a === 'default') - (b === 'default') || a.localeCompare(b, 'en', { numeric: true }))
    .map(([status, response]) => {
      const resolved = resolve(doc, response);
      return { status, description: resolved.description ?? '', contents: contents(doc, resolved) };
    });
}

/**
 * One schema in words, with its members.
 * @param {any} doc
 * @param {any} schema
 * @param {string[]} [trail] names met on the way here, against recursion
 * @returns {{type: string, description: string, values: string[], members: any[], variants: any[]}}
 *   `members`: `{name, required, …}`; `variants`: the alternatives of a union that are more than a word
 */
export function describeSchema(doc, schema, trail = []) {
  const name = refName(schema);
  const known = resolve(doc, schema);
  const view = { type: typeName(doc, schema), description: known.description ?? '', values: [], members: [], variants: [] };
  if (Array.isArray(known.enum)) view.values = known.enum.map((value) => JSON.stringify(value));
  if ((name && trail.includes(name)) || trail.length >= MAX_DEPTH) return view;
  const deeper = [...trail, name || '·'];
  const inner = itemsOf(known);
  if (inner) {
    const item = describeSchema(doc, inner, deeper);
    return { ...view, values: item.values, members: item.members, variants: item.variants };
  }
  view.members = members(doc, known, deeper);
  const union = (known.oneOf ?? known.anyOf ?? []).filter((each) => !isNull(each));
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
function members(doc, schema, trail) {
  const required = new Set(schema.required ?? []);
  const own = Object.entries(schema.properties ?? {}).map(([name, property]) => ({
    name,
    required: required.has(name),
    ...describeSchema(doc, property, trail),
  }));
  const inherited = (schema.allOf ?? []).flatMap((part) => {
    const name = refName(part);
    return name && trail.includes(name) ? [] : members(doc, resolve(doc, part), name ? [...trail, name] : trail);
  });
  return [...inherited, ...own];
}

function itemsOf(schema) {
  if (schema.items) return schema.items;
  return typeof schema.additionalProperties === 'object' && !schema.properties ? schema.additionalProperties : null;
}

function isNull(schema) {
  return schema?.type === 'null';
}

/** `string (uuid)`, `array of WorkspaceView`, `integer or null`, `map of string` … */
export function typeName(doc, schema) {
  if (schema === true || schema === undefined || schema === null) return 'any';
  const name = refName(schema);
  if (name) {
    const target = resolve(doc, schema);
    const simple = target.type && target.type !== 'object' && !target.enum && !target.items ? ` (${plainType(target)})` : '';
    return `${name}${simple}`;
  }
  const union = schema.oneOf ?? schema.anyOf;
  if (union) {
    const named = [...new Set(union.filter((each) => !isNull(each)).map((each) => typeName(doc, each)))];
    return [...named, ...(union.some(isNull) ? ['null'] : [])].join(' or ');
  }
  if (schema.allOf) return schema.allOf.map((each) => refName(each)).filter(Boolean).join(' + ') || 'object';
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const types = [schema.type ?? (schema.properties ? 'object' : schema.items ? 'array' : schema.enum ? 'string' : 'any')].flat();
  return types
    .map((type) => {
      if (type === 'array') return `array of ${typeName(doc, schema.items)}`;
      if (type === 'object' && itemsOf(schema)) return `map of ${typeName(doc, schema.additionalProperties)}`;
      return type === 'null' ? 'null' : plainType({ ...schema, type });
    })
    .join(' or ');
}

function plainType(schema) {
  const limits = [
    schema.format,
    schema.minimum !== undefined ? `≥ ${schema.minimum}` : null,
    schema.maximum !== undefined ? `≤ ${schema.maximum}` : null,
    schema.maxLength !== undefined ? `at most ${schema.maxLength} characters` : null,
    schema.default !== undefined && schema.default !== null ? `default ${JSON.stringify(schema.default)}` : null,
  ].filter(Boolean);
  const type = [schema.type ?? 'any'].flat().join(' or ');
  return limits.length > 0 ? `${type}, ${limits.join(', ')}` : type;
}
