import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './App';
import { queries, start } from './app';
import { ErrorBoundary } from './chrome/ErrorBoundary';
import './styles.css';
import { applyTheme } from './ui/store';

applyTheme();
window.matchMedia('(prefers-color-scheme: light)').addEventListener('change', applyTheme);
void start();

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <ErrorBoundary>
        <QueryClientProvider client={queries}>
          <App />
        </QueryClientProvider>
      </ErrorBoundary>
    </StrictMode>,
  );
}
