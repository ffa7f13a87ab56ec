// The API reference: `/openapi.json`, readable.

import { createApi, explain } from './api.js';
import { byId, h, inlineProse, place, prose, setText } from './dom.js';
import { contents, describeSchema, groups, matches, responses } from './openapi.js';
import { Session } from './session.js';

const session = new Session(window.localStorage);
let refused = false;
const api = createApi({
  fetch: (...args) => window.fetch(...args),
  token: () => session.token,
  onUnauthorized: (used) => {
    refused = true;
    session.forget(used);
  },
});

const content = byId('docs-content');
const index = byId('docs-index');
const search = byId('docs-search');
const count = byId('docs-count');
/** `[{group, section, link, operations: [{view, node, link}]}]`, as drawn. */
let drawn = [];

async function load() {
  setText(byId('docs-state'), 'Reading the API description…');
  byId('docs-state').hidden = false;
  byId('docs-sign-in').hidden = true;
  try {
    draw(await api.get('/openapi.json'));
    byId('docs-state').hidden = true;
    openAnchor();
  } catch (error) {
    setText(byId('docs-state'), refused ? '' : explain(error));
    byId('docs-state').hidden = refused;
    byId('docs-sign-in').hidden = !refused;
  }
}

function draw(doc) {
  setText(byId('docs-title'), doc.info?.title ?? 'API reference');
  setText(byId('docs-version'), [doc.info?.version && `Version ${doc.info.version}`, `OpenAPI ${doc.openapi}`].filter(Boolean).join(' · '));
  place(byId('docs-intro'), doc.info?.description ? [prose(doc.info.description)] : []);
  drawn = groups(doc).map((group) => {
    const operations = group.operations.map((view) => ({ view, node: operationNode(doc, view) }));
    const id = `tag-${group.tag.replaceAll(/[^A-Za-z0-9]+/g, '-')}`;
    const section = h(
      'section',
      { id, 'aria-labelledby': `${id}-title` },
      h('h2', { id: `${id}-title`, text: group.tag }),
      group.description ? prose(group.description) : null,
      ...operations.map(({ node }) => node),
    );
    const number = h('span', { class: 'muted', text: String(operations.length) });
    return { section, operations, number, link: h('li', {}, h('a', { href: `#${id}` }, group.tag), ' ', number) };
  });
  place(content, drawn.map(({ section }) => section));
  place(index, drawn.map(({ link }) => link));
  byId('docs-body').hidden = false;
  filter();
}

function operationNode(doc, view) {
  const node = h(
    'details',
    { class: 'op', id: view.anchor },
    h(
      'summary',
      {},
      h('span', { class: `method method-${view.method.toLowerCase()}`, text: view.method }),
      h('code', { class: 'op-path', text: view.path }),
      view.authClass ? h('span', { class: 'badge badge-auth', title: 'Who may call it', text: view.authClass }) : null,
      view.deprecated ? h('span', { class: 'badge badge-demo', text: 'deprecated' }) : null,
      view.summary ? h('span', { class: 'op-summary' }, ...inlineProse(view.summary)) : null,
    ),
  );
  // Drawn when it is opened: the document has hundreds of them.
  node.addEventListener('toggle', () => {
    if (node.open && node.children.length === 1) node.append(operationBody(doc, view));
  });
  return node;
}

function operationBody(doc, view) {
  const { operation } = view;
  const parts = [h('p', { class: 'muted op-link' }, h('a', { href: `#${view.anchor}`, text: 'Link to this operation' }))];
  if (view.authClass) parts.push(h('p', {}, 'Who may call it: ', h('code', { text: view.authClass })));
  if (view.description) parts.push(prose(view.description));
  if (view.parameters.length > 0) parts.push(h('h3', { text: 'Parameters' }), parameterTable(doc, view.parameters));
  if (operation.requestBody) {
    parts.push(h('h3', { text: operation.requestBody.required === false ? 'Request body (optional)' : 'Request body' }));
    parts.push(...contents(doc, operation.requestBody).map((each) => contentNode(doc, each)));
  }
  parts.push(h('h3', { text: 'Responses' }));
  for (const response of responses(doc, operation)) {
    parts.push(
      h('h4', {}, h('span', { class: `code code-${response.status[0]}`, text: response.status }), ' ', ...inlineProse(response.description)),
      ...response.contents.map((each) => contentNode(doc, each)),
    );
  }
  return h('div', { class: 'op-body' }, ...parts);
}

