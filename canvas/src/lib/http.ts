/** HTTP client: bearer, time limits, typed errors. Knows no page. */

import { apiUrl } from './base';
import { isObj, num, obj, parseJson, str } from './json';
import { sentence } from './text';

/** Milliseconds a request may take unless it says otherwise (UI-6). */
const DEFAULT_TIMEOUT_MS = 15_000;
/** Milliseconds an org import may take (UI-6). */
export const IMPORT_TIMEOUT_MS = 120_000;
/** Longest Retry-After, in seconds, that a GET waits for by itself (UI-7). */
const MAX_AUTO_RETRY_S = 20;
const DEFAULT_AUTO_RETRY_S = 2;

export type FailureKind = 'http' | 'network' | 'timeout' | 'aborted';

/** A request that did not succeed. `status` is 0 when no answer came. */
export class ApiError extends Error {
  readonly status: number;
  readonly body: unknown;
  /** Seconds. */
  readonly retryAfter: number | null;
  readonly kind: FailureKind;
  /** An agent answered: the status is its own and says nothing of this browser's session. */
  readonly agents: boolean;

  constructor(
    message: string,
    more: {
      status?: number;
      body?: unknown;
      retryAfter?: number | null;
      kind?: FailureKind;
      agents?: boolean;
      cause?: unknown;
    } = {},
  ) {
    super(message, { cause: more.cause });
    this.name = 'ApiError';
    this.status = more.status ?? 0;
    this.body = more.body ?? null;
    this.retryAfter = more.retryAfter ?? null;
    this.kind = more.kind ?? 'http';
    this.agents = more.agents ?? false;
  }
}

export interface Options {
  body?: unknown;
  headers?: Record<string, string>;
  /** 0 sets no limit. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** Whether to present the session; signing in does not. */
  auth?: boolean;
}

export interface Deps {
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Bearer of this browser, null in open mode. */
  token: () => string | null;
  /** Told of every 401 of an authenticated call. */
  onUnauthorized?: (used: string | null, error: ApiError) => void;
  sleep?: (ms: number) => Promise<void>;
  /** Headers of every request; none by default. */
  headers?: () => Record<string, string>;
  /** Whether cookies go along: those of a hosted sign-in only. */
  credentials?: RequestCredentials;
  /** Address of a path of the API. */
  address?: (path: string) => string;
}

export class Http {
  readonly #deps: Required<Deps>;

  constructor(deps: Deps) {
    this.#deps = {
      onUnauthorized: () => undefined,
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      headers: () => ({}),
      // No cookie of ours exists; none is sent either.
      credentials: 'omit',
      address: apiUrl,
      ...deps,
    };
  }

  /** Hands back the response, whatever its status. The time limit covers the head only: bodies may be streams. */
  async raw(method: string, path: string, options: Options = {}): Promise<Response> {
    const { response, limit } = await this.#send(method, path, options);
    limit.clear();
    return response;
  }

  /** Hands back the parsed body of a 2xx answer; throws `ApiError` otherwise. The time limit covers the body too. */
  async json(method: string, path: string, options: Options = {}, retried = false): Promise<unknown> {
    const { response, limit } = await this.#send(method, path, options);
    try {
      if (response.status === 429 && method === 'GET' && !retried) {
        const wait = retryAfterOf(response.headers) ?? DEFAULT_AUTO_RETRY_S;
        await this.#deps.sleep(Math.min(wait, MAX_AUTO_RETRY_S) * 1_000);
        return await this.json(method, path, options, true);
      }
      if (!response.ok) throw await errorOf(response);
      if (response.status === 204) return null;
      const parsed = parseJson(await response.text());
      if (parsed === undefined) {
        throw new ApiError('The server sent an answer that is not JSON.', { status: response.status });
      }
      return parsed;
    } catch (error) {
      if (error instanceof ApiError) throw error;
      throw noAnswer(limit, options, error);
    } finally {
      limit.clear();
    }
  }

  async #send(method: string, path: string, options: Options) {
    const { body, headers = {}, timeoutMs = DEFAULT_TIMEOUT_MS, signal, auth = true } = options;
    const used = auth ? this.#deps.token() : null;
    const all: Record<string, string> = { Accept: 'application/json', ...this.#deps.headers(), ...headers };
    if (used) all.Authorization = `Bearer ${used}`;
    if (body !== undefined) all['Content-Type'] = 'application/json';
    const limit = timeLimit(timeoutMs, signal);
    let response: Response;
    try {
      response = await this.#deps.fetch(this.#deps.address(path), {
        method,
        headers: all,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: limit.signal,
        cache: 'no-store',
        credentials: this.#deps.credentials,
        redirect: 'error',
      });
    } catch (cause) {
      limit.clear();
      throw noAnswer(limit, options, cause);
    }
    const refused = response.status === 401 && auth && !isAgents(response);
    if (refused) this.#deps.onUnauthorized(used, await errorOf(response.clone()));
    return { response, limit };
  }
}

