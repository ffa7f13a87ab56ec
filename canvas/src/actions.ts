/** What a person does to the organisation. Each says by itself what went wrong, and to whom. */

import { http, reload, reloadSoon, tellTabs } from './app';
import { layoutOf, type Box } from './graph/layout';
import { dropSizes, useSizes } from './graph/sizes';
import { selectedRoots, subtree, treeOf, type Tree } from './graph/tree';
import {
  serves,
  type Connection,
  type CreateWorkspace,
  type CreatedWorkspace,
  type RestartedWorkspace,
  type RestoredWorkspace,
  type UpdateWorkspace,
  type Workspace,
} from './lib/api';
import { ApiError, explain } from './lib/http';
import { list, obj, str } from './lib/json';
import { count, cut } from './lib/text';
import { markStale, patchLocal, removeLocal, setDeleting, unhide, useOrg } from './store/org';
import { closePanel, confirm, focusOn, keepSelected, openPanel, showDialog, toast, useUi } from './ui/store';

/** Requests of one act that are under way at once. */
const PARALLEL = 6;
/** Names shown in one notice (UI-36). */
const NAMED = 3;

export const workspaceOf = (id: string): Workspace | undefined => useOrg.getState().byId.get(id);

/** Name of a workspace, its id's head when it is unknown here; of nobody: the user. */
export function nameOf(id: string | null): string {
  if (id === null) return 'You';
  return workspaceOf(id)?.name ?? (id ? `${id.slice(0, 8)}…` : 'somebody');
}

export const treeNow = (): Tree => treeOf(useOrg.getState().byId.values());
export const boxesNow = (): Map<string, Box> => layoutOf(useOrg.getState().byId, treeNow(), useSizes.getState().sizes);

export const label = (id: string) => `“${cut(nameOf(id), 40)}”`;

/** Does the same to many, a few at a time. Hands back those for which it failed. */
export async function forEach(
  ids: readonly string[],
  run: (id: string) => Promise<unknown>,
): Promise<Map<string, unknown>> {
  const failures = new Map<string, unknown>();
  const queue = [...ids];
  const worker = async () => {
    for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
      try {
        await run(id);
      } catch (error) {
        failures.set(id, error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL, ids.length) }, worker));
  return failures;
}

/** One notice about all failures of one act. */
export function report(what: string, failures: ReadonlyMap<string, unknown>): void {
  const first = [...failures][0];
  if (!first) return;
  const named = [...failures.keys()].slice(0, NAMED).map(label).join(', ');
  const more = failures.size > NAMED ? ` and ${failures.size - NAMED} more` : '';
  toast('error', `${what} failed for ${named}${more}. ${explain(first[1])}`);
}

// ---- create -----------------------------------------------------------------------------------------------------------

export async function createWorkspace(request: Partial<CreateWorkspace> & { name: string }): Promise<CreatedWorkspace> {
  const created = (await http.json('POST', '/workspaces', { body: request })) as CreatedWorkspace;
  await reload();
  openPanel(created.id, 'chat');
  focusOn([created.id]);
  return created;
}

// ---- start and stop ---------------------------------------------------------------------------------------------------

async function restartOne(id: string): Promise<RestartedWorkspace> {
  return (await http.json('POST', `/workspaces/${id}/restart`, { body: {} })) as RestartedWorkspace;
}

/** Restarts one; what the server says of an external one is shown, and nothing is pretended (UI-126). */
export async function restart(id: string): Promise<void> {
  try {
    const answer = await restartOne(id);
    if (answer.status === 'noop')
      toast('info', answer.message ?? `${label(id)} runs elsewhere; nothing was restarted.`);
    else toast('info', `${label(id)} is restarting`);
  } catch (error) {
    toast('error', `${label(id)} was not restarted. ${explain(error)}`);
  }
}

export async function restartAll(ids: readonly string[]): Promise<void> {
  const failures = await forEach(ids, restartOne);
  report('Restart', failures);
  if (failures.size < ids.length) toast('info', `${count(ids.length - failures.size, 'workspace')} restarting`);
  keepSelected(failures.keys());
}

export function askRestartAll(ids: readonly string[], title = 'Restart these workspaces?'): void {
  confirm({
    title,
    text: 'Their agents are stopped and started again. What they are doing now is lost.',
    items: ids.map(nameOf),
    action: `Restart ${ids.length}`,
    run: () => restartAll(ids),
  });
}

