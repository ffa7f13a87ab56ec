// A2A messages as a conversation: what the feed's rows, JSON replies and stream frames say. Knows no DOM.

import { errorText, retryAfterOf, sentence } from './api.js';

/** Turns of history sent along with a message (RUN-52 reads at most 20). */
const HISTORY_TURNS = 20;
/** Characters of one such turn; the whole body must stay well below 1 MiB (A2A-2). */
const HISTORY_TURN_CHARS = 4_000;
/** JSON-RPC and A2A codes by which an agent says that it cannot stream. */
const NO_STREAMING = new Set([-32601, -32004]);

/** Text of A2A parts, all of them: `kind` (v0.3), `type` (v0.2) or neither (v1.0). */
export function textOfParts(parts) {
  if (!Array.isArray(parts)) return '';
  return parts
    .filter((part) => typeof part?.text === 'string')
    .map((part) => part.text)
    .join('\n');
}

/** Files of A2A parts, those with an address and a name (UI-26). */
export function filesOfParts(parts) {
  if (!Array.isArray(parts)) return [];
  return parts.map(fileOfPart).filter(Boolean);
}

function fileOfPart(part) {
  const file = part?.file ?? (part?.url || part?.filename ? { uri: part.url, name: part.filename } : null);
  if (!file || typeof file !== 'object') return null;
  return attachment({ ...file, name: file.name || lastSegment(file.uri ?? file.fileWithUri), uri: file.uri ?? file.fileWithUri });
}

/** One checked attachment, null when it lacks address or name. */
export function attachment(file) {
  const uri = typeof file?.uri === 'string' ? file.uri : '';
  const name = typeof file?.name === 'string' ? file.name : '';
  if (!uri || !name) return null;
  return { uri, name, size: Number.isFinite(file.size) && file.size > 0 ? file.size : null };
}

function lastSegment(uri) {
  return typeof uri === 'string' ? uri.slice(uri.lastIndexOf('/') + 1) : '';
}

/** Task state in one spelling: `TASK_STATE_INPUT_REQUIRED` and `input-required` are the same. */
export function taskState(state) {
  return typeof state === 'string' ? state.toLowerCase().replace(/^task_state_/, '').replaceAll('_', '-') : '';
}

const ENDED = new Set(['completed', 'failed', 'canceled', 'rejected', 'input-required', 'auth-required']);

/** Collects a reply from one JSON answer or from the frames of a stream, in whatever A2A version they are. */
export class Reply {
  #artifacts = new Map();
  #message = null;
  #statusMessage = null;
  /** Normalised task state, "" when the agent answered with a plain message. */
  state = '';
  /** Text of a JSON-RPC or platform error, "" when none. */
  error = '';
  /** Code of a JSON-RPC error. */
  errorCode = null;
  /** Nothing more will come. */
  done = false;

  /** @param {any} body a JSON-RPC answer, one frame of a stream, or a bare result */
  push(body) {
    if (Array.isArray(body)) {
      for (const frame of body) this.push(frame);
      return this;
    }
    if (body === null || body === undefined) return this;
    if (typeof body !== 'object') {
      this.#message = { parts: [{ text: String(body) }] };
      this.done = true;
      return this;
    }
    if (body.error && !body.result) {
      this.error = errorText(body) || 'The agent answered with an error.';
      this.errorCode = body.error?.code ?? null;
      this.done = true;
      return this;
    }
    this.#result(body.result === undefined ? body : body.result, body);
    return this;
  }

