/** Live events: the envelope, and each of them in words. */

import type { EventName } from '../generated/events';
import type { EventRow } from './api';
import { isObj, obj, parseJson, str, type Obj } from './json';
import { cut, duration, words } from './text';

/** Names this page knows although the catalogue does not list them yet. */
export type KnownEvent =
  | EventName
  | 'WORKSPACE_PAUSED'
  | 'WORKSPACE_HIBERNATED'
  | 'WORKSPACE_EXPANDED'
  | 'WORKSPACE_COLLAPSED'
  | 'AGENT_MOVED'
  | 'DELEGATION_SENT'
  | 'DELEGATION_STATUS'
  | 'DELEGATION_COMPLETE'
  | 'DELEGATION_FAILED'
  | 'APPROVAL_REQUESTED'
  | 'APPROVAL_ESCALATED'
  | 'APPROVAL_APPROVED'
  | 'APPROVAL_DENIED'
  | 'CRON_EXECUTED'
  | 'CRON_SKIPPED'
  | 'CHANNEL_MESSAGE';

export interface Envelope {
  /** Catalogue name. */
  event: KnownEvent;
  /** The subject; "" when there is none. */
  workspace_id: string;
  /** RFC 3339. */
  timestamp: string;
  payload: Obj;
}

/** One `/ws` frame; null when it is no envelope (a malformed frame is skipped, UI-15). */
export function parseFrame(data: unknown): Envelope | null {
  const frame = typeof data === 'string' ? parseJson(data) : undefined;
  if (!isObj(frame) || typeof frame.event !== 'string') return null;
  return envelope(frame.event, frame.workspace_id, frame.timestamp, frame.payload);
}

/** One row of `GET /events` in the same shape. */
export const fromRow = (row: EventRow): Envelope =>
  envelope(row.event_type, row.workspace_id, row.created_at, row.payload);

// Names outside the union are told of by their own words; the cast lets them through.
const envelope = (event: string, id: unknown, timestamp: unknown, payload: unknown): Envelope => ({
  event: event as KnownEvent,
  workspace_id: str(id),
  timestamp: str(timestamp),
  payload: obj(payload),
});

/** Events that are never recorded, so that only this page has them (ACT-102…106). */
export const LIVE_ONLY: ReadonlySet<string> = new Set<KnownEvent>([
  'TASK_UPDATED',
  'WORKSPACE_HEARTBEAT',
  'ACTIVITY_LOGGED',
  'A2A_RESPONSE',
  'AGENT_MESSAGE',
]);

export type Tone = 'plain' | 'good' | 'warn' | 'bad';
export type Kind = 'status' | 'message' | 'other';

export interface Line {
  text: string;
  tone: Tone;
  kind: Kind;
}

/** Name of a workspace; of nobody (null): the user. */
export type NameOf = (id: string | null) => string;

/** One event in words; null when it makes no line. */
export function describe(event: Envelope, nameOf: NameOf): Line | null {
  const { payload } = event;
  switch (event.event) {
    case 'WORKSPACE_HEARTBEAT':
    case 'A2A_RESPONSE': // said by ACTIVITY_LOGGED already
      return null;
    case 'WORKSPACE_PROVISIONING':
      return status(`starting${str(payload.runtime) ? ` (${str(payload.runtime)})` : ''}`);
    case 'WORKSPACE_ONLINE':
      return status(
        str(payload.recovered_from) ? `online again, was ${words(str(payload.recovered_from))}` : 'online',
        'good',
      );
    case 'WORKSPACE_AWAITING_AGENT':
      return status('waiting for its external agent');
    case 'WORKSPACE_OFFLINE':
      return status('offline', 'warn');
    case 'WORKSPACE_DEGRADED': {
      const why = str(payload.sample_error) || (payload.runtime_state === 'wedged' ? 'the runtime is wedged' : '');
      return status(`degraded${because(why)}`, 'warn');
    }
    case 'WORKSPACE_PAUSED':
      return status('paused');
    case 'WORKSPACE_HIBERNATED':
      return status('hibernated');
    case 'WORKSPACE_REMOVED': {
      const below = Number(payload.cascade_deleted) || 0;
      return status(below > 0 ? `removed, with ${below} below it` : 'removed', 'warn');
    }
    case 'WORKSPACE_PROVISION_FAILED':
      return status(`failed to start${because(payload.error)}`, 'bad');
    case 'TASK_UPDATED':
      return other(str(payload.current_task) ? `working on: ${cut(str(payload.current_task), 200)}` : 'idle');
    case 'ACTIVITY_LOGGED':
      return activity(event, nameOf);
    case 'AGENT_MESSAGE':
      return message(`${nameOf(event.workspace_id)} → ${nameOf(null)} ${quote(payload.message)}`);
    default:
      return named(event, nameOf);
  }
}