function parameterTable(doc, parameters) {
  const rows = parameters.map((parameter) => {
    const view = describeSchema(doc, parameter.schema ?? {});
    return h(
      'tr',
      {},
      h('td', {}, h('code', { text: parameter.name }), parameter.required ? h('span', { class: 'required', text: 'required' }) : null),
      h('td', { text: parameter.in }),
      h('td', { text: view.type }),
      h('td', {}, ...inlineProse(parameter.description ?? view.description), valuesNode(view.values)),
    );
  });
  const head = ['Name', 'In', 'Type', 'Meaning'].map((text) => h('th', { scope: 'col', text }));
  return h('div', { class: 'table-wrap', tabindex: '0' }, h('table', {}, h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...rows)));
}

function contentNode(doc, { media, schema }) {
  const view = describeSchema(doc, schema);
  return h('div', { class: 'schema' }, h('p', { class: 'muted' }, h('code', { text: media }), ' ', view.type), descriptionNode(view), bodyNode(view));
}

function bodyNode(view) {
  const lists = [];
  if (view.members.length > 0) lists.push(h('ul', { class: 'members' }, ...view.members.map(memberNode)));
  if (view.variants.length > 0) {
    const items = view.variants.map((variant) =>
      h('li', {}, h('span', { class: 'type', text: variant.type }), ' ', ...inlineProse(variant.description), valuesNode(variant.values), bodyNode(variant)),
    );
    lists.push(h('p', { class: 'muted', text: 'One of:' }), h('ul', { class: 'members' }, ...items));
  }
  return lists.length > 0 ? h('div', {}, ...lists) : null;
}

function memberNode(member) {
  return h(
    'li',
    {},
    h('code', { text: member.name }),
    ' ',
    h('span', { class: 'type', text: member.type }),
    member.required ? h('span', { class: 'required', text: 'required' }) : null,
    member.description ? h('span', { class: 'member-text' }, ' ', ...inlineProse(member.description)) : null,
    valuesNode(member.values),
    bodyNode(member),
  );
}

function descriptionNode(view) {
  return view.description || view.values.length > 0 ? h('p', {}, ...inlineProse(view.description), valuesNode(view.values)) : null;
}

function valuesNode(values) {
  if (values.length === 0) return null;
  return h('span', { class: 'values' }, ' One of ', ...values.flatMap((value, at) => [at > 0 ? ', ' : null, h('code', { text: value })]));
}

function filter() {
  const query = search.value.trim();
  let shown = 0;
  for (const group of drawn) {
    let here = 0;
    for (const { view, node } of group.operations) {
      node.hidden = !matches(view, query);
      if (!node.hidden) here += 1;
    }
    group.section.hidden = here === 0;
    group.link.hidden = here === 0;
    setText(group.number, String(here));
    shown += here;
  }
  setText(count, query ? `${shown} ${shown === 1 ? 'operation matches' : 'operations match'}` : `${shown} operations`);
}

function openAnchor() {
  const node = document.getElementById(decodeURIComponent(window.location.hash.slice(1)));
  if (!node) return;
  if (node.tagName === 'DETAILS') node.open = true;
  node.scrollIntoView();
}

search.addEventListener('input', filter);
byId('docs-retry').addEventListener('click', load);
window.addEventListener('hashchange', openAnchor);
load();
