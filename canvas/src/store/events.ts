/** What events do to the organisation (UI-18…25). Pure: a map in, a map out. */

import type { Workspace } from '../lib/api';
import type { Envelope } from '../lib/events';
import { isObj, num, str, type Obj } from '../lib/json';

export type Workspaces = ReadonlyMap<string, Workspace>;

export interface Effect {
  byId: Workspaces;
  /** Who is there, whose they are or where they stand has changed. */
  reshaped: boolean;
  /** Only a re-read of `/workspaces` can tell the whole truth. */
  refresh: boolean;
}

/** Applies events in order; one copy of the map for all of them. Unchanged workspaces keep their identity (UI-135). */
export function applyEvents(before: Workspaces, envelopes: readonly Envelope[]): Effect {
  const draft = new Draft(before);
  for (const envelope of envelopes) draft.take(envelope);
  return { byId: draft.byId, reshaped: draft.reshaped, refresh: draft.refresh };
}

/** Map of what `GET /workspaces` answered; removed ones are never drawn, unchanged ones keep their identity. */
export function fromList(
  list: unknown,
  before: Workspaces = new Map(),
  hidden: ReadonlySet<string> = new Set(),
  ahead: ReadonlyMap<string, { patch: Partial<Workspace> }> = new Map(),
): Workspaces {
  const map = new Map<string, Workspace>();
  for (const row of Array.isArray(list) ? (list as Workspace[]) : []) {
    if (!isObj(row) || !row.id || row.status === 'removed' || hidden.has(row.id)) continue;
    const shown = { ...presented(row), ...ahead.get(row.id)?.patch };
    const old = before.get(shown.id);
    map.set(shown.id, old && same(old, shown) ? old : shown);
  }
  return map;
}

/** An external agent that went away is awaited, not offline (UI-20a). */
function presented(row: Workspace): Workspace {
  return row.runtime === 'external' && row.status === 'offline' ? { ...row, status: 'awaiting_agent' } : row;
}

/** Whether two rows say the same. */
function same(a: Workspace, b: Workspace): boolean {
  // Of a large organisation nearly all rows differ in nothing, or in how long they have been up.
  const [one, other] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const keys = Object.keys(one);
  if (keys.length !== Object.keys(other).length) return false;
  return keys.every((key) => {
    const [x, y] = [one[key], other[key]];
    return Object.is(x, y) || (isObj(x) && isObj(y) && JSON.stringify(x) === JSON.stringify(y));
  });
}

class Draft {
  byId: Workspaces;
  #copy: Map<string, Workspace> | null = null;
  reshaped = false;
  refresh = false;

  constructor(before: Workspaces) {
    this.byId = before;
  }

  #write(): Map<string, Workspace> {
    if (!this.#copy) {
      this.#copy = new Map(this.byId);
      this.byId = this.#copy;
    }
    return this.#copy;
  }

  take({ event, workspace_id: id, payload }: Envelope): void {
    if (!id) return;
    if (event === 'WORKSPACE_REMOVED') {
      this.#remove(id);
      return;
    }
    if (event === 'WORKSPACE_EXPANDED' || event === 'WORKSPACE_COLLAPSED' || event === 'AGENT_MOVED') {
      this.refresh = true;
      return;
    }
    const current = this.byId.get(id);
    if (!current) {
      this.#unknown(id, event, payload);
      return;
    }
    const patch = patchFor(event, payload, current);
    if (!patch) return;
    const keys = Object.keys(patch) as (keyof Workspace)[];
    if (keys.every((key) => Object.is(patch[key], current[key]))) return;
    this.#write().set(id, { ...current, ...patch });
    if (patch.name !== undefined && patch.name !== current.name) this.reshaped = true;
  }

  #remove(id: string): void {
    const gone = this.byId.get(id);
    if (!gone) return;
    const map = this.#write();
    map.delete(id);
    for (const [childId, child] of map) {
      if (child.parent_id === id) map.set(childId, { ...child, parent_id: gone.parent_id ?? null });
    }
    this.reshaped = true;
  }

  /** A workspace this page has not read yet: drawn at once from its first event, completed by the re-read that follows. */
  #unknown(id: string, event: string, payload: Obj): void {
    if (!event.startsWith('WORKSPACE_') || event === 'WORKSPACE_HEARTBEAT') return;
    this.refresh = true;
    if (event !== 'WORKSPACE_PROVISIONING') return;
    this.#write().set(id, {
      id,
      name: str(payload.name) || id.slice(0, 8),
      role: null,
      tier: num(payload.tier) ?? 0,
      status: 'provisioning',
      url: '',
      parent_id: str(payload.parent_id) || null,
      active_tasks: 0,
      max_concurrent_tasks: 1,
      last_error_rate: 0,
      uptime_seconds: 0,
      runtime: str(payload.runtime),
      delivery_mode: null,
      x: num(payload.x) ?? 0,
      y: num(payload.y) ?? 0,
      collapsed: false,
      agent_card: null,
      current_task: '',
      last_sample_error: '',
      monthly_spend: 0,
      budget_limit: null,
      workspace_dir: null,
    });
    this.reshaped = true;
  }
}

function patchFor(event: string, payload: Obj, current: Workspace): Partial<Workspace> | null {
  const card = isObj(payload.agent_card) ? (payload.agent_card as Workspace['agent_card']) : null;
  switch (event) {
    case 'WORKSPACE_PROVISIONING':
      return {
        status: 'provisioning',
        current_task: '',
        active_tasks: 0,
        url: '',
        last_sample_error: '',
        ...named(payload),
      };
    case 'WORKSPACE_ONLINE':
      return {
        status: 'online',
        last_sample_error: '',
        ...('url' in payload ? { url: str(payload.url) } : {}),
        ...(card ? { agent_card: card } : {}),
      };
    case 'WORKSPACE_OFFLINE':
      return { status: current.runtime === 'external' ? 'awaiting_agent' : 'offline' };
    case 'WORKSPACE_DEGRADED':
      return {
        status: 'degraded',
        last_error_rate: Number(payload.error_rate) || 0,
        last_sample_error: str(payload.sample_error),
      };
    case 'WORKSPACE_PROVISION_FAILED':
      return { status: 'failed', last_sample_error: str(payload.error), current_task: '', active_tasks: 0 };
    case 'WORKSPACE_AWAITING_AGENT':
      return { status: 'awaiting_agent', ...named(payload) };
    case 'WORKSPACE_PAUSED':
      return { status: 'paused', current_task: '', url: '' };
    case 'WORKSPACE_HIBERNATED':
      return { status: 'hibernated', current_task: '', url: '' };
    case 'AGENT_CARD_UPDATED':
      return { agent_card: card };
    case 'TASK_UPDATED':
      return { current_task: str(payload.current_task), active_tasks: Number(payload.active_tasks) || 0 };
    case 'WORKSPACE_HEARTBEAT':
      // Only a change of what is shown is one: the uptime alone redraws nothing.
      return { active_tasks: Number(payload.active_tasks) || 0 };
    default:
      return null;
  }
}

function named(payload: Obj): Partial<Workspace> {
  return {
    ...(str(payload.name) ? { name: str(payload.name) } : {}),
    ...(str(payload.runtime) ? { runtime: str(payload.runtime) } : {}),
  };
}