function named(event: Envelope, nameOf: NameOf): Line {
  const { payload } = event;
  const hop = `${nameOf(event.workspace_id)} → ${nameOf(str(payload.target_id))}`;
  switch (event.event) {
    case 'WORKSPACE_EXPANDED':
      return status('team expanded');
    case 'WORKSPACE_COLLAPSED':
      return status('team collapsed');
    case 'DELEGATION_SENT':
      return message(`${hop} delegates ${quote(payload.task_preview)}`);
    case 'DELEGATION_STATUS':
      return message(`${hop} delegation ${words(str(payload.status))}`);
    case 'DELEGATION_COMPLETE':
      return message(`${hop} delegation done ${quote(payload.response_preview)}`, 'good');
    case 'DELEGATION_FAILED':
      return message(`${hop} delegation failed${because(payload.error)}`, 'bad');
    case 'APPROVAL_REQUESTED':
      return other(`asks for approval: ${str(payload.action)}${because(payload.reason)}`, 'warn');
    case 'APPROVAL_ESCALATED':
      return other(`${nameOf(str(payload.from_workspace_id))} asks for approval: ${str(payload.action)}`, 'warn');
    case 'APPROVAL_APPROVED':
    case 'APPROVAL_DENIED':
      return other(
        `approval ${words(str(payload.decision) || event.event.slice(9))} by ${str(payload.decided_by) || 'somebody'}`,
      );
    case 'CRON_EXECUTED':
      return other(
        `schedule “${str(payload.schedule_name)}” ran: ${words(str(payload.status))}`,
        payload.status === 'error' ? 'bad' : 'plain',
      );
    case 'CRON_SKIPPED':
      return other(`schedule “${str(payload.schedule_name)}” skipped${because(payload.reason)}`, 'warn');
    case 'CHANNEL_MESSAGE':
      return message(`${str(payload.channel_type)} message ${payload.direction === 'outbound' ? 'out' : 'in'}`);
    case 'AGENT_CARD_UPDATED':
      return other('agent card updated');
    default:
      return other(words(event.event));
  }
}

/** Whether an activity's status is a failure. */
export const isFailure = (state: unknown): boolean => ['error', 'failed', 'timeout'].includes(str(state));

/** The two ends of an A2A hop; null where the activity is none. A person is null as an end. */
export function hopOf(event: Envelope): { from: string | null; to: string; failed: boolean } | null {
  const { payload, workspace_id } = event;
  const { activity_type: type } = payload;
  if (event.event !== 'ACTIVITY_LOGGED' || (type !== 'a2a_receive' && type !== 'a2a_send')) return null;
  const to = str(payload.target_id) || workspace_id;
  const from = str(payload.source_id) || null;
  return to && from !== to ? { from, to, failed: isFailure(payload.status) } : null;
}

/** An A2A hop: `Lead → Researcher message/send ok 120 ms`. */
function activity(event: Envelope, nameOf: NameOf): Line {
  const { payload } = event;
  const tone = isFailure(payload.status) ? 'bad' : 'plain';
  const type = str(payload.activity_type);
  const summary = cut(str(payload.summary), 160);
  if (type !== 'a2a_receive' && type !== 'a2a_send')
    return other([words(type), summary].filter(Boolean).join(': '), tone);
  const from = nameOf(str(payload.source_id) || null);
  const to = nameOf(str(payload.target_id) || event.workspace_id);
  const took = typeof payload.duration_ms === 'number' ? duration(payload.duration_ms) : '';
  // A row without a duration was accepted, not answered (ACT-107).
  const outcome = payload.status === 'ok' && !took && type === 'a2a_receive' ? 'queued' : str(payload.status);
  const detail = tone === 'bad' && summary ? `(${summary})` : '';
  return message([`${from} → ${to}`, str(payload.method), outcome, took, detail].filter(Boolean).join(' '), tone);
}

const because = (reason: unknown): string => (str(reason) ? `: ${cut(str(reason), 200)}` : '');
const quote = (text: unknown): string =>
  str(text) ? `“${cut(str(text).slice(0, 400).replaceAll(/\s+/g, ' ').trim(), 120)}”` : '';

const status = (text: string, tone: Tone = 'plain'): Line => ({ text, tone, kind: 'status' });
const message = (text: string, tone: Tone = 'plain'): Line => ({ text: text.trim(), tone, kind: 'message' });
const other = (text: string, tone: Tone = 'plain'): Line => ({ text, tone, kind: 'other' });
