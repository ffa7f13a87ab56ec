import { useQuery } from '@tanstack/react-query';
import { ArrowRight, Plus, Sparkles } from 'lucide-react';
import { useState } from 'react';
import { createWorkspace } from '../actions';
import { http } from '../app';
import type { OrgTemplate, Template } from '../lib/api';
import { count } from '../lib/text';
import { Failed, Loading } from '../ui/bits';
import { explain } from '../lib/http';
import { Logo } from '../ui/Logo';
import { showDialog, toast } from '../ui/store';

/** The first thing a newcomer sees: how to get an organisation. */
export function EmptyState() {
  const orgs = useQuery({
    queryKey: ['org-templates'],
    queryFn: async () => (await http.json('GET', '/org/templates')) as OrgTemplate[],
    // The smallest first: it is the one to begin with.
    select: (all) => [...all].sort((a, b) => a.workspaces - b.workspaces),
  });
  const templates = useQuery({
    queryKey: ['templates'],
    queryFn: async () => (await http.json('GET', '/templates')) as Template[],
  });
  const [busy, setBusy] = useState(false);
  const blank = async () => {
    setBusy(true);
    try {
      await createWorkspace({ name: 'My First Agent', tier: 2, canvas: { x: 60, y: 60 } });
    } catch (error) {
      toast('error', `The workspace was not created. ${explain(error)}`);
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="grid h-full place-items-center overflow-y-auto p-8">
      <div className="w-full max-w-3xl">
        <Logo size={44} />
        <h2 className="mt-5 text-3xl font-semibold tracking-tight text-balance">Build your first organisation</h2>
        <p className="mt-2 max-w-xl text-[15px] text-ink-2">
          A workspace is a role in an org chart, and an agent fills it. Start with a ready-made team, watch its members
          delegate, then change what you like.
        </p>
        <section className="mt-8" aria-labelledby="orgs-title">
          <h3 id="orgs-title" className="mb-2 text-[13px] font-semibold text-ink-2">
            Ready-made organisations
          </h3>
          {orgs.isPending && <Loading what="templates" />}
          {orgs.isError && <Failed what="The templates" error={orgs.error} retry={() => void orgs.refetch()} />}
          {orgs.data?.length === 0 && <p className="text-[13px] text-ink-3">This server has none.</p>}
          <ul className="grid gap-3 sm:grid-cols-2">
            {orgs.data?.map((one) => (
              <li key={one.dir}>
                <button
                  type="button"
                  className="group flex h-full w-full flex-col rounded-2xl border border-line bg-surface p-4 text-left shadow-card transition-colors hover:border-accent"
                  onClick={() => showDialog({ kind: 'import', template: one })}
                >
                  <span className="flex items-center gap-2 text-[15px] font-semibold tracking-tight">
                    <Sparkles size={16} className="text-accent" aria-hidden /> {one.name}
                    <ArrowRight
                      size={15}
                      className="ml-auto text-ink-3 transition-transform group-hover:translate-x-0.5"
                      aria-hidden
                    />
                  </span>
                  <span className="text mt-1 line-clamp-3 text-[13px] text-ink-2">{one.description}</span>
                  <span className="mt-auto pt-3 text-[12px] text-ink-3">{count(one.workspaces, 'workspace')}</span>
                </button>
              </li>
            ))}
          </ul>
        </section>
        <section className="mt-7" aria-labelledby="single-title">
          <h3 id="single-title" className="mb-2 text-[13px] font-semibold text-ink-2">
            Or one workspace at a time
          </h3>
          <div className="flex flex-wrap gap-2">
            <button type="button" className="btn btn-primary" disabled={busy} onClick={() => void blank()}>
              <Plus size={15} aria-hidden /> {busy ? 'Creating…' : 'Create blank workspace'}
            </button>
            {templates.data?.map((one) => (
              <button
                key={one.id}
                type="button"
                className="btn"
                disabled={busy}
                title={one.description}
                onClick={() => showDialog({ kind: 'create', template: one.id })}
              >
                {one.name}
              </button>
            ))}
          </div>
          {templates.isError && (
            <Failed what="The workspace templates" error={templates.error} retry={() => void templates.refetch()} />
          )}
        </section>
      </div>
    </div>
  );
}
