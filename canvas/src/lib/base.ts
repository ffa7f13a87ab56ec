/** Where the server is: the page may lie below any path of a reverse proxy (D28). */

/** Directory of the page, with a slash at its end. `/m/docs` and `/m/` are both served from `/m/`. */
export function baseOf(href: string): string {
  return new URL('./', href.split(/[?#]/)[0]).href;
}

/** The address that a build was told, else that of the page (UI-2, UI-3). Tests have no page. */
const told = (address: string | undefined): string | null =>
  address ? baseOf(`${address.replace(/\/$/, '')}/`) : null;

export const BASE =
  told(import.meta.env?.NEXT_PUBLIC_PLATFORM_URL) ?? baseOf(globalThis.location?.href ?? 'http://localhost/');
const SOCKETS = told(import.meta.env?.NEXT_PUBLIC_WS_URL) ?? BASE;

/** Absolute address of an API path such as `/workspaces`. */
export const apiUrl = (path: string, base = BASE): string => new URL(path.replace(/^\//, ''), base).href;

/** The same for a socket. */
export const socketUrl = (path: string, base = SOCKETS): string => apiUrl(path, base).replace(/^http/, 'ws');
