/** Stopping and going on, growing a team by its template, taking a workspace along. What the server has not got is not offered. */

import { forEach, label, nameOf, report, treeNow } from './actions';
import { http, reload, reloadSoon } from './app';
import { subtree } from './graph/tree';
import { serves, type Workspace } from './lib/api';
import { ApiError, explain, IMPORT_TIMEOUT_MS } from './lib/http';
import { list, num, obj, parseJson, str } from './lib/json';
import { count, cut } from './lib/text';
import { confirm, focusOn, keepSelected, openPanel, toast } from './ui/store';

export const CAN = {
  pause: serves('POST /workspaces/{id}/pause'),
  resume: serves('POST /workspaces/{id}/resume'),
  hibernate: serves('POST /workspaces/{id}/hibernate'),
  wake: serves('POST /workspaces/{id}/wake'),
  expand: serves('POST /workspaces/{id}/expand'),
  collapse: serves('POST /workspaces/{id}/collapse'),
  export: serves('GET /bundles/export/{id}'),
  import: serves('POST /bundles/import'),
} as const;

type Row = Pick<Workspace, 'status' | 'runtime'>;

// What each state allows (UI-41).
export const mayPause = (row: Row): boolean => CAN.pause && (row.status === 'online' || row.status === 'degraded');
export const mayResume = (row: Row): boolean => CAN.resume && row.status === 'paused';
export const mayHibernate = (row: Row): boolean =>
  CAN.hibernate && row.runtime !== 'external' && (row.status === 'online' || row.status === 'degraded');

export const mayWake = (row: Row): boolean => CAN.wake && row.status === 'hibernated';

const act = (id: string, what: string) => http.json('POST', `/workspaces/${id}/${what}`, { body: {} });

// ---- pause and resume -------------------------------------------------------------------------------------------------

export function askPause(ids: readonly string[]): void {
  const tree = treeNow();
  const all = new Set(ids.flatMap((id) => [...subtree(tree, id)]));
  const below = all.size - ids.length;
  confirm({
    title: ids.length === 1 && ids[0] !== undefined ? `Pause ${label(ids[0])}?` : `Pause ${ids.length} workspaces?`,
    text: `${below > 0 ? `With everything below: ${count(all.size, 'agent')} stop.` : 'The agent stops.'} What it does now is lost; its files, memory and history stay. It starts again only when it is resumed.`,
    items: [...all].map(nameOf),
    action: 'Pause',
    run: () => pauseAll(ids),
  });
}

async function pauseAll(ids: readonly string[]): Promise<void> {
  let paused = 0;
  const failures = await forEach(ids, async (id) => {
    paused += num(obj(await act(id, 'pause')).paused_count) ?? 1;
  });
  report('Pause', failures);
  if (paused > 0) toast('success', `${count(paused, 'workspace')} paused`);
  // Whoever it failed for stays selected (UI-55).
  if (ids.length > 1) keepSelected(failures.keys());
  reloadSoon();
}

export async function resume(id: string): Promise<void> {
  try {
    const resumed = num(obj(await act(id, 'resume')).resumed_count) ?? 1;
    toast('info', resumed > 1 ? `${label(id)} and ${resumed - 1} below it start again` : `${label(id)} starts again`);
  } catch (error) {
    toast('error', `${label(id)} was not resumed. ${explain(error)}`);
  }
  reloadSoon();
}

// ---- sleep ------------------------------------------------------------------------------------------------------------

/** Puts an agent to sleep; one that works is asked for once more (LIFE-158). */
export async function hibernate(id: string, force = false): Promise<void> {
  try {
    await http.json('POST', `/workspaces/${id}/hibernate${force ? '?force=true' : ''}`, { body: {} });
    toast('info', `${label(id)} sleeps. The next message wakes it.`);
  } catch (error) {
    const tasks = error instanceof ApiError && error.status === 409 ? num(obj(error.body).active_tasks) : null;
    if (tasks === null || force) {
      toast('error', `${label(id)} was not put to sleep. ${explain(error)}`);
    } else {
      confirm({
        title: `${label(id)} is at work. Put it to sleep all the same?`,
        text: `${count(tasks, 'task')} would be ended unfinished.`,
        action: 'End and sleep',
        danger: true,
        run: () => hibernate(id, true),
      });
    }
  }
  reloadSoon();
}

