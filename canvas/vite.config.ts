import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

/** The server that the development server stands in front of; see CONTRIBUTING.md. */
const server = process.env.MOLECULE_SERVER ?? 'http://127.0.0.1:8080';

/** First segments of the API's paths: what the development server hands on. */
const api = [
  'admin',
  'approvals',
  'auth',
  'buildinfo',
  'canvas',
  'channels',
  'events',
  'health',
  'openapi.json',
  'org',
  'plugins',
  'registry',
  'settings',
  'templates',
  'workspaces',
];

export default defineConfig({
  // Relative addresses: the pages work below any path of a reverse proxy (D28).
  base: './',
  envPrefix: ['VITE_', 'NEXT_PUBLIC_'],
  plugins: [react(), tailwindcss()],
  build: {
    target: 'es2022',
    // The Content-Security-Policy forbids inline script, data: fonts and what a polyfill would add.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rollupOptions: { input: { index: 'index.html', docs: 'docs.html', orgs: 'orgs.html', pricing: 'pricing.html' } },
  },
  server: {
    proxy: {
      ...Object.fromEntries(api.map((segment) => [`^/${segment}(/|\\?|$)`, { target: server }])),
      '/ws': { target: server, ws: true },
    },
  },
  test: {
    include: ['src/**/*.test.{js,ts,tsx}'],
    restoreMocks: true,
  },
});