// ---- delete -----------------------------------------------------------------------------------------------------------

export function askDelete(ids: readonly string[]): void {
  const tree = treeNow();
  const roots = selectedRoots(tree, ids);
  const all = new Set(roots.flatMap((id) => [...subtree(tree, id)]));
  const below = [...all].filter((id) => !roots.includes(id));
  const one = roots.length === 1 && roots[0] !== undefined ? label(roots[0]) : count(roots.length, 'workspace');
  const warning =
    below.length > 0
      ? `Everything below goes with it: ${count(below.length, 'more workspace')}.`
      : roots.length === 1
        ? 'Its agent is stopped, and its tokens end.'
        : 'Their agents are stopped, and their tokens end.';
  confirm({
    title: `Delete ${one}?`,
    text: `${warning} ${CAN_RESTORE ? 'It can be undone while this page is open.' : 'This cannot be undone.'}`,
    items: [...roots, ...below].map(nameOf),
    action: 'Delete',
    danger: true,
    run: () => deleteAll(roots, tree),
  });
}

/** Ends the deployment of a team (UI-44). */
export function askCancel(root: string): void {
  const tree = treeNow();
  const all = [...subtree(tree, root)];
  const starting = all.filter((id) => useOrg.getState().fresh.has(id)).length;
  confirm({
    title: `Cancel the start of ${label(root)}?`,
    text: `${count(starting, 'workspace')} of ${all.length} still ${starting === 1 ? 'starts' : 'start'}. All of them are deleted. This cannot be undone.`,
    items: all.map(nameOf),
    action: 'Delete the team',
    danger: true,
    run: () => deleteAll([root], tree),
  });
}

async function deleteAll(roots: readonly string[], tree: Tree): Promise<void> {
  const trees = new Map(roots.map((id) => [id, subtree(tree, id)]));
  const all = new Set([...trees.values()].flatMap((ids) => [...ids]));
  const names = new Map([...all].map((id) => [id, nameOf(id)]));
  setDeleting(all, true);
  const failures = await forEach(roots, (id) => http.json('DELETE', `/workspaces/${id}?confirm=true`));
  for (const [id, ids] of trees) {
    const error = failures.get(id);
    // Rows may be gone although a stop failed (LIFE-108); the list tells.
    if (error === undefined) removeLocal(ids);
    else setDeleting(ids, false);
  }
  const { open } = useUi.getState();
  if (open && !useOrg.getState().byId.has(open)) closePanel();
  report('Delete', failures);
  keepSelected(failures.keys());
  const gone = [...trees].flatMap(([id, ids]) => (failures.has(id) ? [] : [...ids]));
  if (gone.length > 0 && CAN_RESTORE) push({ what: 'Deleting', back: () => restoreAll(gone, names) });
  const again = CAN_RESTORE ? { label: 'Undo', run: () => void undo() } : undefined;
  if (failures.size === 0) toast('success', `${count(all.size, 'workspace')} deleted`, again);
  reloadSoon();
}

const CAN_RESTORE = serves('POST /admin/workspaces/{id}/restore');

/** Brings deleted ones back, parents first. Their tokens stay dead: an external agent has to be connected again. */
async function restoreAll(ids: readonly string[], names: ReadonlyMap<string, string>): Promise<boolean> {
  const failures = new Map<string, unknown>();
  const waiting: { name: string; connection: Connection }[] = [];
  // One after the other: nobody comes back below somebody who is not there.
  for (const id of ids) {
    try {
      const answer = (await http.json('POST', `/admin/workspaces/${id}/restore`, { body: {} })) as RestoredWorkspace;
      if (answer.connection) waiting.push({ name: names.get(id) ?? '', connection: answer.connection });
    } catch (error) {
      failures.set(id, error);
    }
  }
  const back = ids.filter((id) => !failures.has(id));
  unhide(back);
  await reload();
  tellTabs();
  const first = [...failures][0];
  if (first) toast('error', `“${names.get(first[0]) ?? ''}” was not brought back. ${explain(first[1])}`);
  const [only] = waiting;
  if (waiting.length === 1 && only) showDialog({ kind: 'connect', ...only });
  else if (waiting.length > 1)
    toast('info', `${waiting.length} external agents need a new token each: make it under their Tokens tab.`);
  if (back.length > 0) focusOn(back);
  return failures.size === 0;
}

