/** A2A messages as a conversation: what the feed's rows, JSON replies and stream frames say. */

import { errorText, retryAfterOf } from './http';
import { isObj, list, num, obj, str, type Obj } from './json';
import { sentence } from './text';

/** Turns of history sent along with a message (UI-88). */
const HISTORY_TURNS = 20;
/** Characters of one such turn; the whole body must stay well below 1 MiB (A2A-2). */
const HISTORY_TURN_CHARS = 4_000;
/** JSON-RPC and A2A codes by which an agent says that it cannot stream. */
const NO_STREAMING = new Set<unknown>([-32601, -32004]);

/** A file named in a message; its bytes are elsewhere. */
export interface FileRef {
  uri: string;
  name: string;
  /** Bytes, if known. */
  size: number | null;
}

/** Text of A2A parts, all of them: `kind` (v0.3), `type` (v0.2) or neither (v1.0). */
export function textOfParts(parts: unknown): string {
  return list(parts)
    .map((part) => obj(part).text)
    .filter((text) => typeof text === 'string')
    .join('\n');
}

/** Files of A2A parts, those with an address and a name (UI-26). */
export function filesOfParts(parts: unknown): FileRef[] {
  return list(parts)
    .map((part) => fileOfPart(obj(part)))
    .filter((file) => file !== null);
}

function fileOfPart(part: Obj): FileRef | null {
  const file = part.file ?? (part.url || part.filename ? { uri: part.url, name: part.filename } : null);
  if (!isObj(file)) return null;
  const uri = str(file.uri) || str(file.fileWithUri);
  return attachment({ ...file, uri, name: str(file.name) || uri.slice(uri.lastIndexOf('/') + 1) });
}

/** One checked attachment, null when it lacks address or name. */
export function attachment(value: unknown): FileRef | null {
  const file = obj(value);
  const [uri, name, size] = [str(file.uri), str(file.name), num(file.size)];
  return uri && name ? { uri, name, size: size !== null && size > 0 ? size : null } : null;
}

/** Task state in one spelling: `TASK_STATE_INPUT_REQUIRED` and `input-required` are the same. */
export const taskState = (state: unknown): string =>
  str(state)
    .toLowerCase()
    .replace(/^task_state_/, '')
    .replaceAll('_', '-');

const ENDED = new Set(['completed', 'failed', 'canceled', 'rejected', 'input-required', 'auth-required']);

interface Artifact {
  text: string;
  files: FileRef[];
}

/** Collects a reply from one JSON answer or from the frames of a stream, in whatever A2A version they are. */
export class Reply {
  readonly #artifacts = new Map<string, Artifact>();
  #message: Obj | null = null;
  #statusMessage: Obj | null = null;
  /** Normalised task state, "" when the agent answered with a plain message. */
  state = '';
  /** Text of a JSON-RPC or platform error, "" when none. */
  error = '';
  #errorCode: unknown = null;
  /** Nothing more will come. */
  done = false;

  /** Takes a JSON-RPC answer, one frame of a stream, or a bare result. */
  push(body: unknown): this {
    if (Array.isArray(body)) {
      for (const frame of body) this.push(frame);
    } else if (isObj(body)) {
      if (body.error && !body.result) {
        this.error = errorText(body) || 'The agent answered with an error.';
        this.#errorCode = obj(body.error).code ?? null;
        this.done = true;
      } else {
        this.#result(body.result === undefined ? body : body.result, body);
      }
    } else if (body !== null && body !== undefined) {
      this.#message = { parts: [{ text: String(body) }] };
      this.done = true;
    }
    return this;
  }

