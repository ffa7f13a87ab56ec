// Events as lines that people can read, and the log that keeps the last of them. Knows no DOM.

/** Lines kept. */
export const LOG_LIMIT = 300;
/** Longest pause between two attempts to connect, milliseconds (ACT-80). */
const MAX_BACKOFF_MS = 30_000;

/** Pause before attempt `n` (0, 1, …): 1 s, 2 s, 4 s … 30 s. */
export function backoff(n) {
  return Math.min(1_000 * 2 ** Math.min(n, 10), MAX_BACKOFF_MS);
}

/** One `/ws` frame as an entry; null when it is no envelope (a malformed frame is skipped, UI-15). */
export function parseFrame(data) {
  let frame;
  try {
    frame = JSON.parse(data);
  } catch {
    return null;
  }
  if (!frame || typeof frame.event !== 'string') return null;
  return {
    event: frame.event,
    workspace_id: typeof frame.workspace_id === 'string' ? frame.workspace_id : '',
    timestamp: frame.timestamp,
    payload: frame.payload && typeof frame.payload === 'object' ? frame.payload : {},
  };
}

/** One row of `GET /events` in the same shape. */
export function fromRow(row) {
  return {
    event: row.event_type,
    workspace_id: row.workspace_id ?? '',
    timestamp: row.created_at,
    payload: row.payload && typeof row.payload === 'object' ? row.payload : {},
  };
}

/** Events that are never recorded, so that only this page has them (ACT-102…106). */
const LIVE_ONLY = new Set(['TASK_UPDATED', 'WORKSPACE_HEARTBEAT', 'ACTIVITY_LOGGED', 'A2A_RESPONSE', 'AGENT_MESSAGE']);

/** The last events, newest first. */
export class EventLog {
  #next = 0;
  entries = [];

  /** Adds a live event. Returns the entry, or null if it makes no line. */
  add(event) {
    if (!describe(event, () => '')) return null;
    const entry = { ...event, key: `e${(this.#next += 1)}` };
    this.entries.unshift(entry);
    this.entries.length = Math.min(this.entries.length, LOG_LIMIT);
    return entry;
  }

  /** Takes in what `GET /events` recorded; of the live entries those stay that are not in it. */
  load(rows) {
    const recorded = (Array.isArray(rows) ? rows : []).map(fromRow).filter((event) => describe(event, () => ''));
    const newest = Math.max(0, ...recorded.map((event) => Date.parse(event.timestamp) || 0));
    const kept = this.entries.filter((entry) => LIVE_ONLY.has(entry.event) || Date.parse(entry.timestamp) > newest);
    const fresh = recorded.map((event) => ({ ...event, key: `e${(this.#next += 1)}` }));
    this.entries = [...kept, ...fresh]
      .sort((a, b) => (Date.parse(b.timestamp) || 0) - (Date.parse(a.timestamp) || 0))
      .slice(0, LOG_LIMIT);
  }
}

/**
 * One event in words.
 * @param {{event: string, workspace_id: string, payload: any}} event
 * @param {(id: string|null) => string} nameOf name of a workspace; of nobody: the user
 * @returns {{text: string, tone: ''|'good'|'warn'|'bad', kind: 'status'|'message'|'other'}|null} null when it makes no line
 */
export function describe(event, nameOf) {
  const { payload } = event;
  switch (event.event) {
    case 'WORKSPACE_HEARTBEAT':
    case 'A2A_RESPONSE': // said by ACTIVITY_LOGGED already
      return null;
    case 'WORKSPACE_PROVISIONING':
      return status(`starting${payload.runtime ? ` (${payload.runtime})` : ''}`);
    case 'WORKSPACE_ONLINE':
      return status(payload.recovered_from ? `online again, was ${words(payload.recovered_from)}` : 'online', 'good');
    case 'WORKSPACE_AWAITING_AGENT':
      return status('waiting for its external agent');
    case 'WORKSPACE_OFFLINE':
      return status('offline', 'warn');
    case 'WORKSPACE_DEGRADED':
      return status(`degraded${because(payload.sample_error || (payload.runtime_state === 'wedged' ? 'the runtime is wedged' : ''))}`, 'warn');
    case 'WORKSPACE_PAUSED':
      return status('paused');
    case 'WORKSPACE_HIBERNATED':
      return status('hibernated');
    case 'WORKSPACE_REMOVED':
      return status(payload.cascade_deleted > 0 ? `removed, with ${payload.cascade_deleted} below it` : 'removed', 'warn');
    case 'WORKSPACE_PROVISION_FAILED':
      return status(`failed to start${because(payload.error)}`, 'bad');
    case 'WORKSPACE_EXPANDED':
      return status(`expanded to a team of ${payload.children?.length ?? 0}`);
    case 'WORKSPACE_COLLAPSED':
      return status('team collapsed');
    case 'TASK_UPDATED':
      return other(payload.current_task ? `working on: ${payload.current_task}` : 'idle');
    case 'ACTIVITY_LOGGED':
      return activity(event, nameOf);
    case 'AGENT_MESSAGE':
      return message(`${nameOf(event.workspace_id)} → ${nameOf(null)} ${quote(payload.message)}`);
    default:
      return named(event, nameOf);
  }
}

