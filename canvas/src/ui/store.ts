/** What this page shows of the organisation: selection, panel, dialogs, notices, looks. */

import { create } from 'zustand';
import type { Connection, OrgTemplate } from '../lib/api';

export type PanelTab =
  'chat' | 'comms' | 'activity' | 'details' | 'config' | 'secrets' | 'tokens' | 'events' | 'danger';

export type Dialog =
  | { kind: 'create'; parent?: string | null; template?: string }
  | { kind: 'templates' }
  | { kind: 'import'; template: OrgTemplate }
  | { kind: 'connect'; name: string; connection: Connection }
  | { kind: 'settings' }
  | { kind: 'palette' }
  | { kind: 'help' }
  | { kind: 'logs'; id: string };

export interface Confirmation {
  title: string;
  text: string;
  /** Names what will be done to whom, if that is more than the text can say. */
  items?: readonly string[];
  action: string;
  danger?: boolean;
  run: () => void | Promise<void>;
  cancel?: () => void;
}

export interface Toast {
  id: number;
  tone: 'info' | 'success' | 'error';
  text: string;
  action?: { label: string; run: () => void };
}

export type Theme = 'system' | 'dark' | 'light';

export interface UiState {
  theme: Theme;
  /** Shown in the panel. */
  open: string | null;
  tab: PanelTab;
  panelWidth: number;
  /** Selected on the graph, the open one included. */
  selected: ReadonlySet<string>;
  /** They are left over from an action on several that failed for them (UI-55). */
  survivors: boolean;
  dialog: Dialog | null;
  /** Asked above whatever dialog is open. */
  asking: Confirmation | null;
  /** What a screen reader is told. */
  announcement: string;
  toasts: readonly Toast[];
  showLinks: boolean;
  feedOpen: boolean;
  /** The graph shows the past at this moment, epoch milliseconds; null is live. */
  replay: boolean;
  /** Asks the graph to bring these into view; `nonce` tells two asks apart. */
  focus: { ids: readonly string[]; nonce: number } | null;
}

function stored(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function store(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Private windows may refuse: the choice then lasts as long as the page.
  }
}

const WIDTH_KEY = 'molecule:sidepanel-width';
const LINKS_KEY = 'molecule:show-a2a-edges';
const THEME_KEY = 'molecule.theme';
const FEED_KEY = 'molecule.feed.open';

export const PANEL_MIN = 320;
export const PANEL_MAX = 800;
const MAX_TOASTS = 5;
const TOAST_MS = 4_000;

const clampWidth = (width: number) => Math.min(PANEL_MAX, Math.max(PANEL_MIN, Math.round(width)));

// Dark unless somebody chose otherwise (UI-133).
const themeOf = (value: string | null): Theme => (value === 'system' || value === 'light' ? value : 'dark');

export const useUi = create<UiState>(() => ({
  theme: themeOf(stored(THEME_KEY)),
  open: null,
  tab: 'chat',
  panelWidth: clampWidth(Number(stored(WIDTH_KEY)) || 480),
  selected: new Set(),
  survivors: false,
  dialog: null,
  asking: null,
  announcement: '',
  toasts: [],
  showLinks: stored(LINKS_KEY) !== 'false',
  feedOpen: stored(FEED_KEY) === 'true',
  replay: false,
  focus: null,
}));

let nextId = 0;

export function toast(tone: Toast['tone'], text: string, action?: Toast['action']): number {
  nextId += 1;
  const id = nextId;
  const one: Toast = action ? { id, tone, text, action } : { id, tone, text };
  useUi.setState((state) => {
    // The same error said twice is said once.
    const others = state.toasts.filter((each) => each.text !== text);
    return { toasts: [...others, one].slice(-MAX_TOASTS) };
  });
  // Errors stay until they are dismissed (UI-57).
  if (tone !== 'error') setTimeout(() => dismiss(id), action ? 2 * TOAST_MS : TOAST_MS);
  return id;
}

export function dismiss(id: number): void {
  useUi.setState((state) => ({ toasts: state.toasts.filter((each) => each.id !== id) }));
}

export function announce(text: string): void {
  useUi.setState({ announcement: text });
}

export function openPanel(id: string, tab?: PanelTab): void {
  useUi.setState((state) => ({ open: id, tab: tab ?? state.tab, selected: new Set([id]), survivors: false }));
}

export function closePanel(): void {
  useUi.setState({ open: null });
}

export function select(ids: Iterable<string>): void {
  useUi.setState({ selected: new Set(ids), survivors: false });
}

/** Whoever an action on several failed for stays selected, so that it can be tried again (UI-55). */
export function keepSelected(failed: Iterable<string>): void {
  const selected = new Set(failed);
  useUi.setState({ selected, survivors: selected.size > 0 });
}

export function setPanelWidth(width: number): void {
  const panelWidth = clampWidth(width);
  store(WIDTH_KEY, String(panelWidth));
  useUi.setState({ panelWidth });
}

export function showDialog(dialog: Dialog | null): void {
  useUi.setState({ dialog });
}

export function confirm(ask: Confirmation): void {
  useUi.setState({ asking: ask });
}

export function setTheme(theme: Theme): void {
  store(THEME_KEY, theme);
  useUi.setState({ theme });
  applyTheme();
}

export function setShowLinks(showLinks: boolean): void {
  store(LINKS_KEY, String(showLinks));
  useUi.setState({ showLinks });
}

export function setFeedOpen(feedOpen: boolean): void {
  store(FEED_KEY, String(feedOpen));
  useUi.setState({ feedOpen });
}

/** Brings these into view. */
export function focusOn(ids: readonly string[]): void {
  nextId += 1;
  useUi.setState({ focus: { ids, nonce: nextId } });
}

/** The theme in force: a choice, else what the system says. */
export function darkNow(): boolean {
  const { theme } = useUi.getState();
  return theme === 'system' ? !window.matchMedia('(prefers-color-scheme: light)').matches : theme === 'dark';
}

export function applyTheme(): void {
  document.documentElement.dataset.theme = darkNow() ? 'dark' : 'light';
}
