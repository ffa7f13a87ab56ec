import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Http } from '../lib/http';
import { Session } from '../lib/session';
import '../styles.css';
import { applyTheme } from '../ui/store';
import { Reference } from './Reference';

applyTheme();
const session = new Session(window.localStorage);
const http = new Http({
  fetch: (url, init) => fetch(url, init),
  token: () => session.token,
  onUnauthorized: (used) => {
    session.forget(used);
  },
});
const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Reference http={http} />
    </StrictMode>,
  );
}
