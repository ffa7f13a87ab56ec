// First run: no workspace exists yet. Tells how to import an organisation, and does it.

import { IMPORT_TIMEOUT_MS, explain } from './api.js';
import { byId, h, place } from './dom.js';

export class ImportView {
  #api;
  #imported;
  #list = byId('import-list');
  #state = byId('import-state');
  #button = byId('import-show');
  #busy = false;

  /**
   * @param {ReturnType<import('./api.js').createApi>} api
   * @param {() => void} imported workspaces were created
   */
  constructor(api, imported) {
    this.#api = api;
    this.#imported = imported;
    this.#button.addEventListener('click', () => this.#show());
  }

  /** Forgets what was read and done. */
  clear() {
    place(this.#list, []);
    this.#say('');
  }

  async #show() {
    this.#say('Reading the templates…');
    this.#button.disabled = true;
    try {
      const templates = await this.#api.get('/org/templates');
      this.#say(templates.length === 0 ? 'This server has no organisation templates.' : '');
      place(this.#list, templates.map((template) => this.#card(template)));
      this.#button.textContent = 'Read again';
    } catch (error) {
      this.#say(explain(error), 'bad');
    } finally {
      this.#button.disabled = false;
    }
  }

  #card(template) {
    const needs = (template.required_env ?? []).map(envName).filter(Boolean);
    const button = h('button', { type: 'button', class: 'button primary', text: 'Import', 'aria-label': `Import ${template.name}` });
    button.addEventListener('click', () => this.#import(template));
    return h(
      'li',
      { class: 'card' },
      h(
        'div',
        {},
        h('h3', { text: template.name }),
        template.description ? h('p', { text: template.description }) : null,
        h('p', { class: 'muted', text: `${template.workspaces} ${template.workspaces === 1 ? 'workspace' : 'workspaces'}` }),
        needs.length > 0 ? h('p', { class: 'muted' }, 'Needs ', ...joined(needs)) : null,
      ),
      button,
    );
  }

  async #import(template) {
    if (this.#busy) return;
    this.#lock(true);
    this.#say(`Importing ${template.name}…`);
    try {
      const answer = await this.#api.post('/org/import', { dir: template.dir }, { timeoutMs: IMPORT_TIMEOUT_MS });
      // 207: what was created before the failure stays.
      if (answer?.error) this.#say(`${answer.count} workspaces were created, then it stopped: ${answer.error}`, 'bad');
      else this.#say(`${answer?.count ?? template.workspaces} workspaces were created and are starting.`);
      this.#imported();
    } catch (error) {
      if (error.status === 412) this.#missing(error.body);
      else this.#say(explain(error), 'bad');
    } finally {
      this.#lock(false);
    }
  }

  #missing(body) {
    const names = (body?.missing_env ?? []).map(envName).filter(Boolean);
    this.#say('', 'bad');
    place(this.#state, [
      h('p', {}, 'Missing values: ', ...joined(names), '.'),
      h('p', { text: body?.suggestion || 'Store them as global secrets, then import again.' }),
    ]);
  }

  /** One import at a time (UI-63). */
  #lock(busy) {
    this.#busy = busy;
    for (const button of this.#list.querySelectorAll('button')) button.disabled = busy;
  }

  #say(text, tone = 'info') {
    this.#state.className = `notice notice-${tone}`;
    this.#state.hidden = text === '' && tone === 'info';
    this.#state.textContent = text;
  }
}

function envName(entry) {
  if (typeof entry === 'string') return entry;
  return Array.isArray(entry?.any_of) ? entry.any_of.join(' or ') : '';
}

function joined(names) {
  return names.flatMap((name, index) => [index > 0 ? ', ' : null, h('code', { text: name })]);
}
