import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { explain } from '../lib/http';
import { isObj, list, num, obj, str } from '../lib/json';
import { cut } from '../lib/text';
import { Failed, Field, FormError, Loading } from '../ui/bits';
import { toast } from '../ui/store';
import { SLUG, slugFrom, tenantOrigin } from './host';
import { begin, Page } from './page';
import { checkout, checkoutFailure, controlPlane, goToLogin, whoami } from './session';

/** Milliseconds between two looks while something is on its way (UI-137). */
const WATCH_MS = 5_000;
const SUPPORT = 'mailto:support@moleculesai.app';

interface Org {
  slug: string;
  name: string;
  status: string;
  credits: number | null;
}

/** Organisations of an answer, whatever it is wrapped in. */
function orgsOf(answer: unknown): Org[] {
  const rows = Array.isArray(answer) ? answer : list(obj(answer).orgs);
  return rows
    .filter(isObj)
    .map((row) => ({
      slug: str(row.slug),
      name: str(row.name) || str(row.slug),
      status: str(row.status),
      credits: num(row.credits_balance) ?? num(row.credits),
    }))
    .filter((org) => SLUG.test(org.slug));
}

const underWay = (org: Org) => org.status === 'provisioning' || org.status === 'awaiting_payment';

const STATES: Record<string, readonly [label: string, tone: string]> = {
  running: ['Running', 'tone-green'],
  provisioning: ['Being set up', 'tone-blue'],
  awaiting_payment: ['Awaiting payment', 'tone-amber'],
  failed: ['Could not be set up', 'tone-red'],
  suspended: ['Suspended', 'tone-indigo'],
};

function Orgs() {
  const person = useQuery({
    queryKey: ['me'],
    queryFn: async () => {
      const me = await whoami();
      if (!me) goToLogin();
      return me;
    },
  });
  if (person.isError)
    return (
      <Page title="Your organisations" intro="Each has its own canvas, agents and bill.">
        <Failed what="Who you are" error={person.error} retry={() => void person.refetch()} />
      </Page>
    );
  // Nobody: the browser is on its way to the login page.
  if (!person.data) return <Loading what="your account" />;
  return (
    <Page
      title="Your organisations"
      intro="Each has its own canvas, its own agents and its own bill."
      aside={<p className="text text-[13px] text-ink-3">{cut(person.data.email, 80)}</p>}
    >
      <Terms>
        <List />
      </Terms>
    </Page>
  );
}

/** Nothing before the terms of the day are accepted. */
function Terms({ children }: { children: React.ReactNode }) {
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const terms = useQuery({
    queryKey: ['terms'],
    queryFn: async () => obj(await controlPlane.json('GET', '/cp/auth/terms-status')),
  });
  if (terms.isPending) return <Loading what="the terms" />;
  if (terms.isError) return <Failed what="The terms" error={terms.error} retry={() => void terms.refetch()} />;
  if (terms.data.accepted === true) return children;
  const version = str(terms.data.current_version) || str(terms.data.version);
  const accept = async () => {
    setBusy(true);
    setError(null);
    try {
      await controlPlane.json('POST', '/cp/auth/accept-terms', { body: version ? { version } : {} });
      await client.invalidateQueries({ queryKey: ['terms'] });
    } catch (thrown) {
      setError(`The terms were not accepted. ${explain(thrown)}`);
    } finally {
      setBusy(false);
    }
  };
  return (
    <section className="max-w-xl space-y-4 rounded-2xl border border-line bg-surface p-5" aria-labelledby="terms-title">
      <h2 id="terms-title" className="text-[16px] font-semibold">
        Before you begin
      </h2>
      <p className="text-[14px] text-ink-2">
        Please read the{' '}
        <a className="link" href="/cp/legal/terms" target="_blank" rel="noopener noreferrer">
          terms of service
        </a>{' '}
        and the{' '}
        <a className="link" href="/cp/legal/privacy" target="_blank" rel="noopener noreferrer">
          privacy notice
        </a>
        {version && ` (version ${cut(version, 40)})`}.
      </p>
      <FormError error={error} />
      <button type="button" className="btn btn-primary h-9" disabled={busy} onClick={() => void accept()}>
        {busy ? 'Accepting…' : 'I accept them'}
      </button>
    </section>
  );
}

function List() {
  const orgs = useQuery({
    queryKey: ['orgs'],
    queryFn: async () => orgsOf(await controlPlane.json('GET', '/cp/orgs')),
    refetchInterval: ({ state }) => (state.data?.some(underWay) ? WATCH_MS : false),
  });
  return (
    <div className="space-y-8">
      {orgs.isPending && <Loading what="your organisations" />}
      {orgs.isError && <Failed what="Your organisations" error={orgs.error} retry={() => void orgs.refetch()} />}
      {orgs.data?.length === 0 && (
        <p className="text-[14px] text-ink-2">You have none yet. Name the first one below.</p>
      )}
      <ul className="grid gap-3 sm:grid-cols-2 empty:hidden" aria-label="Organisations">
        {orgs.data?.map((org) => (
          <Card key={org.slug} org={org} />
        ))}
      </ul>
      <NewOrg />
      <p className="max-w-2xl text-[12.5px] text-ink-3">
        Where the data is: what an organisation stores stays in the region in which it was set up. Agents send to the
        model’s provider what you and they tell them; nobody else gets it from us.
      </p>
    </div>
  );
}

