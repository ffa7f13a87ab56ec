import { useState } from 'react';
import { nameOf, noticeGone, patch, type Patch } from '../actions';
import { http, reload } from '../app';
import { serves, type Workspace } from '../lib/api';
import { tamed } from '../lib/bounded';
import { list, obj, str } from '../lib/json';
import { centsOf, cut, dollars, duration } from '../lib/text';
import { Empty, FactList, Failed, Field, FormError, Loading, CopyButton } from '../ui/bits';
import { StatusMark } from '../ui/StatusMark';
import { openPanel, toast } from '../ui/store';
import { usePeers } from './queries';

export default function DetailsTab({ workspace }: { workspace: Workspace }) {
  return (
    <div className="min-h-0 flex-1 space-y-6 overflow-y-auto p-4">
      <Edit key={workspace.id} workspace={workspace} />
      <Facts workspace={workspace} />
      {serves('PATCH /workspaces/{id}/budget') && <Budget key={`budget-${workspace.id}`} workspace={workspace} />}
      <Skills workspace={workspace} />
      <Peers workspace={workspace} />
    </div>
  );
}

function Edit({ workspace }: { workspace: Workspace }) {
  const [name, setName] = useState(workspace.name);
  const [role, setRole] = useState(workspace.role ?? '');
  const [tier, setTier] = useState(workspace.tier);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  // Only what was changed is sent (UI-113).
  const changes: Patch = {
    ...(name.trim() !== workspace.name ? { name: name.trim() } : {}),
    ...(role.trim() !== (workspace.role ?? '') ? { role: role.trim() || null } : {}),
    ...(tier !== workspace.tier ? { tier } : {}),
  };
  const changed = Object.keys(changes).length > 0;
  const save = async (event: React.FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await patch(workspace.id, changes);
      await reload();
      toast('success', 'Saved');
    } catch (thrown) {
      if (!noticeGone(workspace.id, thrown)) setError(thrown);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form className="space-y-3" onSubmit={(event) => void save(event)}>
      <Field label="Name">
        {(ids) => (
          <input
            {...ids}
            className="field"
            dir="auto"
            value={name}
            maxLength={255}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <Field label="Role" hint="What this workspace is there for. Its peers read it.">
        {(ids) => (
          <textarea
            {...ids}
            className="field"
            dir="auto"
            rows={3}
            value={role}
            maxLength={1_000}
            onChange={(event) => setRole(event.target.value)}
          />
        )}
      </Field>
      <Field label="Tier" hint="Privilege and size class. A new tier holds from the next start on.">
        {(ids) => (
          <select {...ids} className="field" value={tier} onChange={(event) => setTier(Number(event.target.value))}>
            {[1, 2, 3, 4].map((each) => (
              <option key={each} value={each}>
                T{each}
              </option>
            ))}
          </select>
        )}
      </Field>
      <FormError error={error} />
      <button type="submit" className="btn btn-primary" disabled={!changed || busy || !name.trim()}>
        {busy ? 'Saving…' : 'Save'}
      </button>
    </form>
  );
}

function Facts({ workspace }: { workspace: Workspace }) {
  const { budget_limit: limit, monthly_spend: spend } = workspace;
  const facts: [string, React.ReactNode][] = [
    ['Reports to', workspace.parent_id ? <Link id={workspace.parent_id} /> : 'nobody'],
    ['Runtime', workspace.runtime || 'claude-code'],
    ['Delivery', workspace.delivery_mode ?? 'push'],
    ['Running tasks', `${workspace.active_tasks} of ${workspace.max_concurrent_tasks} at once`],
    ['Up for', workspace.uptime_seconds > 0 ? duration(workspace.uptime_seconds * 1_000) : '–'],
    ['Failed requests', `${Math.round(workspace.last_error_rate * 100)} %`],
    ['Spent this month', typeof limit === 'number' ? `${dollars(spend)} of ${dollars(limit)}` : dollars(spend)],
    ['Address', workspace.url || '–'],
    ['Directory', workspace.workspace_dir ?? '–'],
  ];
  const used = typeof limit === 'number' && limit > 0 ? Math.min(100, (spend / limit) * 100) : null;
  return (
    <section aria-labelledby="facts-title">
      <h3 id="facts-title" className="mb-2 text-[13px] font-semibold">
        State
      </h3>
      <FactList facts={facts} />
      {used !== null && (
        <div
          className="mt-2 h-1.5 overflow-hidden rounded-full bg-surface-3"
          role="meter"
          aria-label="Budget used this month"
          aria-valuenow={Math.round(used)}
          aria-valuemin={0}
          aria-valuemax={100}
        >
          <div className={`h-full ${used >= 100 ? 'bg-bad' : 'bg-accent'}`} style={{ width: `${used}%` }} />
        </div>
      )}
      <p className="mt-3 flex items-center gap-2 text-[12px] text-ink-3">
        <code className="font-mono">{workspace.id}</code> <CopyButton text={workspace.id} label="Copy id" />
      </p>
    </section>
  );
}

/** What it may spend in a month (UI-101): empty is no limit, 0 is nothing. */
function Budget({ workspace }: { workspace: Workspace }) {
  const { budget_limit: limit, monthly_spend: spend } = workspace;
  const stored = typeof limit === 'number' ? String(limit / 100) : '';
  const [text, setText] = useState(stored);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const cents = centsOf(text);
  const save = async (event: React.FormEvent) => {
    event.preventDefault();
    if (cents === undefined) {
      setError('Write an amount of dollars, such as 20 or 0.50; or nothing, for no limit.');
      return;
    }
    setBusy(true);
    setError(null);
    try {
      await http.json('PATCH', `/workspaces/${workspace.id}/budget`, { body: { budget_limit: cents } });
      await reload();
      toast('success', cents === null ? 'Saved: no limit' : `Saved: ${dollars(cents)} a month`);
    } catch (thrown) {
      setError(thrown);
    } finally {
      setBusy(false);
    }
  };
  return (
    <section aria-labelledby="budget-title">
      <h3 id="budget-title" className="mb-2 text-[13px] font-semibold">
        Budget
      </h3>
      {typeof limit === 'number' && spend >= limit && (
        <p className="notice notice-bad mb-3" role="alert">
          Budget exceeded: it gets no messages until the limit is raised or the month ends.
        </p>
      )}
      <form className="space-y-3" onSubmit={(event) => void save(event)} noValidate>
        <Field label="Dollars a month" hint="Empty is no limit. Once so much is spent, it gets no messages.">
          {(ids) => (
            <input
              {...ids}
              className="field max-w-40"
              inputMode="decimal"
              value={text}
              placeholder="no limit"
              onChange={(event) => setText(event.target.value)}
            />
          )}
        </Field>
        <FormError error={error} />
        <button type="submit" className="btn" disabled={busy || text.trim() === stored}>
          {busy ? 'Saving…' : 'Set the budget'}
        </button>
      </form>
    </section>
  );
}

function Link({ id }: { id: string }) {
  return (
    <button type="button" className="link" onClick={() => openPanel(id)}>
      {cut(nameOf(id), 60)}
    </button>
  );
}

function Skills({ workspace }: { workspace: Workspace }) {
  const skills = list(obj(workspace.agent_card).skills).map(obj);
  return (
    <section aria-labelledby="skills-title">
      <h3 id="skills-title" className="mb-2 text-[13px] font-semibold">
        Skills
      </h3>
      {skills.length === 0 && <p className="text-[13px] text-ink-3">Its card names none.</p>}
      <ul className="space-y-2">
        {skills.slice(0, 40).map((skill, index) => (
          <li key={`${index}:${str(skill.id)}`} className="text-[13px]">
            <p className="text font-medium">{tamed(cut(str(skill.name) || str(skill.id), 80))}</p>
            <p className="text line-clamp-3 text-ink-2">{tamed(cut(str(skill.description), 400))}</p>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Peers({ workspace }: { workspace: Workspace }) {
  const there = workspace.status === 'online' || workspace.status === 'degraded';
  const peers = usePeers(workspace.id, there);
  return (
    <section aria-labelledby="peers-title">
      <h3 id="peers-title" className="mb-2 text-[13px] font-semibold">
        May talk to
      </h3>
      {!there && <p className="text-[13px] text-ink-3">Known while the agent is online.</p>}
      {there && peers.isPending && <Loading what="its peers" />}
      {peers.isError && <Failed what="Its peers" error={peers.error} retry={() => void peers.refetch()} />}
      {peers.data?.length === 0 && <Empty>Nobody: it stands alone in the chart.</Empty>}
      <ul className="space-y-1">
        {peers.data?.map((peer) => (
          <li key={peer.id}>
            <button
              type="button"
              className="flex w-full items-center gap-2 rounded-lg px-2 py-1.5 text-left hover:bg-surface-2"
              onClick={() => openPanel(peer.id)}
            >
              <StatusMark status={peer.status} />
              <span className="min-w-0 flex-1 truncate text-[13px] font-medium">{tamed(peer.name)}</span>
              <span className="min-w-0 max-w-[50%] truncate text-[12px] text-ink-3">{tamed(peer.role ?? '')}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
