import { useState } from 'react';
import { createWorkspace, nameOf, putSecret } from '../actions';
import { useGlobalSecrets, useTemplates } from '../panel/queries';
import { cut } from '../lib/text';
import { useOrg } from '../store/org';
import { Field, FormError, Loading } from '../ui/bits';
import { Modal } from '../ui/Modal';
import { showDialog, toast } from '../ui/store';
import { envOptions, isConfigured, providersOf, runtimesOf } from './models';
import { explain } from '../lib/http';

/** One new workspace: managed here, or connected from outside (UI-65). */
export function CreateDialog({
  parent,
  template: preset,
  onClose,
}: {
  parent: string | null;
  template: string;
  onClose: () => void;
}) {
  const byId = useOrg((state) => state.byId);
  const templates = useTemplates();
  const secrets = useGlobalSecrets();
  const [name, setName] = useState('');
  const [role, setRole] = useState('');
  const [external, setExternal] = useState(false);
  const [poll, setPoll] = useState(true);
  const [url, setUrl] = useState('');
  const [template, setTemplate] = useState(preset);
  const [runtime, setRuntime] = useState('');
  const [model, setModel] = useState('');
  const [tier, setTier] = useState(0);
  const [under, setUnder] = useState(parent ?? '');
  const [budget, setBudget] = useState('');
  const [keys, setKeys] = useState<Record<string, string>>({});
  const [everywhere, setEverywhere] = useState(true);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);

  const chosen = templates.data?.find((each) => each.id === template);
  const models = (chosen?.models ?? []).map((each) => each.id ?? '').filter(Boolean);
  const stored = new Set((secrets.data ?? []).filter((secret) => secret.has_value).map((secret) => secret.key));
  const all = external ? [] : envOptions(chosen);
  const options = model ? all.filter((option) => option.models.length === 0 || option.models.includes(model)) : all;
  const filled = new Set([
    ...stored,
    ...Object.entries(keys)
      .filter(([, value]) => value)
      .map(([key]) => key),
  ]);
  const ready = isConfigured(options, filled);
  const missing = [...new Set(options.flatMap((option) => option.keys))].filter((key) => !stored.has(key));

  const submit = async (event: React.FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const typed = Object.fromEntries(missing.filter((key) => keys[key]).map((key) => [key, keys[key] ?? '']));
      if (everywhere) for (const [key, value] of Object.entries(typed)) await putSecret(null, key, value);
      const cents = budget.trim() ? Math.round(Number(budget) * 100) : null;
      const created = await createWorkspace({
        name: name.trim(),
        ...(role.trim() ? { role: role.trim() } : {}),
        ...(under ? { parent_id: under } : {}),
        ...(tier ? { tier } : {}),
        ...(cents === null ? {} : { budget_limit: cents }),
        ...(external
          ? {
              runtime: 'external',
              external: true,
              delivery_mode: poll ? 'poll' : 'push',
              ...(poll || !url.trim() ? {} : { url: url.trim() }),
            }
          : {
              ...(template ? { template } : {}),
              ...(runtime ? { runtime } : {}),
              // A chosen model is always sent: else every restart falls back to the template's (UI-68).
              ...(model ? { model } : {}),
              ...(!everywhere && Object.keys(typed).length > 0
                ? { secrets: typed as unknown as Record<string, never> }
                : {}),
            }),
      });
      if (created.connection) showDialog({ kind: 'connect', name: name.trim(), connection: created.connection });
      else {
        toast('success', `“${cut(name.trim(), 40)}” is starting`);
        onClose();
      }
    } catch (thrown) {
      setError(explain(thrown));
      setBusy(false);
    }
  };

  return (
    <Modal
      title="New workspace"
      description="A role in your organisation, and the agent that fills it."
      onClose={onClose}
    >
      <form className="space-y-4" onSubmit={(event) => void submit(event)}>
        <div
          className="grid grid-cols-2 gap-1 rounded-xl bg-surface-2 p-1"
          role="radiogroup"
          aria-label="Where the agent runs"
        >
          {[false, true].map((each) => (
            <label
              key={String(each)}
              className={`cursor-pointer rounded-lg px-3 py-1.5 text-center text-[13px] font-medium has-focus-visible:outline-2 has-focus-visible:outline-(--focus) ${external === each ? 'bg-surface shadow-card' : 'text-ink-2'}`}
            >
              <input
                type="radio"
                className="sr-only"
                name="place"
                checked={external === each}
                onChange={() => setExternal(each)}
              />
              {each ? 'External agent' : 'Run it here'}
            </label>
          ))}
        </div>
        <Field label="Name">
          {(ids) => (
            <input
              {...ids}
              className="field"
              autoFocus
              dir="auto"
              value={name}
              maxLength={255}
              placeholder="Researcher"
              onChange={(event) => setName(event.target.value)}
            />
          )}
        </Field>
        <Field label="Role" hint="What it is there for. The agent and its peers read it.">
          {(ids) => (
            <textarea
              {...ids}
              className="field"
              dir="auto"
              rows={2}
              maxLength={1_000}
              value={role}
              placeholder="Finds and checks sources"
              onChange={(event) => setRole(event.target.value)}
            />
          )}
        </Field>
        <Field label="Reports to">
          {(ids) => (
            <select {...ids} className="field" value={under} onChange={(event) => setUnder(event.target.value)}>
              <option value="">Nobody: a root of the chart</option>
              {[...byId.values()].map((row) => (
                <option key={row.id} value={row.id}>
                  {cut(nameOf(row.id), 60)}
                </option>
              ))}
            </select>
          )}
        </Field>
        {external ? (
          <External poll={poll} setPoll={setPoll} url={url} setUrl={setUrl} />
        ) : (
          <>
            <Field label="Template" hint={chosen?.description || 'Brings a prompt, skills and settings.'}>
              {(ids) => (
                <select
                  {...ids}
                  className="field"
                  value={template}
                  onChange={(event) => {
                    setTemplate(event.target.value);
                    setModel('');
                  }}
                >
                  <option value="">None</option>
                  {templates.data?.map((each) => (
                    <option key={each.id} value={each.id}>
                      {each.name}
                    </option>
                  ))}
                </select>
              )}
            </Field>
            {templates.isPending && <Loading what="the templates" />}
            <div className="grid grid-cols-2 gap-3">
              <Field label="Runtime" hint={runtime === 'echo' ? 'A demo: answers without a model.' : undefined}>
                {(ids) => (
                  <select
                    {...ids}
                    className="field"
                    value={runtime}
                    onChange={(event) => setRuntime(event.target.value)}
                  >
                    <option value="">
                      {template ? `Template’s (${chosen?.runtime || 'claude-code'})` : 'claude-code'}
                    </option>
                    {runtimesOf(templates.data).map((each) => (
                      <option key={each} value={each}>
                        {each}
                      </option>
                    ))}
                  </select>
                )}
              </Field>
              <Field label="Model" hint={providersOf(chosen ? [chosen] : []).join(', ') || undefined}>
                {(ids) => (
                  <>
                    <input
                      {...ids}
                      className="field font-mono"
                      list="create-models"
                      spellCheck={false}
                      maxLength={100}
                      value={model}
                      placeholder={chosen?.model || 'default'}
                      onChange={(event) => setModel(event.target.value)}
                    />
                    <datalist id="create-models">
                      {models.map((each) => (
                        <option key={each} value={each} />
                      ))}
                    </datalist>
                  </>
                )}
              </Field>
            </div>
            {missing.length > 0 && !isConfigured(options, stored) && (
              <fieldset className="space-y-2 rounded-xl border border-line p-3">
                <legend className="px-1 text-[12px] font-medium text-ink-2">
                  Credentials {options.length > 1 ? '(one of them is enough)' : ''}
                </legend>
                {missing.map((key) => (
                  <Field key={key} label={key}>
                    {(ids) => (
                      <input
                        {...ids}
                        className="field font-mono"
                        type="password"
                        autoComplete="new-password"
                        value={keys[key] ?? ''}
                        onChange={(event) => setKeys({ ...keys, [key]: event.target.value })}
                      />
                    )}
                  </Field>
                ))}
                <label className="flex items-center gap-2 text-[12.5px] text-ink-2">
                  <input
                    type="checkbox"
                    checked={everywhere}
                    onChange={(event) => setEverywhere(event.target.checked)}
                  />{' '}
                  for all workspaces
                </label>
                {!ready && (
                  <p className="hint">Without them the agent will not start. You can add them later and try again.</p>
                )}
              </fieldset>
            )}
          </>
        )}
        <div className="grid grid-cols-2 gap-3">
          <Field label="Tier" hint="Privilege and size.">
            {(ids) => (
              <select {...ids} className="field" value={tier} onChange={(event) => setTier(Number(event.target.value))}>
                <option value={0}>{chosen?.tier ? `Template’s (T${chosen.tier})` : 'Default'}</option>
                {[1, 2, 3, 4].map((each) => (
                  <option key={each} value={each}>
                    T{each}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <Field label="Monthly budget, $" hint="Empty is no limit.">
            {(ids) => (
              <input
                {...ids}
                className="field"
                type="number"
                min={0}
                step="0.01"
                value={budget}
                onChange={(event) => setBudget(event.target.value)}
              />
            )}
          </Field>
        </div>
        <FormError error={error} />
        <div className="flex justify-end gap-2">
          <button type="button" className="btn" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="btn btn-primary" disabled={busy || !name.trim()}>
            {busy ? 'Creating…' : external ? 'Create and connect' : 'Create'}
          </button>
        </div>
      </form>
    </Modal>
  );
}

function External({
  poll,
  setPoll,
  url,
  setUrl,
}: {
  poll: boolean;
  setPoll: (on: boolean) => void;
  url: string;
  setUrl: (url: string) => void;
}) {
  return (
    <>
      <Field
        label="How messages reach it"
        hint={
          poll
            ? 'It asks for its messages. Works from anywhere, also behind a firewall.'
            : 'The platform calls its address, which must be reachable from here.'
        }
      >
        {(ids) => (
          <select
            {...ids}
            className="field"
            value={poll ? 'poll' : 'push'}
            onChange={(event) => setPoll(event.target.value === 'poll')}
          >
            <option value="poll">It fetches them (poll)</option>
            <option value="push">They are sent to it (push)</option>
          </select>
        )}
      </Field>
      {!poll && (
        <Field label="Its address" hint="Empty if it tells its own when it registers.">
          {(ids) => (
            <input
              {...ids}
              className="field font-mono"
              type="url"
              value={url}
              placeholder="https://agent.example.com"
              onChange={(event) => setUrl(event.target.value)}
            />
          )}
        </Field>
      )}
    </>
  );
}