function Card({ org }: { org: Org }) {
  const [label, tone] = STATES[org.status] ?? [org.status.replaceAll('_', ' ') || 'Unknown', 'tone-grey'];
  return (
    <li className="flex flex-col gap-3 rounded-2xl border border-line bg-surface p-4 shadow-card">
      <div className="flex items-start gap-2">
        <div className="min-w-0 flex-1">
          <h2 className="text truncate text-[15px] font-semibold" title={org.name}>
            {cut(org.name, 60)}
          </h2>
          <p className="font-mono text-[12px] text-ink-3">{org.slug}</p>
        </div>
        <span className={`pill border-transparent bg-(--tone)/12 text-(--tone) ${tone}`} role="status">
          {label}
        </span>
      </div>
      <div className="mt-auto flex items-center gap-2">
        <Action org={org} />
        {org.credits !== null && (
          <span className={`pill ml-auto ${org.credits <= 0 ? 'text-bad' : ''}`} title="Credits left">
            {org.credits.toLocaleString()} credits
          </span>
        )}
      </div>
    </li>
  );
}

/** What there is to do, by what the organisation is waiting for. */
function Action({ org }: { org: Org }) {
  const [busy, setBusy] = useState(false);
  if (org.status === 'running') {
    return (
      <a className="btn btn-primary" href={tenantOrigin(org.slug, window.location, import.meta.env)}>
        Open
      </a>
    );
  }
  if (org.status === 'provisioning') return <p className="text-[13px] text-ink-2">Ready within some minutes.</p>;
  if (org.status === 'awaiting_payment') {
    const pay = async () => {
      setBusy(true);
      try {
        await checkout({ org_slug: org.slug });
      } catch (thrown) {
        toast('error', `The payment of “${cut(org.name, 40)}” could not be begun. ${checkoutFailure(thrown)}`);
        setBusy(false);
      }
    };
    return (
      <button type="button" className="btn btn-primary" disabled={busy} onClick={() => void pay()}>
        {busy ? 'Opening…' : 'Complete payment'}
      </button>
    );
  }
  return (
    <a className="btn" href={`${SUPPORT}?subject=${encodeURIComponent(`Organisation ${org.slug}`)}`}>
      Contact support
    </a>
  );
}

function NewOrg() {
  const client = useQueryClient();
  const [name, setName] = useState('');
  const [slug, setSlug] = useState('');
  const [own, setOwn] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const chosen = own ? slug : slugFrom(name);
  const valid = SLUG.test(chosen);
  const submit = async (event: React.FormEvent) => {
    event.preventDefault();
    if (!valid || busy) return;
    setBusy(true);
    setError(null);
    try {
      await controlPlane.json('POST', '/cp/orgs', { body: { slug: chosen, name: name.trim() || chosen } });
      setName('');
      setSlug('');
      setOwn(false);
      await client.invalidateQueries({ queryKey: ['orgs'] });
    } catch (thrown) {
      setError(`“${cut(name || chosen, 40)}” was not created. ${explain(thrown)}`);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      className="max-w-xl space-y-4 rounded-2xl border border-line bg-surface p-5"
      aria-labelledby="new-title"
      onSubmit={(event) => void submit(event)}
    >
      <h2 id="new-title" className="text-[16px] font-semibold">
        New organisation
      </h2>
      <Field label="Name">
        {(ids) => (
          <input
            {...ids}
            className="field"
            dir="auto"
            value={name}
            maxLength={120}
            placeholder="Acme"
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <Field
        label="Address"
        hint={
          chosen && !valid
            ? '3 to 32 characters: a letter first, then letters, digits and hyphens, all in lower case.'
            : chosen
              ? `${tenantOrigin(chosen, window.location, import.meta.env)} cannot be changed later.`
              : 'Where its canvas will be.'
        }
      >
        {(ids) => (
          <input
            {...ids}
            className="field font-mono"
            value={chosen}
            maxLength={32}
            spellCheck={false}
            autoCapitalize="off"
            aria-invalid={Boolean(chosen) && !valid}
            onChange={(event) => {
              setOwn(true);
              setSlug(event.target.value.toLowerCase());
            }}
          />
        )}
      </Field>
      <FormError error={error} />
      <button type="submit" className="btn btn-primary h-9" disabled={!valid || busy}>
        {busy ? 'Creating…' : 'Create'}
      </button>
    </form>
  );
}

begin(<Orgs />);
