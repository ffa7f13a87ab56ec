// HTTP client of the page: bearer, time limits, typed errors. Knows no DOM.

/** Milliseconds a request may take unless it says otherwise (UI-6). */
const DEFAULT_TIMEOUT_MS = 15_000;
/** Milliseconds an org import may take (UI-6). */
export const IMPORT_TIMEOUT_MS = 120_000;
/** Longest Retry-After, in seconds, that a GET waits for by itself (UI-7). */
const MAX_AUTO_RETRY_S = 20;
const DEFAULT_AUTO_RETRY_S = 2;

/** A request that did not succeed. `status` is 0 when no answer came. */
export class ApiError extends Error {
  /**
   * @param {string} message for people
   * @param {{status?: number, body?: any, retryAfter?: number|null, kind?: 'http'|'network'|'timeout'|'aborted'}} [more]
   */
  constructor(message, { status = 0, body = null, retryAfter = null, kind = 'http' } = {}) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.body = body;
    this.retryAfter = retryAfter;
    this.kind = kind;
  }
}

/**
 * @param {object} deps
 * @param {typeof fetch} deps.fetch
 * @param {() => string|null} deps.token bearer of this browser, null in open mode
 * @param {(usedToken: string|null, error: ApiError) => void} [deps.onUnauthorized] told of every 401 of an authenticated call
 * @param {(ms: number) => Promise<void>} [deps.sleep]
 */
export function createApi({ fetch, token, onUnauthorized = () => {}, sleep = defaultSleep }) {
  /** Sends; the time limit runs on until the caller clears it. */
  async function send(method, path, { body, headers = {}, timeoutMs = DEFAULT_TIMEOUT_MS, signal, auth = true }) {
    const used = auth ? token() : null;
    const all = { Accept: 'application/json', ...headers };
    if (used) all.Authorization = `Bearer ${used}`;
    if (body !== undefined) all['Content-Type'] = 'application/json';
    const limit = timeLimit(timeoutMs, signal);
    let response;
    try {
      response = await fetch(path, {
        method,
        headers: all,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: limit.signal,
        cache: 'no-store',
        // No cookie of ours exists; none is sent either.
        credentials: 'omit',
        redirect: 'error',
      });
    } catch (cause) {
      limit.clear();
      throw noAnswer(limit, signal, timeoutMs, cause);
    }
    if (response.status === 401 && auth) onUnauthorized(used, await errorOf(response.clone()));
    return { response, limit };
  }

  /** Hands back the response, whatever its status. The time limit covers the head only: bodies may be streams. */
  async function raw(method, path, options = {}) {
    const { response, limit } = await send(method, path, options);
    limit.clear();
    return response;
  }

  /** Hands back the parsed body of a 2xx answer; throws `ApiError` otherwise. The time limit covers the body too. */
  async function json(method, path, options = {}) {
    const { response, limit } = await send(method, path, options);
    try {
      if (response.status === 429 && method === 'GET' && !options.retried) {
        const wait = retryAfterOf(response.headers) ?? DEFAULT_AUTO_RETRY_S;
        await sleep(Math.min(wait, MAX_AUTO_RETRY_S) * 1000);
        return await json(method, path, { ...options, retried: true });
      }
      if (!response.ok) throw await errorOf(response);
      if (response.status === 204) return null;
      const parsed = await bodyOf(response);
      if (parsed === undefined) {
        throw new ApiError('The server sent an answer that is not JSON.', { status: response.status });
      }
      return parsed;
    } catch (error) {
      throw error instanceof ApiError ? error : noAnswer(limit, options.signal, options.timeoutMs ?? DEFAULT_TIMEOUT_MS, error);
    } finally {
      limit.clear();
    }
  }

  return {
    raw,
    get: (path, options) => json('GET', path, options),
    post: (path, body, options) => json('POST', path, { ...options, body }),
  };
}

/** Parsed JSON of a response, `undefined` when it is none. */
export async function bodyOf(response) {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The error an answer stands for. */
export async function errorOf(response) {
  const body = await bodyOf(response).catch(() => undefined);
  const retryAfter = retryAfterOf(response.headers) ?? numberOr(body?.retry_after, null);
  return new ApiError(errorText(body) || `The server answered ${response.status}.`, {
    status: response.status,
    body: body ?? null,
    retryAfter,
  });
}

/** The `error` member as text: a string, or an object with a `message` (JSON-RPC). */
export function errorText(body) {
  const error = body?.error;
  // Where the text is fixed by the wire, `detail` says what is wrong (D11).
  if (typeof error === 'string') return error && typeof body.detail === 'string' ? `${error}: ${body.detail}` : error;
  if (typeof error?.message === 'string') return error.message;
  return '';
}

/** Seconds of a Retry-After header, null when absent or not a number of seconds. */
export function retryAfterOf(headers) {
  const value = headers.get('retry-after');
  return value !== null && /^\d+$/.test(value.trim()) ? Number(value) : null;
}

/** One sentence for people about anything that was thrown. */
export function explain(error) {
  if (!(error instanceof ApiError)) return 'Something went wrong in this page. Reload it and try again.';
  if (error.kind === 'network') return 'The server cannot be reached. Check that it is running.';
  if (error.kind === 'timeout') return error.message;
  if (error.status === 503 && error.body?.code === 'platform_unavailable') {
    return 'The platform cannot reach its own database right now.';
  }
  if (error.status === 403) return `Not allowed: ${error.message}`;
  if (error.status === 429) {
    return `Too many requests.${error.retryAfter ? ` Try again in ${error.retryAfter} s.` : ' Try again shortly.'}`;
  }
  return sentence(error.message);
}

/** Capital letter first, full stop last. */
export function sentence(text) {
  const trimmed = String(text).trim();
  if (!trimmed) return '';
  const first = trimmed[0].toUpperCase() + trimmed.slice(1);
  return /[.!?…:]$/.test(first) ? first : `${first}.`;
}

/** Random UUIDv4. `crypto.randomUUID` exists in secure contexts only, and the server may be opened by LAN address. */
export function uuid(source = globalThis.crypto) {
  if (typeof source.randomUUID === 'function') return source.randomUUID();
  const bytes = source.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function numberOr(value, other) {
  return typeof value === 'number' && Number.isFinite(value) ? value : other;
}

function defaultSleep(ms) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** An abort signal that fires at the time limit or with the caller's own. `timeoutMs` 0 sets no limit. */
function timeLimit(timeoutMs, outer) {
  const controller = new AbortController();
  const limit = { signal: controller.signal, expired: false, clear: () => {} };
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

function noAnswer(limit, outer, timeoutMs, cause) {
  if (outer?.aborted) return new ApiError('Stopped.', { kind: 'aborted' });
  if (limit.expired) {
    return new ApiError(`The server did not answer within ${Math.round(timeoutMs / 1000)} s.`, { kind: 'timeout' });
  }
  const error = new ApiError('The server cannot be reached.', { kind: 'network' });
  error.cause = cause;
  return error;
}
