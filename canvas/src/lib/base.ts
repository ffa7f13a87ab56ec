/** Where the server is: the page may lie below any path of a reverse proxy (D28). */

/** Directory of the page, with a slash at its end. `/m/docs` and `/m/` are both served from `/m/`. */
export function baseOf(href: string): string {
  return new URL('./', href.split(/[?#]/)[0]).href;
}

// Tests have no page.
export const BASE = baseOf(globalThis.location?.href ?? 'http://localhost/');

/** Absolute address of an API path such as `/workspaces`. */
export const apiUrl = (path: string, base = BASE): string => new URL(path.replace(/^\//, ''), base).href;

/** The same for a socket. */
export const socketUrl = (path: string, base = BASE): string => apiUrl(path, base).replace(/^http/, 'ws');
