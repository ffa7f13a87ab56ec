/** Signing in to the hosted product: the control plane's own session, a cookie of its domain (UI-5, UI-8, UI-10). */

import { ApiError, explain, Http } from '../lib/http';
import { obj, str } from '../lib/json';
import { isHosted, loginAddress, slugOf, type Env } from './host';

const env: Env = import.meta.env;
const here = globalThis.location;

/** The tenant whose canvas this is; null outside SaaS mode. */
export const tenant: string | null = here ? slugOf(here.hostname, env) : null;
export const hosted: boolean = here ? isHosted(here.hostname, env) : false;

/** Milliseconds that the question who is signed in may take (UI-8). */
const PROBE_MS = 5_000;

/** The control plane lies at the root of the host, whatever the page's own path is. */
export const controlPlane = new Http({
  fetch: (url, init) => fetch(url, init),
  token: () => null,
  credentials: 'include',
  address: (path) => new URL(path, here.origin).href,
});

export interface Person {
  user_id: string;
  email: string;
}

/** Who is signed in; null for nobody. Throws when that cannot be found out. */
export async function whoami(): Promise<Person | null> {
  try {
    const me = obj(await controlPlane.json('GET', '/cp/auth/me', { timeoutMs: PROBE_MS }));
    return { user_id: str(me.user_id), email: str(me.email) };
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return null;
    throw error;
  }
}

/** Goes to where one signs in; never while one is there already. */
export function goToLogin(): void {
  if (!here.pathname.startsWith('/cp/auth/')) here.assign(loginAddress(here, env));
}

/** Goes to the payment page (UI-138); `body` says for what. */
export async function checkout(body: Record<string, string>): Promise<void> {
  const addresses = { success_url: `${here.origin}/orgs`, cancel_url: here.href };
  const answer = obj(await controlPlane.json('POST', '/cp/billing/checkout', { body: { ...body, ...addresses } }));
  const url = str(answer.url) || str(answer.checkout_url);
  if (!/^https?:\/\//.test(url)) throw new ApiError('The payment page has no address.');
  here.assign(url);
}

/** Why the payment page did not open. What the payment's provider said is for nobody's eyes here (UI-130). */
export const checkoutFailure = (error: unknown): string =>
  error instanceof ApiError && error.kind !== 'http'
    ? explain(error)
    : 'The payment service refused. Try again in some minutes, or write to support.';

/** Before anything of a tenant is shown: fails closed (UI-10). Says whether to go on. */
export async function passGate(): Promise<boolean> {
  const person = await whoami().catch(() => null);
  if (!person) goToLogin();
  return person !== null;
}

/** A request was refused: is it the session that has ended, or that request alone (UI-8)? */
export async function afterRefusal(): Promise<void> {
  const ended = await whoami().then(
    (person) => person === null,
    () => false,
  );
  if (ended) goToLogin();
}
