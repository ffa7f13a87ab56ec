import assert from 'node:assert/strict';
import { test } from 'vitest';
import { contents, describeSchema, groups, matches, resolve, responses, typeName } from './schema';

const ref = (name) => ({ $ref: `#/components/schemas/${name}` });
const doc = {
  openapi: '3.1.0',
  tags: [{ name: 'b', description: 'Second' }, { name: 'unused' }],
  paths: {
    '/x/{id}': {
      parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string', format: 'uuid' } }],
      get: {
        tags: ['a'],
        summary: 'Reads',
        'x-auth-class': 'ws',
        responses: {
          404: { description: 'no' },
          200: { $ref: '#/components/responses/Ok' },
          default: { description: 'else' },
        },
      },
      post: { tags: ['b'], operationId: 'makeIt', responses: {} },
    },
    '/y': { get: { responses: {} } },
  },
  components: {
    responses: { Ok: { description: 'fine', content: { 'application/json': { schema: ref('Node') } } } },
    schemas: {
      Id: { type: 'string', format: 'uuid', description: 'An id.' },
      Kind: { type: 'string', enum: ['p', 'q'] },
      Node: {
        type: 'object',
        required: ['id'],
        properties: {
          id: ref('Id'),
          kind: { oneOf: [{ type: 'null' }, ref('Kind')] },
          children: { type: 'array', items: ref('Node') },
        },
      },
      Flat: {
        allOf: [ref('Node'), { type: 'object', properties: { extra: { type: ['integer', 'null'], format: 'int64' } } }],
      },
      Map: { type: 'object', additionalProperties: { type: 'string' } },
      Either: { oneOf: [{ type: 'object', properties: { a: { type: 'string' } } }, ref('Kind')] },
      Loop: ref('Loop'),
    },
  },
};

test('groups follow the declared tags, then their appearance', () => {
  assert.deepEqual(
    groups(doc).map((group) => [group.tag, group.operations.length]),
    [
      ['b', 1],
      ['a', 1],
      ['other', 1],
    ],
  );
  assert.deepEqual(groups({}), []);
});

test('an operation has its auth class, shared parameters and an anchor', () => {
  const [operation] = groups(doc)[1].operations;
  assert.deepEqual(
    [operation.method, operation.authClass, operation.anchor, operation.parameters[0].name],
    ['GET', 'ws', 'get-x-id', 'id'],
  );
});

test('search wants every word', () => {
  const [operation] = groups(doc)[1].operations;
  assert.equal(matches(operation, 'GET reads'), true);
  assert.equal(matches(operation, 'ws'), true);
  assert.equal(matches(operation, 'reads makeit'), false);
  assert.equal(matches(operation, ''), true);
});

test('responses are in order, references resolved', () => {
  const all = responses(doc, doc.paths['/x/{id}'].get);
  assert.deepEqual(
    all.map((each) => [each.status, each.description]),
    [
      ['200', 'fine'],
      ['404', 'no'],
      ['default', 'else'],
    ],
  );
  assert.equal(contents(doc, { $ref: '#/components/responses/Ok' })[0].media, 'application/json');
});

test('examples, codes and classes are shown as they are', () => {
  const told = { 'x-auth-classes': { ws: 'The workspace itself.' }, ...doc };
  assert.equal(groups(told)[1].operations[0].who, 'The workspace itself.');
  const json = { content: { 'application/json': { schema: {}, example: { a: [1] } } } };
  const text = { content: { 'text/plain': { example: 'a 1' }, 'text/html': {} } };
  assert.equal(contents(doc, json)[0].example, '{\n  "a": [\n    1\n  ]\n}');
  assert.deepEqual(
    contents(doc, text).map((each) => each.example),
    ['a 1', ''],
  );
  const [refused] = responses(doc, { responses: { 507: { description: 'full', 'x-error-codes': ['disk_full'] } } });
  assert.deepEqual(refused.codes, ['disk_full']);
});

test('schemas in words', () => {
  const node = describeSchema(doc, ref('Node'));
  assert.deepEqual(
    node.members.map((member) => [member.name, member.type, member.required]),
    [
      ['id', 'Id (string, uuid)', true],
      ['kind', 'Kind or null', false],
      ['children', 'array of Node', false],
    ],
  );
  assert.deepEqual(node.members[1].values, ['"p"', '"q"']);
  assert.equal(node.members[0].description, 'An id.');
});

test('recursion ends, flattened structs are whole, maps and unions are named', () => {
  assert.deepEqual(describeSchema(doc, ref('Node')).members[2].members, []);
  assert.deepEqual(
    describeSchema(doc, ref('Flat')).members.map((member) => member.name),
    ['id', 'kind', 'children', 'extra'],
  );
  assert.equal(typeName(doc, doc.components.schemas.Map), 'map of string');
  assert.equal(typeName(doc, { type: ['integer', 'null'], format: 'int64' }), 'integer, int64 or null');
  assert.equal(describeSchema(doc, ref('Either')).variants.length, 2);
  assert.deepEqual(resolve(doc, ref('Loop')), {});
  assert.deepEqual(resolve(doc, ref('Absent')), {});
  assert.equal(describeSchema(doc, undefined).type, 'any');
});
