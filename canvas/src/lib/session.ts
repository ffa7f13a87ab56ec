/** Sign-in: the one-time code of the login link and the session token that it buys (D2). */

import { ApiError, explain } from './http';

const KEY = 'molecule.session';

/** The one-time code in a URL fragment, with or without the leading `#`; null when there is none. */
export function codeFromHash(hash: string): string | null {
  return new URLSearchParams(hash.replace(/^#/, '')).get('code')?.trim() || null;
}

/** The code in what somebody pasted: the whole link, its fragment, or the code alone. */
export function codeFromInput(text: string): string | null {
  const trimmed = text.trim();
  const hash = trimmed.indexOf('#');
  if (hash !== -1) return codeFromHash(trimmed.slice(hash));
  if (trimmed.startsWith('code=')) return codeFromHash(trimmed);
  return trimmed && !/\s/.test(trimmed) && !trimmed.includes('/') ? trimmed : null;
}

/** What to tell somebody whom a code did not sign in. Only a 401 speaks of the code itself. */
export function loginFailure(error: ApiError): string {
  if (error.kind === 'network' || error.kind === 'timeout') {
    return 'The server cannot be reached, so the code was not used. Check that it is running and try again.';
  }
  if (error.status === 429) {
    return `Too many attempts. ${error.retryAfter ? `Wait ${error.retryAfter} s` : 'Wait a little'} and try again.`;
  }
  if (error.status >= 500) return `The server could not check the code (${error.message}). Try again shortly.`;
  if (error.status === 403) {
    return 'The server does not know this page’s address as its own, so the code was not used. Open the address it printed, or set MOLECULE_PUBLIC_URL (or list the address in CORS_ORIGINS) and restart it.';
  }
  if (error.status !== 401) return `The code was not used. ${explain(error)}`;
  return 'This code was used already or has expired. A code works once, for 10 minutes. Print a fresh link with “molecule login”.';
}

/** The session token in storage that belongs to this origin alone (a cookie would also go to other ports). */
export class Session {
  readonly #storage: Storage;
  #memory: string | null = null;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  get token(): string | null {
    try {
      return this.#storage.getItem(KEY) ?? this.#memory;
    } catch {
      return this.#memory;
    }
  }

  /** Keeps the token; in memory only where the browser refuses storage. */
  keep(token: string): void {
    try {
      this.#storage.setItem(KEY, token);
      // What another tab takes out of the storage must be gone here too.
      this.#memory = null;
    } catch {
      // Private windows may refuse storage: the session then lasts as long as the page.
      this.#memory = token;
    }
  }

  /**
   * Forgets the token, unless another one has taken its place meanwhile (a second tab signed in again).
   * Says whether no token is left. `used` is the token that was refused; absent forgets any.
   */
  forget(used?: string | null): boolean {
    if (used !== undefined && this.token !== used) return this.token === null;
    this.#memory = null;
    try {
      this.#storage.removeItem(KEY);
    } catch {
      // As in `keep`.
    }
    return true;
  }

  /**
   * Reads with the session. Whoever is refused while another tab signs in reads again with what that one brought: its
   * `storage` event came too early to find this page waiting at the door.
   */
  async reading<T>(read: () => Promise<T>): Promise<T> {
    for (;;) {
      const used = this.token;
      try {
        return await read();
      } catch (error) {
        const refused = error instanceof ApiError && error.status === 401 && !error.agents;
        if (!refused || this.token === null || this.token === used) throw error;
      }
    }
  }

  /** Whether a `storage` event speaks of this token. */
  static concerns(event: { key: string | null }): boolean {
    return event.key === KEY || event.key === null;
  }
}
