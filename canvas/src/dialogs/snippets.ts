/** The tabs of the connect dialog (UI-77…83): which there are, what they hold, and what to do when something fails. */

import type { Connection } from '../lib/api';
import { obj, str } from '../lib/json';

export interface ConnectTab {
  id: string;
  label: string;
  /** Member of the connection that holds the snippet. */
  key: string;
  /** Where what the snippet names is installed from. */
  install?: { text: string; href?: string };
  /** File of `docs/` that tells more. */
  guide: string;
  /** What may go wrong, and what helps. */
  errors: readonly [string, string][];
}

const REFUSED: [string, string] = [
  '401 from the platform',
  'The token was not pasted whole, or was revoked. Make another one under the workspace’s Tokens tab; the old ones stay valid.',
];
const MOLECULE = { text: 'The molecule program itself: copy it to the machine that runs the agent.' };

export const TABS: readonly ConnectTab[] = [
  {
    id: 'mcp',
    label: 'Universal MCP',
    key: 'universal_mcp_snippet',
    install: MOLECULE,
    guide: 'external-agents.md',
    errors: [
      [
        'command not found: molecule',
        'Put the program on the PATH of the agent’s host, or write its whole path into the configuration.',
      ],
      REFUSED,
    ],
  },
  {
    id: 'python',
    label: 'Python',
    key: 'python_snippet',
    install: { text: 'Python 3; nothing else is needed.', href: 'https://www.python.org/downloads/' },
    guide: 'external-agents.md',
    errors: [
      [
        'URLError: connection refused',
        'PLATFORM_URL is not reachable from that machine. Use an address of this server that is.',
      ],
      REFUSED,
    ],
  },
  {
    id: 'claude-code',
    label: 'Claude Code',
    key: 'claude_code_channel_snippet',
    install: { text: 'Claude Code, and Bun for its channel plugin.', href: 'https://bun.sh' },
    guide: 'external-agents.md',
    errors: [
      ['plugin not installed', 'Add the marketplace and install the plugin before launching.'],
      [
        'not on the approved channels allowlist',
        'Launch with --dangerously-load-development-channels. In managed Team and Enterprise settings an admin has to set channelsEnabled and allowedChannelPlugins.',
      ],
      REFUSED,
    ],
  },
  {
    id: 'hermes',
    label: 'Hermes',
    key: 'hermes_channel_snippet',
    install: MOLECULE,
    guide: 'external-agents.md',
    errors: [
      [
        'YAML: duplicate key “gateway”',
        'Add plugin_platforms below the gateway: block that is there; a second block is not valid.',
      ],
      REFUSED,
    ],
  },
  {
    id: 'codex',
    label: 'Codex',
    key: 'codex_snippet',
    install: { text: 'Codex 0.57 or later.', href: 'https://github.com/openai/codex' },
    guide: 'external-agents.md',
    errors: [
      ['duplicate key in config.toml', 'The block is there already: change it instead of appending it again.'],
      [
        'Messages from the canvas do not wake Codex',
        'The bridge is not running. Look at its log, then start it again.',
      ],
      REFUSED,
    ],
  },
  {
    id: 'openclaw',
    label: 'OpenClaw',
    key: 'openclaw_snippet',
    install: MOLECULE,
    guide: 'external-agents.md',
    errors: [
      ['address already in use: 18789', 'Another gateway runs. Stop it, or give this one another port.'],
      REFUSED,
    ],
  },
  {
    id: 'curl',
    label: 'curl',
    key: 'curl_register_template',
    guide: 'external-agents.md',
    errors: [
      ['An empty 404 from /workspaces/…', 'The edge asks for the Origin header; the snippet sends it with every call.'],
      REFUSED,
    ],
  },
];

const PLACEHOLDERS = ['<paste from create response>', '<paste-token>', '$YOUR_TOKEN'];

/** The snippet ready to run: the real token wherever the placeholder stands, also inside comments (UI-79). */
export function filled(snippet: string, token: string): string {
  return token ? PLACEHOLDERS.reduce((text, mark) => text.replaceAll(mark, token), snippet) : snippet;
}

/** The tabs for which the server sent a snippet (UI-78). */
export function tabsOf(connection: Connection): { tab: ConnectTab; text: string }[] {
  const members = obj(connection);
  return TABS.map((tab) => ({ tab, text: filled(str(members[tab.key]), str(members.auth_token)) })).filter(
    ({ text }) => text !== '',
  );
}
