import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { patch } from '../actions';
import { http, reload } from '../app';
import type { Workspace } from '../lib/api';
import { explain } from '../lib/http';
import { Failed, Field, FormError, Loading } from '../ui/bits';
import { providersOf, runtimesOf } from '../dialogs/models';
import { toast } from '../ui/store';
import { useModel, useTemplates } from './queries';

/** Runtime, model, provider. A save causes at most one restart, and the endpoints make it themselves (UI-112). */
export default function ConfigTab({ workspace }: { workspace: Workspace }) {
  const settings = useModel(workspace.id);
  if (workspace.runtime === 'external') {
    return (
      <p className="p-4 text-[13px] text-ink-2">
        This agent runs on its operator’s own host and manages its own configuration. Name, role and tier are under
        Details, its tokens under Tokens.
      </p>
    );
  }
  if (settings.isPending) return <Loading what="the configuration" />;
  if (settings.isError)
    return <Failed what="The configuration" error={settings.error} retry={() => void settings.refetch()} />;
  return <Form key={workspace.id} workspace={workspace} saved={settings.data} />;
}

function Form({ workspace, saved }: { workspace: Workspace; saved: { model: string; provider: string } }) {
  const { id } = workspace;
  const client = useQueryClient();
  const templates = useTemplates();
  const [runtime, setRuntime] = useState(workspace.runtime);
  const [model, setModel] = useState(saved.model);
  const [provider, setProvider] = useState(saved.provider);
  const [idle, setIdle] = useState('');
  const [tasks, setTasks] = useState(String(workspace.max_concurrent_tasks));
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const mine = (templates.data ?? []).filter((template) => (template.runtime || 'claude-code') === runtime);
  const models = [...new Set(mine.flatMap((template) => (template.models ?? []).map((each) => each.id ?? '')))].filter(
    Boolean,
  );
  const providers = providersOf(mine);
  const changes = {
    ...(runtime !== workspace.runtime ? { runtime } : {}),
    ...(Number(tasks) !== workspace.max_concurrent_tasks && tasks ? { max_concurrent_tasks: Number(tasks) } : {}),
    ...(idle ? { hibernation_idle_minutes: Number(idle) } : {}),
  };
  const modelChanged = model.trim() !== saved.model;
  const providerChanged = provider.trim() !== saved.provider;
  const changed = Object.keys(changes).length > 0 || modelChanged || providerChanged;

  const save = async (event: React.FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    let done = false;
    try {
      if (Object.keys(changes).length > 0) {
        await patch(id, changes);
        done = true;
      }
      if (providerChanged) {
        await http.json('PUT', `/workspaces/${id}/provider`, { body: { provider: provider.trim() } });
        done = true;
      }
      if (modelChanged) {
        try {
          await http.json('PUT', `/workspaces/${id}/model`, { body: { model: model.trim() } });
        } catch (thrown) {
          throw done ? `Other fields saved, but the model was not: ${explain(thrown)}` : thrown;
        }
      }
      toast('success', modelChanged || providerChanged ? 'Saved; the agent restarts with it' : 'Saved');
    } catch (thrown) {
      setError(thrown);
    } finally {
      setBusy(false);
      await client.invalidateQueries({ queryKey: [id, 'model'] });
      await reload();
    }
  };

  return (
    <form className="min-h-0 flex-1 space-y-3 overflow-y-auto p-4" onSubmit={(event) => void save(event)}>
      <Field label="Runtime" hint="Used from the next start on.">
        {(ids) => (
          <select {...ids} className="field" value={runtime} onChange={(event) => setRuntime(event.target.value)}>
            {[...new Set([workspace.runtime, ...runtimesOf(templates.data)])].map((each) => (
              <option key={each} value={each}>
                {each || 'claude-code'}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Model" hint="Empty takes the template’s. Saving another one restarts the agent.">
        {(ids) => (
          <>
            <input
              {...ids}
              className="field font-mono"
              list="config-models"
              value={model}
              maxLength={100}
              spellCheck={false}
              onChange={(event) => setModel(event.target.value)}
            />
            <datalist id="config-models">
              {models.map((each) => (
                <option key={each} value={each} />
              ))}
            </datalist>
          </>
        )}
      </Field>
      <Field label="Provider" hint="Empty lets the model decide. Saving another one restarts the agent.">
        {(ids) => (
          <>
            <input
              {...ids}
              className="field font-mono"
              list="config-providers"
              value={provider}
              spellCheck={false}
              onChange={(event) => setProvider(event.target.value)}
            />
            <datalist id="config-providers">
              {providers.map((each) => (
                <option key={each} value={each} />
              ))}
            </datalist>
          </>
        )}
      </Field>
      <div className="grid grid-cols-2 gap-3">
        <Field label="Tasks at once">
          {(ids) => (
            <input
              {...ids}
              className="field"
              type="number"
              min={1}
              max={100}
              value={tasks}
              onChange={(event) => setTasks(event.target.value)}
            />
          )}
        </Field>
        <Field label="Sleep after idle minutes" hint="Unchanged if empty; 0 never sleeps.">
          {(ids) => (
            <input
              {...ids}
              className="field"
              type="number"
              min={0}
              value={idle}
              onChange={(event) => setIdle(event.target.value)}
            />
          )}
        </Field>
      </div>
      <FormError error={error} />
      <button type="submit" className="btn btn-primary" disabled={!changed || busy}>
        {busy ? 'Saving…' : 'Save'}
      </button>
    </form>
  );
}