/** The server says that a workspace is gone (UI-125). True if that is what the error says. */
export function noticeGone(id: string, error: unknown): boolean {
  if (!(error instanceof ApiError) || error.status !== 410) return false;
  const body = obj(error.body);
  const at = str(body.removed_at);
  toast('info', `${label(id)} was removed (${at ? new Date(at).toLocaleString() : 'time unknown'}). ${str(body.hint)}`);
  removeLocal(new Set([id]));
  if (useUi.getState().open === id) closePanel();
  return true;
}

// ---- change -----------------------------------------------------------------------------------------------------------

export type Patch = { [K in keyof UpdateWorkspace]?: UpdateWorkspace[K] | null };

/** Sends a change of one workspace. */
export const patch = (id: string, body: Patch): Promise<unknown> => http.json('PATCH', `/workspaces/${id}`, { body });

/** Changes many at once on the page and on the server; those that the server refuses go back (UI-36). */
async function change(what: string, changes: ReadonlyMap<string, Partial<Workspace>>): Promise<boolean> {
  const settle = patchLocal(changes);
  const failures = await forEach([...changes.keys()], (id) => patch(id, changes.get(id) as Patch));
  settle(new Set(failures.keys()));
  tellTabs();
  report(what, failures);
  return failures.size === 0;
}

/** Folds or opens a team (UI-39). */
export async function fold(id: string, collapsed: boolean): Promise<void> {
  if (collapsed) dropSizes([id]);
  await change(collapsed ? 'Folding' : 'Opening', new Map([[id, { collapsed }]]));
}

/** A place that is not taken for “none”. */
const place = (x: number, y: number) => ({ x: Math.round(x) || 1, y: Math.round(y) || 1 });

/** Where a card and everything drawn inside it comes to stand when it moves by so much. */
function moved(id: string, boxes: ReadonlyMap<string, Box>, dx: number, dy: number, tree: Tree) {
  const changes = new Map<string, Partial<Workspace>>();
  for (const each of subtree(tree, id)) {
    const box = boxes.get(each);
    // What was never placed follows its parent by itself.
    if (box && (each === id || box.stored)) changes.set(each, place(box.absX + dx, box.absY + dy));
  }
  return changes;
}

/**
 * Moves cards to where they were dropped, into another team or out of one. `undefined` as parent leaves it.
 * What stood beside them without a stored place gets one, so that nothing else moves (UI-32).
 */
export async function move(
  drops: readonly { id: string; x: number; y: number }[],
  parent: string | null | undefined,
  boxes: ReadonlyMap<string, Box>,
): Promise<void> {
  const tree = treeNow();
  const changes = new Map<string, Partial<Workspace>>();
  const before = new Map<string, Partial<Workspace>>();
  const pin = (id: string) => {
    const box = boxes.get(id);
    if (box && !changes.has(id)) changes.set(id, place(box.absX, box.absY));
  };
  for (const { id, x, y } of drops) {
    const box = boxes.get(id);
    if (!box) continue;
    for (const [each, one] of moved(id, boxes, x - box.absX, y - box.absY, tree)) changes.set(each, one);
    if (parent !== undefined) changes.set(id, { ...changes.get(id), parent_id: parent });
    const around = box.parent === null ? tree.roots : (tree.children.get(box.parent) ?? []);
    for (const sibling of around) pin(sibling);
    // A stored place counts only inside a parent that has one.
    for (let at: string | null = parent === undefined ? box.parent : parent; at; at = boxes.get(at)?.parent ?? null)
      pin(at);
  }
  for (const [id, one] of changes) {
    const now = workspaceOf(id);
    if (!now) continue;
    const old = { x: now.x, y: now.y, ...('parent_id' in one ? { parent_id: now.parent_id ?? null } : {}) };
    if (old.x === one.x && old.y === one.y && !('parent_id' in one)) changes.delete(id);
    else before.set(id, old);
  }
  // A team that somebody left is again as large as who stayed.
  if (parent !== undefined) dropSizes(drops.flatMap(({ id }) => boxes.get(id)?.parent ?? []));
  const what = parent === undefined ? 'Moving' : parent === null ? 'Taking out' : 'Nesting';
  if (await change(what, changes)) remember(what, before);
}

