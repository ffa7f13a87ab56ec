// The organisation as data: statuses, the tree, and what events do to it.

/**
 * How each status is shown (UI-31): a word, a tone (colour class) and what it means for the person looking.
 * @type {Record<string, {label: string, tone: string, hint: string}>}
 */
export const STATUSES = {
  online: { label: 'Online', tone: 'green', hint: '' },
  provisioning: { label: 'Starting', tone: 'blue', hint: 'The agent is being started.' },
  degraded: {
    label: 'Degraded',
    tone: 'amber',
    hint: 'The agent answers, but reports errors. Look at the logs; restart it if it does not recover.',
  },
  failed: { label: 'Failed', tone: 'red', hint: 'The start did not complete. Look at the logs, fix the cause, then restart.' },
  paused: { label: 'Paused', tone: 'indigo', hint: 'Stopped by an operator. Resume it to send messages.' },
  offline: {
    label: 'Offline',
    tone: 'grey',
    hint: 'The agent was lost. The platform restarts it by itself; restart it here if it stays offline.',
  },
  awaiting_agent: {
    label: 'Awaiting agent',
    tone: 'violet',
    hint: 'Waiting for the external agent to connect.',
  },
  hibernating: { label: 'Hibernating', tone: 'slate', hint: 'Going to sleep; it wakes on the next message.' },
  hibernated: { label: 'Hibernated', tone: 'slate', hint: 'Asleep; it wakes on the next message.' },
};

/** How a status is shown; unknown ones look like offline, under their own name. */
export function statusView(status) {
  return Object.hasOwn(STATUSES, status)
    ? STATUSES[status]
    : { label: status ? String(status).replaceAll('_', ' ') : 'Unknown', tone: 'grey', hint: '' };
}

/** What to do about the state a workspace is in; "" when nothing. */
export function hintFor(workspace) {
  if (workspace.status === 'failed' && /missing|required env|not set/i.test(workspace.last_sample_error ?? '')) {
    return 'Store the missing values as secrets of this workspace, or as global ones, then restart.';
  }
  if (workspace.status === 'failed' && /provisioner|backend/i.test(workspace.last_sample_error ?? '')) {
    return 'No backend could start it. “molecule doctor” tells which backends work on this machine; then restart.';
  }
  return statusView(workspace.status).hint;
}

/** What the runtime badge says. `echo` is no real agent and must not pass for one (D6). */
export function runtimeBadge(runtime) {
  if (!runtime) return null;
  if (runtime === 'echo') {
    return { text: 'demo agent', tone: 'demo', title: 'Runtime echo: answers deterministically, no model behind it' };
  }
  if (runtime === 'external') return { text: 'external', tone: 'external', title: 'Runs on its operator’s own host' };
  return { text: runtime, tone: 'plain', title: `Runtime ${runtime}` };
}

/**
 * Nests workspaces by `parent_id`. A missing parent makes a root, and a cycle is cut open at its first member (UI-135).
 * @param {Iterable<{id: string, name: string, parent_id: string|null}>} workspaces
 * @returns {{id: string, level: number, children: any[]}[]} roots, siblings by name
 */
export function buildTree(workspaces) {
  const all = [...workspaces].sort(byName);
  const known = new Map(all.map((workspace) => [workspace.id, workspace]));
  const children = new Map();
  const roots = [];
  for (const workspace of all) {
    const parent = workspace.parent_id;
    if (!parent || parent === workspace.id || !known.has(parent)) roots.push(workspace);
    else if (children.has(parent)) children.get(parent).push(workspace);
    else children.set(parent, [workspace]);
  }
  const seen = new Set();
  const node = (workspace, level) => {
    seen.add(workspace.id);
    const below = (children.get(workspace.id) ?? []).filter((child) => !seen.has(child.id));
    for (const child of below) seen.add(child.id);
    return { id: workspace.id, level, children: below.map((child) => node(child, level + 1)) };
  };
  const tree = roots.map((root) => node(root, 1));
  for (const workspace of all) {
    if (!seen.has(workspace.id)) tree.push(node(workspace, 1));
  }
  return tree;
}

/** Ids in the order they are shown, leaving out what lies below a collapsed one. */
export function visibleIds(tree, collapsed) {
  const ids = [];
  const walk = (nodes) => {
    for (const node of nodes) {
      ids.push(node.id);
      if (!collapsed.has(node.id)) walk(node.children);
    }
  };
  walk(tree);
  return ids;
}

/** `[status, count]` of the statuses that occur, in the order of the table. */
export function statusCounts(workspaces) {
  const counts = new Map();
  for (const workspace of workspaces) counts.set(workspace.status, (counts.get(workspace.status) ?? 0) + 1);
  const order = Object.keys(STATUSES);
  const rank = (status) => (order.includes(status) ? order.indexOf(status) : order.length);
  return [...counts].sort(([a], [b]) => rank(a) - rank(b));
}