  #result(result: unknown, envelope: Obj): void {
    if (typeof result === 'string') {
      // A message to the user is recorded as {"result": text, "parts": [files]} (ACT-54).
      this.#message = { parts: [{ text: result }, ...list(envelope.parts)] };
      this.done = true;
    } else if (!isObj(result)) {
      this.done = true;
    } else if (result.artifact || result.artifactUpdate) {
      this.#artifact(obj(result.artifactUpdate ?? result));
    } else if (result.statusUpdate || result.kind === 'status-update') {
      this.#status(obj(result.statusUpdate ?? result));
    } else if (result.task || result.message || result.msg) {
      this.#result(result.task ?? result.message ?? result.msg, envelope);
    } else {
      this.#whole(result);
    }
  }

  #whole(result: Obj): void {
    if (Array.isArray(result.parts)) {
      this.#message = result;
      this.done = true;
    }
    for (const artifact of list(result.artifacts)) this.#artifact({ artifact });
    if (isObj(result.status)) this.#status(result);
    else if (typeof result.text === 'string' && !this.#message) this.#message = { parts: [{ text: result.text }] };
  }

  #artifact({ artifact, append }: Obj): void {
    if (!isObj(artifact)) return;
    const id = str(artifact.artifactId) || str(artifact.name);
    const parts = list(artifact.parts);
    const before = this.#artifacts.get(id);
    if (!append || !before) {
      this.#artifacts.set(id, { text: textOfParts(parts), files: filesOfParts(parts) });
      return;
    }
    // Chunks of one artifact continue each other: no line break between them.
    for (const part of parts) before.text += str(obj(part).text);
    before.files.push(...filesOfParts(parts));
  }

  #status({ status, final }: Obj): void {
    const { state, message } = obj(status);
    this.state = taskState(state) || this.state;
    if (isObj(message)) this.#statusMessage = message;
    if (final === true || ENDED.has(this.state)) this.done = true;
  }

  get text(): string {
    const artifacts = [...this.#artifacts.values()].map((artifact) => artifact.text);
    const texts = [textOfParts(this.#message?.parts), ...artifacts].filter(Boolean);
    if (this.done && this.#statusMessage) {
      const last = textOfParts(this.#statusMessage.parts);
      if (last && (texts.length === 0 || this.failed) && !texts.includes(last)) texts.push(last);
    }
    return texts.join('\n\n');
  }

  /** What the agent says it is doing, while it is doing it. */
  get progress(): string {
    return this.done ? '' : textOfParts(this.#statusMessage?.parts);
  }

  get files(): FileRef[] {
    const files = [...this.#artifacts.values()].flatMap((artifact) => artifact.files);
    return [...filesOfParts(this.#message?.parts), ...filesOfParts(this.#statusMessage?.parts), ...files];
  }

  /** The agent ended the task without doing it. */
  get failed(): boolean {
    return ['failed', 'rejected', 'canceled'].includes(this.state);
  }

  /** The agent said that it does not stream; the same message may be sent plainly. */
  get cannotStream(): boolean {
    return NO_STREAMING.has(this.#errorCode);
  }

  /** What to add below the text, "" when the reply speaks for itself. */
  get note(): string {
    if (this.state === 'input-required') return 'The agent needs more input to go on.';
    if (this.state === 'auth-required') return 'The agent needs to be authorised to go on.';
    if (this.failed) return `The agent reports: ${this.state}.`;
    return '';
  }
}

/** How the sending of a message ended. */
export type Outcome =
  | { kind: 'reply'; reply: Reply }
  | { kind: 'cut'; reply: Reply }
  | { kind: 'queued'; note: string }
  | { kind: 'failed'; note: string; retry: boolean; retryAfter: number | null; reply?: Reply };

/** What an answer of `POST /workspaces/:id/a2a` that is no stream means (A2A-40, 60, 61, 81…90; UI-95, UI-96). */
export function answerOf(status: number, body: unknown, headers: Headers): Outcome {
  const said = obj(body);
  const retryAfter = retryAfterOf(headers) ?? num(said.retry_after);
  if (said.queued === true) {
    const depth = num(said.queue_depth) ?? 0;
    const place = depth > 1 ? ` It is number ${depth} in line.` : '';
    return { kind: 'queued', note: `The agent is busy; the message is queued and will be delivered.${place}` };
  }
  if (said.status === 'queued' && said.delivery_mode === 'poll') {
    return { kind: 'queued', note: 'Queued: this agent fetches its messages itself. Its reply will appear here.' };
  }
  if (status < 200 || status >= 300) return unavailable(status, said, retryAfter);
  if (body === undefined) return failed('The agent’s answer is not JSON.', false, null);
  const reply = new Reply().push(body);
  reply.done = true;
  return reply.error ? { ...failed(sentence(reply.error), true, null), reply } : { kind: 'reply', reply };
}

function unavailable(status: number, body: Obj, retryAfter: number | null): Outcome {
  const error = errorText(body);
  if (body.restarting) return failed('The agent is restarting. Please wait, then try again.', true, retryAfter ?? 15);
  if (body.waking)
    return failed('The agent was asleep and is waking up. Try again in a moment.', true, retryAfter ?? 15);
  if (body.busy)
    return failed('The agent is busy and the message was not stored. Try again later.', true, retryAfter ?? 30);
  if (status === 402) {
    return failed('Budget exceeded: messages to this workspace are blocked until its limit is raised.', false, null);
  }
  if (status === 404) return failed('This workspace does not exist any more.', false, null);
  if (status === 410) return failed(sentence(str(body.hint) || 'This workspace was removed'), false, null);
  if (error === 'workspace has no URL') {
    const state = str(body.status).replaceAll('_', ' ');
    return failed(`The agent is not running yet${state ? ` (${state})` : ''}.`, true, retryAfter);
  }
  if (body.delivery_confirmed === true) {
    return failed(
      'The agent received the message, but its answer was lost on the way. Look at its activity before sending it again.',
      true,
      null,
    );
  }
  const client = status >= 400 && status < 500 && status !== 408 && status !== 429;
  return failed(sentence(error || `The agent could not be reached (${status})`), !client, retryAfter);
}

export function failed(note: string, retry: boolean, retryAfter: number | null): Extract<Outcome, { kind: 'failed' }> {
  return { kind: 'failed', note, retry, retryAfter };
}

/** Body of `POST /workspaces/:id/a2a`. */
export function messageBody(message: {
  id: string;
  messageId: string;
  text: string;
  stream: boolean;
  history: readonly { role: string; text: string }[];
}): Obj {
  const turns = message.history
    .filter((item) => (item.role === 'user' || item.role === 'agent') && item.text)
    .slice(-HISTORY_TURNS)
    .map((item) => ({ role: item.role, parts: [{ kind: 'text', text: item.text.slice(0, HISTORY_TURN_CHARS) }] }));
  const { id, messageId, text, stream } = message;
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

/** Whether to ask for a stream: the card must promise one, and an agent that fetches its messages sends none back. */
export function wantsStream(workspace: { agent_card?: unknown; delivery_mode?: string | null } | undefined): boolean {
  return obj(obj(workspace?.agent_card).capabilities).streaming === true && workspace?.delivery_mode !== 'poll';
}
