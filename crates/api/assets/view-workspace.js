// The selected workspace: status, details, restart, logs.

import { explain, sentence } from './api.js';
import { byId, clock, h, place, setText, statusChip } from './dom.js';
import { duration } from './events.js';
import { hintFor, runtimeBadge, statusView } from './tree.js';

/** Bytes of log shown. */
const LOG_BYTES = 65_536;
/** Milliseconds in which a restart of a working agent must be confirmed. */
const CONFIRM_MS = 6_000;

export class WorkspaceView {
  #api;
  #announce;
  #current = null;
  #title = byId('ws-name');
  #badge = byId('ws-badge');
  #status = byId('ws-status');
  #role = byId('ws-role');
  #notice = byId('ws-notice');
  #outcome = byId('ws-outcome');
  #facts = byId('ws-facts');
  #restart = byId('ws-restart');
  #logsButton = byId('ws-logs');
  #armed = null;
  #busy = false;
  #logs;

  /**
   * @param {ReturnType<import('./api.js').createApi>} api
   * @param {(text: string) => void} announce
   */
  constructor(api, announce) {
    this.#api = api;
    this.#announce = announce;
    this.#logs = new LogsDialog(api);
    this.#restart.addEventListener('click', () => this.#act());
    this.#logsButton.addEventListener('click', () => this.#current && this.#logs.open(this.#current));
  }

  /** Shows a workspace; what was said about another one goes away. */
  open(workspace) {
    this.#disarm();
    this.#say('', '');
    this.update(workspace);
  }