/** Starts one that sleeps, without a message. */
export async function wake(id: string): Promise<void> {
  try {
    await act(id, 'wake');
    toast('info', `${label(id)} wakes up`);
  } catch (error) {
    toast('error', `${label(id)} was not woken. ${explain(error)}`);
  }
  reloadSoon();
}

// ---- teams ------------------------------------------------------------------------------------------------------------

/** Adds the members that the template of a workspace names. Repeating it would add them again. */
export async function expand(id: string): Promise<void> {
  try {
    const children = list(obj(await act(id, 'expand')).children).map(obj);
    await reload();
    toast('success', `${label(id)} leads ${count(children.length, 'new member')}`);
    focusOn([id, ...children.map((child) => str(child.id)).filter(Boolean)]);
  } catch (error) {
    toast('error', `${label(id)} has no team to be expanded to. ${explain(error)}`);
  }
}

export function askCollapse(id: string): void {
  const below = [...subtree(treeNow(), id)].filter((each) => each !== id);
  confirm({
    title: `Remove the team of ${label(id)}?`,
    text: `${count(below.length, 'workspace')} below it are deleted, with their secrets and tokens. This cannot be undone.`,
    items: below.map(nameOf),
    action: 'Delete the team',
    danger: true,
    run: async () => {
      try {
        await act(id, 'collapse');
      } catch (error) {
        toast('error', `The team of ${label(id)} was not removed. ${explain(error)}`);
      }
      await reload();
    },
  });
}

// ---- bundles ----------------------------------------------------------------------------------------------------------

const EXTENSION = '.bundle.json';

export async function exportBundle(id: string): Promise<void> {
  try {
    const bundle = await http.json('GET', `/bundles/export/${id}`);
    const blob = new Blob([JSON.stringify(bundle, null, 2)], { type: 'application/json' });
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = `${fileName(nameOf(id))}${EXTENSION}`;
    link.click();
    // The browser has taken it by the next turn.
    window.setTimeout(() => URL.revokeObjectURL(link.href), 0);
  } catch (error) {
    toast('error', `${label(id)} was not exported. ${explain(error)}`);
  }
}

/** A name that every file system takes. */
export const fileName = (name: string): string =>
  cut(name.replaceAll(/[\p{C}\\/:*?"<>|]+/gu, ' ').trim(), 80).replace(/^\.+/, '') || 'workspace';

export async function duplicate(id: string): Promise<void> {
  try {
    await take(await http.json('GET', `/bundles/export/${id}`));
  } catch (error) {
    toast('error', `${label(id)} was not duplicated. ${explain(error)}`);
  }
}

/** Takes in files that were dropped or chosen; what is no bundle is refused by name (UI-53). */
export async function importBundles(files: Iterable<File>): Promise<void> {
  for (const file of files) {
    const name = cut(file.name, 60);
    if (!file.name.toLowerCase().endsWith(EXTENSION)) {
      toast('error', `“${name}” was not imported: only files that end in ${EXTENSION} are taken.`);
      continue;
    }
    const bundle = parseJson(await file.text());
    if (bundle === undefined) {
      toast('error', `“${name}” was not imported: it is no JSON. Export the workspace again.`);
      continue;
    }
    try {
      await take(bundle);
    } catch (error) {
      toast('error', `“${name}” was not imported. ${explain(error)}`);
    }
  }
}

async function take(bundle: unknown): Promise<void> {
  const answer = obj(await http.json('POST', '/bundles/import', { body: bundle, timeoutMs: IMPORT_TIMEOUT_MS }));
  await reload();
  const id = str(answer.workspace_id) || str(answer.id);
  if (id) {
    openPanel(id, 'chat');
    focusOn([id]);
  }
  const name = `“${cut(str(answer.name) || 'The bundle', 60)}”`;
  if (answer.status === 'failed')
    toast('error', `${name} was imported, but does not start. ${str(answer.error) || 'Its panel says why.'}`);
  else toast('success', `${name} was imported`);
}
