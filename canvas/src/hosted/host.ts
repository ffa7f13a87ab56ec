/** Whose host this is (UI-4): a tenant's, the one where people see to their organisations, or somebody's own server. */

export interface Env {
  /** Ending of the hosts of tenants. */
  NEXT_PUBLIC_SAAS_HOST_SUFFIX?: string;
  /** Tenant of a host that names none. */
  NEXT_PUBLIC_DEFAULT_ORG_SLUG?: string;
}

const SUFFIX = '.moleculesai.app';
/** First labels that name no tenant. */
const RESERVED = new Set(['app', 'www', 'api', 'admin', 'cp', 'dashboard', 'billing', 'status', 'docs']);

const suffixOf = (env: Env): string => env.NEXT_PUBLIC_SAAS_HOST_SUFFIX || SUFFIX;

/** The tenant; null where there is none. A tenant makes it SaaS mode. */
export function slugOf(hostname: string, env: Env): string | null {
  const suffix = suffixOf(env);
  const first = hostname.toLowerCase().endsWith(suffix) ? hostname.toLowerCase().slice(0, -suffix.length) : '';
  const label = first.split('.')[0] ?? '';
  if (label && !RESERVED.has(label)) return label;
  return env.NEXT_PUBLIC_DEFAULT_ORG_SLUG || null;
}

/** Whether this host is one of the hosted product, a tenant's or not. */
export const isHosted = (hostname: string, env: Env): boolean =>
  slugOf(hostname, env) !== null || hostname.toLowerCase().endsWith(suffixOf(env));

/** Origin at which people sign in and see to their organisations. */
export function appOrigin(location: Pick<Location, 'protocol' | 'hostname' | 'port'>, env: Env): string {
  const suffix = suffixOf(env);
  const port = location.port ? `:${location.port}` : '';
  const host = location.hostname.toLowerCase().endsWith(suffix) ? `app${suffix}` : location.hostname;
  return `${location.protocol}//${host}${port}`;
}

/** Origin of a tenant's canvas. */
export function tenantOrigin(
  slug: string,
  location: Pick<Location, 'protocol' | 'hostname' | 'port'>,
  env: Env,
): string {
  const port = location.port ? `:${location.port}` : '';
  return `${location.protocol}//${slug}${suffixOf(env)}${port}`;
}

/** Where to sign in, and come back from. */
export const loginAddress = (location: Location, env: Env): string =>
  `${appOrigin(location, env)}/cp/auth/login?return_to=${encodeURIComponent(location.href)}`;

/** Short words for URLs: what the control plane takes as one (UI-137). */
export const SLUG = /^[a-z][a-z0-9-]{2,31}$/;

/** What somebody calls their organisation, as a slug to begin with. */
export const slugFrom = (name: string): string =>
  name
    .normalize('NFKD')
    .replaceAll(/\p{M}+/gu, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^[^a-z]+|-+$/g, '')
    .slice(0, 32);