/** Map of what `GET /workspaces` answered; removed ones are never drawn. */
export function fromList(list) {
  const map = new Map();
  for (const workspace of Array.isArray(list) ? list : []) {
    if (workspace?.id && workspace.status !== 'removed') map.set(workspace.id, workspace);
  }
  return map;
}

const UNTOUCHED = Object.freeze({ changed: null, structure: false, refresh: false });

/**
 * Applies one `/ws` envelope (UI-18…25) to the map.
 * @param {Map<string, any>} map changed in place; entries are replaced, never mutated
 * @param {{event: string, workspace_id: string, payload: any}} envelope
 * @returns {{changed: string|null, structure: boolean, refresh: boolean}} the id to redraw, whether the tree's shape moved,
 *   and whether only a re-read of `/workspaces` can tell the whole truth
 */
export function applyEvent(map, envelope) {
  const { event, workspace_id: id } = envelope;
  const payload = isObject(envelope.payload) ? envelope.payload : {};
  if (!id) return UNTOUCHED;
  if (event === 'WORKSPACE_REMOVED') return remove(map, id);
  if (event === 'WORKSPACE_EXPANDED' || event === 'WORKSPACE_COLLAPSED' || event === 'AGENT_MOVED') {
    return { ...UNTOUCHED, refresh: true };
  }
  const current = map.get(id);
  if (!current) return unknown(map, id, event, payload);
  const patch = patchFor(event, payload, current);
  if (!patch || Object.keys(patch).every((key) => Object.is(patch[key], current[key]))) return UNTOUCHED;
  map.set(id, { ...current, ...patch });
  return { changed: id, structure: 'name' in patch && patch.name !== current.name, refresh: false };
}

function remove(map, id) {
  const gone = map.get(id);
  if (!gone) return UNTOUCHED;
  map.delete(id);
  for (const [childId, child] of map) {
    if (child.parent_id === id) map.set(childId, { ...child, parent_id: gone.parent_id });
  }
  return { changed: null, structure: true, refresh: false };
}

/** A workspace this page has not read yet: drawn at once from its first event, completed by the re-read that follows. */
function unknown(map, id, event, payload) {
  if (!event.startsWith('WORKSPACE_') || event === 'WORKSPACE_HEARTBEAT') return UNTOUCHED;
  if (event !== 'WORKSPACE_PROVISIONING') return { ...UNTOUCHED, refresh: true };
  map.set(id, {
    id,
    name: payload.name || id.slice(0, 8),
    role: null,
    tier: payload.tier ?? 0,
    status: 'provisioning',
    url: '',
    parent_id: payload.parent_id ?? null,
    active_tasks: 0,
    runtime: payload.runtime ?? '',
    delivery_mode: null,
    current_task: '',
    last_sample_error: '',
    agent_card: null,
  });
  return { changed: id, structure: true, refresh: true };
}

function patchFor(event, payload, current) {
  const error = { last_sample_error: text(payload.sample_error) };
  switch (event) {
    case 'WORKSPACE_PROVISIONING':
      return { status: 'provisioning', current_task: '', active_tasks: 0, url: '', last_sample_error: '', ...named(payload) };
    case 'WORKSPACE_ONLINE':
      return {
        status: 'online',
        last_sample_error: '',
        ...('url' in payload ? { url: text(payload.url) } : {}),
        ...(isObject(payload.agent_card) ? { agent_card: payload.agent_card } : {}),
      };
    case 'WORKSPACE_OFFLINE':
      // An external agent that went away is awaited, not offline (UI-20a).
      return { status: current.runtime === 'external' ? 'awaiting_agent' : 'offline' };
    case 'WORKSPACE_DEGRADED':
      return { status: 'degraded', last_error_rate: Number(payload.error_rate) || 0, ...error };
    case 'WORKSPACE_PROVISION_FAILED':
      return { status: 'failed', last_sample_error: text(payload.error), current_task: '', active_tasks: 0 };
    case 'WORKSPACE_AWAITING_AGENT':
      return { status: 'awaiting_agent', ...named(payload) };
    case 'WORKSPACE_PAUSED':
      return { status: 'paused', current_task: '', url: '' };
    case 'WORKSPACE_HIBERNATED':
      return { status: 'hibernated', current_task: '', url: '' };
    case 'AGENT_CARD_UPDATED':
      return { agent_card: isObject(payload.agent_card) ? payload.agent_card : null };
    case 'TASK_UPDATED':
      return { current_task: text(payload.current_task), active_tasks: Number(payload.active_tasks) || 0 };
    case 'WORKSPACE_HEARTBEAT':
      return { active_tasks: Number(payload.active_tasks) || 0, uptime_seconds: Number(payload.uptime_seconds) || 0 };
    default:
      return null;
  }
}

function named(payload) {
  return {
    ...(payload.name ? { name: payload.name } : {}),
    ...(payload.runtime ? { runtime: payload.runtime } : {}),
  };
}

function text(value) {
  return typeof value === 'string' ? value : '';
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function byName(a, b) {
  return String(a.name).localeCompare(String(b.name), 'en', { numeric: true, sensitivity: 'base' }) || (a.id < b.id ? -1 : 1);
}