/** The error an answer stands for. */
export async function errorOf(response: Response): Promise<ApiError> {
  const body = parseJson(await response.text().catch(() => ''));
  const retryAfter = retryAfterOf(response.headers) ?? num(obj(body).retry_after);
  return new ApiError(errorText(body) || `The server answered ${response.status}.`, {
    status: response.status,
    body,
    retryAfter,
    agents: isAgents(response),
  });
}

/** Did an agent give this answer? */
const isAgents = (response: Response) => response.headers.has('x-molecule-upstream-status');

/** The `error` member as text: a string, or an object with a `message` (JSON-RPC). */
export function errorText(body: unknown): string {
  const { error, detail } = obj(body);
  // Where the text is fixed by the wire, `detail` says what is wrong (D11).
  if (typeof error === 'string') return error && typeof detail === 'string' ? `${error}: ${detail}` : error;
  return isObj(error) ? str(error.message) : '';
}

/** Seconds of a Retry-After header, null when absent or not a number of seconds. */
export function retryAfterOf(headers: Headers): number | null {
  const value = headers.get('retry-after');
  return value !== null && /^\d+$/.test(value.trim()) ? Number(value) : null;
}

/** One sentence for people about anything that was thrown. */
export function explain(error: unknown): string {
  if (!(error instanceof ApiError)) return 'Something went wrong in this page. Reload it and try again.';
  if (error.kind === 'network') return 'The server cannot be reached. Check that it is running.';
  if (error.kind === 'timeout' || error.kind === 'aborted') return error.message;
  if (error.agents) return sentence(error.message);
  if (isPlatformDown(error)) return 'The platform cannot reach its own database right now.';
  if (error.status === 401)
    return 'You are not signed in any more. Sign in again with a fresh link from “molecule login”.';
  if (error.status === 403) return `Not allowed: ${error.message}`;
  if (error.status === 410) return sentence(str(obj(error.body).hint) || 'This workspace was removed');
  if (error.status === 429) {
    return `Too many requests. ${error.retryAfter ? `Try again in ${error.retryAfter} s.` : 'Try again shortly.'}`;
  }
  if (error.status === 500) return `${sentence(error.message)} ${SERVERS_FAULT}`;
  return sentence(error.message);
}

/** What to do about an answer that is the server's own fault. */
const SERVERS_FAULT = 'That went wrong in the server: try again, and look at its log if it stays so.';

/** Anything thrown while signing in, as an error of the API. */
export const loginError = (error: unknown): ApiError =>
  error instanceof ApiError ? error : new ApiError(explain(error), { cause: error });

/** The server runs but its database does not answer (UI-9). */
export function isPlatformDown(error: unknown): boolean {
  return error instanceof ApiError && error.status === 503 && obj(error.body).code === 'platform_unavailable';
}

interface Limit {
  signal: AbortSignal;
  expired: boolean;
  clear: () => void;
}

/** An abort signal that fires at the time limit or with the caller's own. */
function timeLimit(timeoutMs: number, outer: AbortSignal | undefined): Limit {
  const controller = new AbortController();
  const limit: Limit = { signal: controller.signal, expired: false, clear: () => undefined };
  const follow = () => controller.abort();
  if (outer?.aborted) follow();
  outer?.addEventListener('abort', follow, { once: true });
  if (timeoutMs > 0) {
    const timer = setTimeout(() => {
      limit.expired = true;
      controller.abort();
    }, timeoutMs);
    // The caller's signal stays connected: it must still be able to end a body that is being streamed.
    limit.clear = () => clearTimeout(timer);
  }
  return limit;
}

function noAnswer(limit: Limit, { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: Options, cause: unknown): ApiError {
  if (signal?.aborted) return new ApiError('Stopped.', { kind: 'aborted' });
  if (limit.expired) {
    return new ApiError(`The server did not answer within ${Math.round(timeoutMs / 1_000)} s.`, { kind: 'timeout' });
  }
  return new ApiError('The server cannot be reached.', { kind: 'network', cause });
}
