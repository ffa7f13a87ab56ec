import { useQueryClient } from '@tanstack/react-query';
import { Check } from 'lucide-react';
import { useState } from 'react';
import { envNames, putSecret } from '../actions';
import { http, reload } from '../app';
import type { ImportedOrg, OrgTemplate } from '../lib/api';
import { ApiError, explain, IMPORT_TIMEOUT_MS } from '../lib/http';
import { obj } from '../lib/json';
import { count } from '../lib/text';
import { runtimesOf } from './models';
import { useGlobalSecrets, useTemplates } from '../panel/queries';
import { Field, FormError, Loading } from '../ui/bits';
import { Modal } from '../ui/Modal';
import { focusOn, openPanel, toast } from '../ui/store';

/** Importing an organisation: first its credentials, then the org (UI-73, UI-74). */
export function ImportDialog({ template, onClose }: { template: OrgTemplate; onClose: () => void }) {
  const secrets = useGlobalSecrets();
  const templates = useTemplates();
  const client = useQueryClient();
  const [refused, setRefused] = useState<string[][]>([]);
  const [runtime, setRuntime] = useState('');
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  // A list that cannot be read counts as nothing stored (UI-72).
  const stored = new Set((secrets.data ?? []).filter((secret) => secret.has_value).map((secret) => secret.key));
  const demo = runtime === 'echo';
  const required = [...envNames(template.required_env), ...refused].filter(
    (group, index, all) => all.findIndex((other) => other.join() === group.join()) === index,
  );
  const recommended = envNames(template.recommended_env);
  const open = required.filter((group) => !group.some((key) => stored.has(key)));
  const wished = recommended.filter((group) => !group.some((key) => stored.has(key)));
  const refresh = () => client.invalidateQueries({ queryKey: ['secrets'] });

  const run = async () => {
    setBusy(true);
    setError(null);
    try {
      const body = { dir: template.dir, ...(runtime ? { runtime } : {}) };
      const done = (await http.json('POST', '/org/import', { body, timeoutMs: IMPORT_TIMEOUT_MS })) as ImportedOrg;
      await reload();
      const first = done.workspaces[0];
      if (done.error)
        toast('error', `Only ${count(done.count, 'workspace')} of “${done.org}” could be created: ${done.error}`);
      else toast('success', `“${done.org}” imported: ${count(done.count, 'workspace')}`);
      onClose();
      if (first) openPanel(first.id, 'chat');
      focusOn(done.workspaces.map((each) => each.id));
    } catch (thrown) {
      if (thrown instanceof ApiError && thrown.status === 412) {
        const body = obj(thrown.body);
        const missing = envNames(body.missing_env);
        setRefused(missing);
        const names = missing.map((group) => group.join(' or ')).join(', ');
        setError(`${explain(thrown)} Missing: ${names}. Store what is missing above, then import again.`);
        await refresh();
      } else {
        setError(thrown);
      }
      setBusy(false);
    }
  };

  return (
    <Modal
      title={`Import “${template.name}”`}
      description={template.description}
      onClose={onClose}
      footer={
        <>
          <button type="button" className="btn" onClick={onClose}>
            Cancel
          </button>
          <button
            type="button"
            className="btn btn-primary"
            disabled={busy || secrets.isPending || (open.length > 0 && !demo)}
            onClick={() => void run()}
          >
            {busy ? 'Importing…' : `Import ${count(template.workspaces, 'workspace')}`}
          </button>
        </>
      }
    >
      <div className="space-y-4">
        {secrets.isPending && <Loading what="what is stored already" />}
        {required.length > 0 && (
          <section aria-labelledby="required-title">
            <h3 id="required-title" className="mb-2 text-[13px] font-semibold">
              Required{' '}
              <span className="text-ink-3">
                {demo ? '(not by demo agents)' : open.length > 0 ? `${open.length} missing` : 'all there'}
              </span>
            </h3>
            <Keys groups={required} stored={stored} onStored={refresh} />
          </section>
        )}
        {recommended.length > 0 && (
          <section aria-labelledby="recommended-title">
            <h3 id="recommended-title" className="mb-2 text-[13px] font-semibold">
              Recommended{' '}
              <span className="text-ink-3">{wished.length > 0 ? `${wished.length} missing` : 'all there'}</span>
            </h3>
            <Keys groups={recommended} stored={stored} onStored={refresh} />
          </section>
        )}
        <Field
          label="Run everybody on"
          hint={
            demo
              ? 'Demo agents answer without a model and need no credentials: good for a first look.'
              : 'As the template says, unless you choose one runtime for all.'
          }
        >
          {(ids) => (
            <select {...ids} className="field" value={runtime} onChange={(event) => setRuntime(event.target.value)}>
              <option value="">What the template says</option>
              {runtimesOf(templates.data).map((each) => (
                <option key={each} value={each}>
                  {each === 'echo' ? 'echo (demo agents)' : each}
                </option>
              ))}
            </select>
          )}
        </Field>
        <FormError error={error} />
      </div>
    </Modal>
  );
}

function Keys({
  groups,
  stored,
  onStored,
}: {
  groups: readonly string[][];
  stored: ReadonlySet<string>;
  onStored: () => Promise<unknown>;
}) {
  return (
    <ul className="space-y-2">
      {groups.map((group) => (
        <li key={group.join()} className="rounded-xl border border-line p-3">
          {group.length > 1 && <p className="mb-1.5 text-[12px] text-ink-3">One of these is enough</p>}
          <div className="space-y-2">
            {group.map((key) => (
              <Key key={key} name={key} stored={stored.has(key)} onStored={onStored} />
            ))}
          </div>
        </li>
      ))}
    </ul>
  );
}

function Key({ name, stored, onStored }: { name: string; stored: boolean; onStored: () => Promise<unknown> }) {
  const [value, setValue] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  if (stored) {
    return (
      <p className="flex items-center gap-2 font-mono text-[12.5px]">
        <Check size={14} className="text-good" aria-hidden /> {name}{' '}
        <span className="font-sans text-ink-3">stored</span>
      </p>
    );
  }
  const save = async (event: React.FormEvent) => {
    event.preventDefault();
    if (busy || !value) return;
    setBusy(true);
    setError(null);
    try {
      await putSecret(null, name, value);
      setValue('');
      await onStored();
    } catch (thrown) {
      setError(thrown);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void save(event)}>
      <Field label={name}>
        {(ids) => (
          <div className="flex gap-2">
            <input
              {...ids}
              className="field font-mono"
              type="password"
              autoComplete="new-password"
              value={value}
              onChange={(event) => setValue(event.target.value)}
            />
            <button type="submit" className="btn h-9" disabled={!value || busy}>
              {busy ? 'Storing…' : 'Store'}
            </button>
          </div>
        )}
      </Field>
      <FormError error={error} />
    </form>
  );
}
