import { Component } from 'react';
import { CopyButton } from '../ui/bits';

/** An error of this page: what it was, and what to do (UI-62). */
export class ErrorBoundary extends Component<{ children: React.ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: unknown): { error: Error } {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override render(): React.ReactNode {
    const { error } = this.state;
    if (!error) return this.props.children;
    return (
      <main className="grid h-full place-items-center p-6">
        <div className="max-w-lg space-y-3" role="alert">
          <h1 className="text-lg font-semibold">This page stopped working</h1>
          <p className="text text-ink-2">
            Your organisation is not affected: its agents go on. What the page said: {error.message}
          </p>
          <div className="flex gap-2">
            <button type="button" className="btn btn-primary" onClick={() => window.location.reload()}>
              Reload
            </button>
            <CopyButton label="Copy report" text={`${error.message}\n${error.stack ?? ''}\n${navigator.userAgent}`} />
          </div>
        </div>
      </main>
    );
  }
}
