/**
 * Markdown of agents. It becomes elements, never HTML; what is rendered at once is bounded, whatever came (UI-92).
 */

import { memo, useState } from 'react';
import ReactMarkdown, { type Components } from 'react-markdown';
import remarkGfm from 'remark-gfm';
import { boundedChunk, isTame } from '../lib/bounded';

const components: Components = {
  a: ({ href, children }) => {
    // Only addresses of the web are links; they open beside the page and learn nothing of it.
    const safe = href !== undefined && /^https?:\/\//i.test(href);
    return safe ? (
      <a href={href} target="_blank" rel="noopener noreferrer nofollow">
        {children}
      </a>
    ) : (
      <span>{children}</span>
    );
  },
  // A picture would call another host, and tell it that the message was read.
  img: ({ src, alt }) => <span>[image: {alt || (typeof src === 'string' ? src : '')}]</span>,
  pre: ({ children }) => <pre tabIndex={0}>{children}</pre>,
};

const plugins = [remarkGfm];

export const Markdown = memo(function Markdown({ text, streaming = false }: { text: string; streaming?: boolean }) {
  const [pages, setPages] = useState(1);
  const { shown, rest } = boundedChunk(text, pages);
  return (
    <div className="prose-chat" dir="auto">
      {isTame(shown) ? (
        <ReactMarkdown components={components} remarkPlugins={plugins}>
          {shown}
        </ReactMarkdown>
      ) : (
        <p className="whitespace-pre-wrap">{shown}</p>
      )}
      {rest > 0 && !streaming && (
        <button type="button" className="link" onClick={() => setPages((n) => n + 1)}>
          Show more ({rest.toLocaleString()} characters left)
        </button>
      )}
      {rest > 0 && streaming && <p className="text-ink-3">… {rest.toLocaleString()} more characters so far</p>}
    </div>
  );
});
