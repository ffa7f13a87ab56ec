/** Server-Sent Events, parsed from text as it arrives (the stream part of an A2A reply). */

export interface SseEvent {
  event: string;
  data: string;
}

/** Incremental parser: feed it decoded text, get whole events back. */
export class SseParser {
  #rest = '';
  #data: string[] = [];
  #event = '';
  #started = false;

  /** Takes decoded text, which may end anywhere, also between CR and LF. Hands back the events it completed. */
  push(chunk: string): SseEvent[] {
    let text = this.#rest + chunk;
    if (!this.#started && text.length > 0) {
      this.#started = true;
      if (text.charCodeAt(0) === 0xfeff) text = text.slice(1);
    }
    const done: SseEvent[] = [];
    let from = 0;
    for (;;) {
      const end = lineEnd(text, from);
      // A CR at the very end may be the first half of a CRLF: wait for the next chunk.
      if (end === -1 || (text[end] === '\r' && end === text.length - 1)) break;
      const event = this.#line(text.slice(from, end));
      if (event) done.push(event);
      from = end + (text[end] === '\r' && text[end + 1] === '\n' ? 2 : 1);
    }
    this.#rest = text.slice(from);
    return done;
  }

  /**
   * The stream has ended. A last event that lacks its blank line is still delivered: losing the end of a reply would be
   * worse than accepting a sloppy sender.
   */
  end(): SseEvent[] {
    const last = this.#rest.replace(/\r$/, '');
    this.#rest = '';
    return [last ? this.#line(last) : null, this.#line('')].filter((event) => event !== null);
  }

  #line(line: string): SseEvent | null {
    if (line === '') {
      const data = this.#data;
      const event = this.#event || 'message';
      this.#data = [];
      this.#event = '';
      return data.length > 0 ? { event, data: data.join('\n') } : null;
    }
    if (line.startsWith(':')) return null;
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    let value = colon === -1 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (field === 'data') this.#data.push(value);
    else if (field === 'event') this.#event = value;
    return null;
  }
}

function lineEnd(text: string, from: number): number {
  for (let i = from; i < text.length; i += 1) {
    const c = text[i];
    if (c === '\n' || c === '\r') return i;
  }
  return -1;
}

/** Reads a response body as events. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<SseEvent> {
  const parser = new SseParser();
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
    yield* parser.push(decoder.decode());
    yield* parser.end();
  } finally {
    // Who stops reading early wants no more of it; after the end this does nothing.
    reader.cancel().catch(() => null);
    reader.releaseLock();
  }
}