function named(event, nameOf) {
  const { payload } = event;
  const hop = `${nameOf(event.workspace_id)} → ${nameOf(payload.target_id ?? '')}`;
  switch (event.event) {
    case 'DELEGATION_SENT':
      return message(`${hop} delegates ${quote(payload.task_preview)}`);
    case 'DELEGATION_STATUS':
      return message(`${hop} delegation ${words(payload.status)}`);
    case 'DELEGATION_COMPLETE':
      return message(`${hop} delegation done ${quote(payload.response_preview)}`, 'good');
    case 'DELEGATION_FAILED':
      return message(`${hop} delegation failed${because(payload.error)}`, 'bad');
    case 'APPROVAL_REQUESTED':
      return other(`asks for approval: ${payload.action}${because(payload.reason)}`, 'warn');
    case 'APPROVAL_ESCALATED':
      return other(`${nameOf(payload.from_workspace_id ?? '')} asks for approval: ${payload.action}`, 'warn');
    case 'APPROVAL_APPROVED':
    case 'APPROVAL_DENIED':
      return other(`approval ${words(payload.decision ?? event.event.slice(9))} by ${payload.decided_by ?? 'somebody'}`);
    case 'CRON_EXECUTED':
      return other(`schedule “${payload.schedule_name}” ran: ${words(payload.status)}`, payload.status === 'error' ? 'bad' : '');
    case 'CRON_SKIPPED':
      return other(`schedule “${payload.schedule_name}” skipped${because(payload.reason)}`, 'warn');
    case 'CHANNEL_MESSAGE':
      return message(`${payload.channel_type} message ${payload.direction === 'outbound' ? 'out' : 'in'}${payload.username ? ` (${payload.username})` : ''}`);
    case 'AGENT_CARD_UPDATED':
      return other('agent card updated');
    default:
      return other(words(event.event));
  }
}

/** An A2A hop: `Lead → Researcher message/send ok 120 ms`. */
function activity(event, nameOf) {
  const { payload } = event;
  const tone = ['error', 'failed', 'timeout'].includes(payload.status) ? 'bad' : '';
  if (!['a2a_receive', 'a2a_send'].includes(payload.activity_type)) {
    return other([words(payload.activity_type), payload.summary].filter(Boolean).join(': '), tone);
  }
  const from = nameOf(payload.source_id ?? null);
  const to = nameOf(payload.target_id ?? event.workspace_id);
  const took = Number.isFinite(payload.duration_ms) ? duration(payload.duration_ms) : '';
  // A row without a duration was accepted, not answered (ACT-107).
  const outcome = payload.status === 'ok' && !took && payload.activity_type === 'a2a_receive' ? 'queued' : payload.status;
  const detail = tone === 'bad' && payload.summary ? `(${cut(payload.summary, 160)})` : '';
  return message([`${from} → ${to}`, payload.method, outcome, took, detail].filter(Boolean).join(' '), tone);
}

/** 120 ms, 3.4 s, 2 min 5 s. */
export function duration(ms) {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Text of at most `limit` characters, whole ones. */
export function cut(text, limit) {
  const all = [...String(text)];
  return all.length > limit ? `${all.slice(0, limit - 1).join('')}…` : all.join('');
}

function because(reason) {
  return reason ? `: ${cut(reason, 200)}` : '';
}

function quote(text) {
  return text ? `“${cut(String(text).replaceAll(/\s+/g, ' ').trim(), 120)}”` : '';
}

function words(name) {
  return String(name ?? '').toLowerCase().replaceAll('_', ' ');
}

const status = (text, tone = '') => ({ text, tone, kind: 'status' });
const message = (text, tone = '') => ({ text: text.trim(), tone, kind: 'message' });
const other = (text, tone = '') => ({ text, tone, kind: 'other' });