/** Swaps a card with its neighbour in reading order (UI-51). */
export async function reorder(id: string, step: 1 | -1): Promise<void> {
  const boxes = boxesNow();
  const tree = treeNow();
  const box = boxes.get(id);
  if (!box) return;
  const siblings = (box.parent === null ? tree.roots : (tree.children.get(box.parent) ?? []))
    .flatMap((each) => boxes.get(each) ?? [])
    .sort((a, b) => a.y - b.y || a.x - b.x);
  const other = siblings[siblings.findIndex((each) => each.id === id) + step];
  if (!other) return;
  const drops = [
    { id, x: other.absX, y: other.absY },
    { id: other.id, x: box.absX, y: box.absY },
  ];
  await move(drops, undefined, boxes);
}

// ---- undo -------------------------------------------------------------------------------------------------------------

interface Step {
  what: string;
  /** Takes it back; whether that was done. */
  back: () => Promise<boolean>;
}

const steps: Step[] = [];
const MAX_STEPS = 50;

function push(step: Step): void {
  steps.push(step);
  if (steps.length > MAX_STEPS) steps.shift();
}

function remember(what: string, before: ReadonlyMap<string, Partial<Workspace>>): void {
  if (before.size === 0) return;
  push({ what, back: () => change('Undo', new Map([...before].filter(([id]) => workspaceOf(id)))) });
  const nested = [...before.values()].some((one) => 'parent_id' in one);
  if (nested) toast('success', `${what} done`, { label: 'Undo', run: () => void undo() });
}

/** Takes back the last move, nesting, arranging or deletion. */
export async function undo(): Promise<void> {
  const step = steps.pop();
  if (!step) {
    toast('info', 'There is nothing to undo');
    return;
  }
  if (await step.back()) toast('info', `${step.what} undone`);
}

/** Puts the children of a team into rows; of nobody (null): the roots. */
export async function arrange(parent: string | null): Promise<void> {
  const { byId } = useOrg.getState();
  const tree = treeNow();
  const below = parent === null ? tree.roots : (tree.children.get(parent) ?? []);
  const inside = new Set(below.flatMap((id) => [...subtree(tree, id)]));
  // As if none of them had a place; where that puts them is then stored.
  const loose = new Map([...byId].map(([id, row]) => [id, inside.has(id) ? { ...row, x: 0, y: 0 } : row]));
  dropSizes(inside);
  const boxes = layoutOf(loose, tree);
  const changes = new Map<string, Partial<Workspace>>();
  const before = new Map<string, Partial<Workspace>>();
  for (const id of [...inside, ...(parent === null ? [] : [parent])]) {
    const [box, row] = [boxes.get(id), byId.get(id)];
    if (!box || !row) continue;
    const next = place(box.absX, box.absY);
    if (next.x === row.x && next.y === row.y) continue;
    changes.set(id, next);
    before.set(id, { x: row.x, y: row.y });
  }
  if (changes.size > 0 && (await change('Arranging', changes))) {
    remember('Arranging', before);
    toast('success', 'Arranged', { label: 'Undo', run: () => void undo() });
  }
}

// ---- secrets ----------------------------------------------------------------------------------------------------------

/** Stores a secret, for one workspace or (null) for all. Who has to be restarted for it is marked (UI-116). */
export async function putSecret(scope: string | null, key: string, value: string): Promise<void> {
  await http.json('PUT', scope ? `/workspaces/${scope}/secrets` : '/settings/secrets', { body: { key, value } });
  markStale(scope ? [scope] : useOrg.getState().byId.keys());
}

export async function deleteSecret(scope: string | null, key: string): Promise<void> {
  const tail = encodeURIComponent(key);
  await http.json('DELETE', scope ? `/workspaces/${scope}/secrets/${tail}` : `/settings/secrets/${tail}`);
  markStale(scope ? [scope] : useOrg.getState().byId.keys());
}

/** Copies a text; where the browser refuses, says so, and the caller shows a field to copy from (UI-80). */
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** Required names of a template, each a name or a choice of names. */
export function envNames(entries: unknown): string[][] {
  return list(entries)
    .map((entry) => (typeof entry === 'string' ? [entry] : list(obj(entry).any_of).map(str).filter(Boolean)))
    .filter((names) => names.length > 0);
}