  /** Forgets the workspace shown, its logs included. */
  clear() {
    this.#disarm();
    this.#say('', '');
    this.#current = null;
    for (const node of [this.#title, this.#badge, this.#role]) setText(node, '');
    for (const node of [this.#status, this.#notice, this.#facts]) place(node, []);
    this.#badge.removeAttribute('title');
    delete this.#facts.dataset.told;
    this.#logs.clear();
  }

  update(workspace) {
    const before = this.#current;
    this.#current = workspace;
    if (!workspace) return;
    // Where what was asked for ended, the status says it.
    const settled = !['provisioning', 'offline'].includes(workspace.status);
    if (before?.id === workspace.id && before.status !== workspace.status && settled) this.#say('', '');
    setText(this.#title, workspace.name);
    place(this.#status, [statusChip(statusView(workspace.status))]);
    const badge = runtimeBadge(workspace.runtime);
    this.#badge.hidden = !badge;
    if (badge) {
      setText(this.#badge, badge.text);
      this.#badge.className = `badge badge-${badge.tone}`;
      this.#badge.title = badge.title;
    }
    setText(this.#role, workspace.role ?? '');
    this.#role.hidden = !workspace.role;
    this.#drawNotice(workspace);
    this.#drawFacts(workspace);
    this.#drawActions(workspace);
  }

  #drawNotice(workspace) {
    const error = ['failed', 'degraded'].includes(workspace.status) ? workspace.last_sample_error : '';
    const hint = hintFor(workspace);
    this.#notice.hidden = !error && !hint;
    const tone = { failed: 'bad', degraded: 'warn', offline: 'warn' }[workspace.status] ?? 'info';
    this.#notice.className = `notice notice-${tone}`;
    place(this.#notice, [error ? h('p', { class: 'error-text', text: error }) : null, hint ? h('p', { text: hint }) : null].filter(Boolean));
  }

  #drawFacts(workspace) {
    const facts = [
      ['Current task', workspace.current_task],
      ['Runtime', workspace.runtime === 'echo' ? 'echo – a demo agent that answers without a model' : workspace.runtime],
      ['Address', workspace.url || (workspace.delivery_mode === 'poll' ? 'none: it fetches its messages' : 'none')],
      ['Tasks', `${workspace.active_tasks ?? 0} running, ${workspace.max_concurrent_tasks ?? 1} at once`],
      ['Up for', workspace.uptime_seconds > 0 ? uptime(workspace.uptime_seconds) : ''],
      ['Errors', workspace.last_error_rate > 0 ? `${Math.round(workspace.last_error_rate * 100)} % of requests` : ''],
      // In these states the notice above says it already.
      ['Last error', ['failed', 'degraded'].includes(workspace.status) ? '' : workspace.last_sample_error],
      ['Budget', budget(workspace)],
      ['Directory', workspace.workspace_dir],
      ['Tier', workspace.tier ? String(workspace.tier) : ''],
      ['Id', workspace.id],
    ];
    const drawn = facts.filter(([, value]) => value).map(([name, value]) => [name, String(value)]);
    const told = JSON.stringify(drawn);
    // Untouched while it says the same: somebody may be selecting text in it.
    if (this.#facts.dataset.told === told) return;
    this.#facts.dataset.told = told;
    place(this.#facts, drawn.map(([name, value]) => h('div', {}, h('dt', { text: name }), h('dd', { text: value }))));
  }

  #drawActions(workspace) {
    const external = workspace.runtime === 'external';
    // The agent of an external workspace is restarted by its operator, on its own host (LIFE-118).
    this.#restart.hidden = external;
    this.#logsButton.hidden = external;
    this.#restart.disabled = this.#busy;
    if (this.#armed !== null) return;
    setText(this.#restart, workspace.status === 'paused' ? 'Resume' : 'Restart');
  }

  #act() {
    const workspace = this.#current;
    if (!workspace || this.#busy) return;
    if (workspace.status === 'paused') this.#send(workspace, 'resume');
    else if (workspace.active_tasks > 0 && this.#armed === null) this.#arm();
    else this.#send(workspace, 'restart');
  }

  /** A working agent loses its task: the second press within a few seconds does it. */
  #arm() {
    setText(this.#restart, 'Restart while it is working?');
    this.#restart.classList.add('is-armed');
    this.#armed = setTimeout(() => {
      this.#disarm();
      this.update(this.#current);
    }, CONFIRM_MS);
  }

  #disarm() {
    clearTimeout(this.#armed);
    this.#armed = null;
    this.#restart.classList.remove('is-armed');
  }

  async #send(workspace, verb) {
    this.#disarm();
    this.#busy = true;
    this.#say('', '');
    this.update(workspace);
    let said;
    try {
      const answer = await this.#api.post(`/workspaces/${workspace.id}/${verb}`, {});
      // A no-op says why nothing was done (UI-126); everything else shows as events.
      said = [answer?.message ? sentence(answer.message) : `${verb === 'resume' ? 'Resuming' : 'Restarting'} ${workspace.name}.`, 'info'];
    } catch (error) {
      said = [explain(error), 'bad'];
    }
    this.#busy = false;
    if (this.#current?.id === workspace.id) this.#say(...said);
    this.#announce(said[0]);
    this.update(this.#current);
  }

  #say(text, tone) {
    setText(this.#outcome, text);
    this.#outcome.hidden = !text;
    this.#outcome.className = `notice notice-${tone || 'info'}`;
  }
}

/** The end of an instance's output, in a dialog. */
class LogsDialog {
  #api;
  #dialog = byId('logs');
  #title = byId('logs-title');
  #text = byId('logs-text');
  #state = byId('logs-state');
  #workspace = null;

  constructor(api) {
    this.#api = api;
    byId('logs-close').addEventListener('click', () => this.#dialog.close());
    byId('logs-refresh').addEventListener('click', () => this.#load());
  }

  open(workspace) {
    this.#workspace = workspace;
    this.#title.textContent = `Logs of ${workspace.name}`;
    this.#text.textContent = '';
    this.#dialog.showModal();
    this.#load();
  }

  /** Empties the dialog; an answer under way is not shown. */
  clear() {
    this.#workspace = null;
    this.#title.textContent = 'Logs';
    this.#text.textContent = '';
    this.#state.textContent = '';
  }

  async #load() {
    const workspace = this.#workspace;
    this.#state.textContent = 'Reading…';
    try {
      const { output, truncated } = await this.#api.get(`/workspaces/${workspace.id}/logs?bytes=${LOG_BYTES}`);
      if (workspace !== this.#workspace) return;
      this.#text.textContent = output;
      this.#text.hidden = !output;
      this.#state.textContent = describeLog(output, truncated);
      this.#text.scrollTop = this.#text.scrollHeight;
    } catch (error) {
      if (workspace !== this.#workspace) return;
      this.#text.hidden = true;
      this.#state.textContent = logFailure(error);
    }
  }
}

function describeLog(output, truncated) {
  const read = `Read at ${clock(Date.now(), { seconds: true })}.`;
  if (!output) return `${read} Nothing was written yet; the agent may still be starting.`;
  return truncated ? `${read} The end only; earlier output exists.` : read;
}

function logFailure(error) {
  if (error.status === 501) return 'The backend of this workspace offers no logs.';
  if (error.status === 404) return 'There is no running instance, and so no log.';
  return explain(error);
}

function budget({ budget_limit: limit, monthly_spend: spent }) {
  if (limit === null || limit === undefined) return spent > 0 ? `${dollars(spent)} this month` : '';
  return `${dollars(spent ?? 0)} of ${dollars(limit)} this month${spent >= limit ? ' – exceeded, messages are blocked' : ''}`;
}

function dollars(cents) {
  return `$${(cents / 100).toFixed(2)}`;
}

function uptime(seconds) {
  if (seconds < 3_600) return duration(seconds * 1_000);
  const hours = Math.floor(seconds / 3_600);
  return hours < 48 ? `${hours} h ${Math.floor((seconds % 3_600) / 60)} min` : `${Math.floor(hours / 24)} days`;
}
