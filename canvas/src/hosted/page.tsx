/** What the hosted pages share: head, foot, and how each of them begins. */

import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { ErrorBoundary } from '../chrome/ErrorBoundary';
import { Toasts } from '../chrome/Toasts';
import '../styles.css';
import { Logo } from '../ui/Logo';
import { applyTheme } from '../ui/store';
import { Consent } from './Consent';
import { hosted } from './session';

const queries = new QueryClient({
  defaultOptions: { queries: { retry: 0, refetchOnWindowFocus: true }, mutations: { retry: false } },
});

/** Puts a page into its document. */
export function begin(page: React.ReactNode): void {
  applyTheme();
  const root = document.getElementById('root');
  if (!root) return;
  createRoot(root).render(
    <StrictMode>
      <ErrorBoundary>
        <QueryClientProvider client={queries}>
          {page}
          <Toasts />
          {hosted && <Consent />}
        </QueryClientProvider>
      </ErrorBoundary>
    </StrictMode>,
  );
}

export function Page({
  title,
  intro,
  aside,
  children,
}: {
  title: string;
  intro: string;
  aside?: React.ReactNode;
  children: React.ReactNode;
}) {
  return (
    <div className="h-full overflow-y-auto">
      <header className="border-b border-line bg-surface">
        <div className="mx-auto flex max-w-4xl flex-wrap items-center gap-x-4 gap-y-2 px-5 py-3">
          <p className="flex items-center gap-2 text-[15px] font-semibold tracking-tight">
            <Logo /> Molecule
          </p>
          <nav className="ml-auto flex gap-4 text-[13px]" aria-label="Pages">
            <a className="link" href="/orgs">
              Organisations
            </a>
            <a className="link" href="/pricing">
              Pricing
            </a>
          </nav>
        </div>
      </header>
      <main className="mx-auto max-w-4xl px-5 py-10">
        <div className="flex flex-wrap items-start gap-4">
          <div className="min-w-0 flex-1">
            <h1 className="text-3xl font-semibold tracking-tight text-balance">{title}</h1>
            <p className="mt-2 max-w-2xl text-[15px] text-ink-2">{intro}</p>
          </div>
          {aside}
        </div>
        <div className="mt-8">{children}</div>
      </main>
    </div>
  );
}