  #result(result, envelope) {
    if (typeof result === 'string') {
      // A message to the user is recorded as {"result": text, "parts": [files]} (ACT-54).
      this.#message = { parts: [{ text: result }, ...(Array.isArray(envelope.parts) ? envelope.parts : [])] };
      this.done = true;
    } else if (!result || typeof result !== 'object') {
      this.done = true;
    } else if (result.artifact || result.artifactUpdate) {
      this.#artifact(result.artifactUpdate ?? result);
    } else if (result.statusUpdate || result.kind === 'status-update') {
      this.#status(result.statusUpdate ?? result);
    } else if (result.task || result.message || result.msg) {
      this.#result(result.task ?? result.message ?? result.msg, envelope);
    } else {
      this.#whole(result);
    }
  }

  #whole(result) {
    if (Array.isArray(result.parts)) {
      this.#message = result;
      this.done = true;
    }
    for (const artifact of Array.isArray(result.artifacts) ? result.artifacts : []) this.#artifact({ artifact });
    if (result.status && typeof result.status === 'object') this.#status(result);
    else if (typeof result.text === 'string' && !this.#message) this.#message = { parts: [{ text: result.text }] };
  }

  #artifact({ artifact, append }) {
    if (!artifact || typeof artifact !== 'object') return;
    const id = artifact.artifactId ?? artifact.name ?? '';
    const parts = Array.isArray(artifact.parts) ? artifact.parts : [];
    const before = this.#artifacts.get(id);
    if (!append || !before) {
      this.#artifacts.set(id, { text: textOfParts(parts), files: filesOfParts(parts) });
      return;
    }
    // Chunks of one artifact continue each other: no line break between them.
    for (const part of parts) if (typeof part?.text === 'string') before.text += part.text;
    before.files.push(...filesOfParts(parts));
  }

  #status({ status, final }) {
    this.state = taskState(status?.state) || this.state;
    if (status?.message) this.#statusMessage = status.message;
    if (final === true || ENDED.has(this.state)) this.done = true;
  }

  get text() {
    const artifacts = [...this.#artifacts.values()].map((artifact) => artifact.text).filter(Boolean);
    const texts = [textOfParts(this.#message?.parts), ...artifacts].filter(Boolean);
    if (this.done && this.#statusMessage) {
      const last = textOfParts(this.#statusMessage.parts);
      if (last && (texts.length === 0 || this.failed) && !texts.includes(last)) texts.push(last);
    }
    return texts.join('\n\n');
  }

  /** What the agent says it is doing, while it is doing it. */
  get progress() {
    return this.done ? '' : textOfParts(this.#statusMessage?.parts);
  }

  get files() {
    const files = [...this.#artifacts.values()].flatMap((artifact) => artifact.files);
    return [...filesOfParts(this.#message?.parts), ...filesOfParts(this.#statusMessage?.parts), ...files];
  }

  /** The agent ended the task without doing it. */
  get failed() {
    return ['failed', 'rejected', 'canceled'].includes(this.state);
  }

  /** The agent said that it does not stream; the same message may be sent plainly. */
  get cannotStream() {
    return NO_STREAMING.has(this.errorCode);
  }

  /** What to add below the text, "" when the reply speaks for itself. */
  get note() {
    if (this.state === 'input-required') return 'The agent needs more input to go on.';
    if (this.state === 'auth-required') return 'The agent needs to be authorised to go on.';
    if (this.failed) return `The agent reports: ${this.state}.`;
    return '';
  }
}

/**
 * What an answer of `POST /workspaces/:id/a2a` that is no stream means (A2A-40, 60, 61, 81…90).
 * @param {number} status
 * @param {any} body parsed JSON, `undefined` when it was none
 * @param {Headers} headers
 * @returns {{kind: 'reply'|'queued'|'failed', reply?: Reply, note?: string, retry?: boolean, retryAfter?: number|null}}
 */
export function answerOf(status, body, headers) {
  const retryAfter = retryAfterOf(headers) ?? (typeof body?.retry_after === 'number' ? body.retry_after : null);
  if (body?.queued === true) {
    const place = body.queue_depth > 1 ? ` It is number ${body.queue_depth} in line.` : '';
    return { kind: 'queued', note: `The agent is busy; the message is queued and will be delivered.${place}` };
  }
  if (body?.status === 'queued' && body?.delivery_mode === 'poll') {
    return { kind: 'queued', note: 'Queued: this agent fetches its messages itself. Its reply will appear here.' };
  }
  if (status >= 200 && status < 300) {
    if (body === undefined) return failed('The agent’s answer is not JSON.', false, null);
    const reply = new Reply().push(body);
    reply.done = true;
    if (reply.error) return { ...failed(sentence(reply.error), true, null), reply };
    return { kind: 'reply', reply };
  }
  return unavailable(status, body, retryAfter);
}

function unavailable(status, body, retryAfter) {
  const error = errorText(body);
  if (body?.restarting) return failed('The agent is restarting. Please wait, then try again.', true, retryAfter ?? 15);
  if (body?.waking) return failed('The agent was asleep and is waking up. Try again in a moment.', true, retryAfter ?? 15);
  if (body?.busy) return failed('The agent is busy and the message was not stored. Try again later.', true, retryAfter ?? 30);
  if (status === 402) return failed('Budget exceeded: messages to this workspace are blocked until its limit is raised.', false, null);
  if (status === 404) return failed('This workspace does not exist any more.', false, null);
  if (status === 410) return failed(sentence(body?.hint || 'This workspace was removed'), false, null);
  if (error === 'workspace has no URL') {
    return failed(`The agent is not running yet${body.status ? ` (${String(body.status).replaceAll('_', ' ')})` : ''}.`, true, retryAfter);
  }
  if (body?.delivery_confirmed === true) {
    return failed('The agent received the message, but its answer was lost on the way. Look at its activity before sending it again.', true, null);
  }
  const client = status >= 400 && status < 500 && status !== 408 && status !== 429;
  return failed(sentence(error || `The agent could not be reached (${status})`), !client, retryAfter);
}

function failed(note, retry, retryAfter) {
  return { kind: 'failed', note, retry, retryAfter };
}

/**
 * Body of `POST /workspaces/:id/a2a`.
 * @param {{id: string, messageId: string, text: string, stream: boolean, history: {role: string, text: string}[]}} message
 */
export function messageBody({ id, messageId, text, stream, history }) {
  const turns = history
    .filter((item) => (item.role === 'user' || item.role === 'agent') && item.text)
    .slice(-HISTORY_TURNS)
    .map((item) => ({ role: item.role, parts: [{ kind: 'text', text: item.text.slice(0, HISTORY_TURN_CHARS) }] }));
  return {
    jsonrpc: '2.0',
    id,
    method: stream ? 'message/stream' : 'message/send',
    params: {
      message: { kind: 'message', role: 'user', messageId, parts: [{ kind: 'text', text }] },
      ...(turns.length > 0 ? { metadata: { history: turns } } : {}),
    },
  };
}

/** Whether to ask for a stream: the agent's card must promise one, and an agent that fetches its messages sends none back. */
export function wantsStream(workspace) {
  return workspace?.agent_card?.capabilities?.streaming === true && workspace.delivery_mode !== 'poll';
}
