/** A control plane as far as the pages see one: who is signed in, organisations, terms, payment; the tenant's API behind it. */

import { createReadStream, existsSync } from 'node:fs';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { extname, join } from 'node:path';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};

export interface Org {
  slug: string;
  name: string;
  status: string;
  credits_balance?: number;
}

export class ControlPlane {
  orgs: Org[] = [];
  accepted = false;
  /** Every call of `/cp/`, in order. */
  calls: string[] = [];
  /** What the next calls of a path answer instead. */
  answers = new Map<string, { status: number; body: unknown }>();
  port = 0;
  #server: Server | null = null;

  constructor(
    readonly dist: string,
    readonly suffix: string,
    /** Port and operator's bearer of the tenant's server. */
    readonly tenant: { port: number; bearer: string },
  ) {}

  origin(label: string): string {
    return `http://${label}${this.suffix}:${this.port}`;
  }

  async start(): Promise<void> {
    const server = createServer((incoming, outgoing) => void this.#serve(incoming, outgoing));
    server.on('upgrade', (incoming, socket, head) => {
      const upstream = connect(this.tenant.port, '127.0.0.1', () => {
        const lines = [`${incoming.method} ${incoming.url} HTTP/1.1`];
        for (let i = 0; i < incoming.rawHeaders.length; i += 2)
          lines.push(`${incoming.rawHeaders[i]}: ${incoming.rawHeaders[i + 1]}`);
        upstream.write(`${lines.join('\r\n')}\r\n\r\n`);
        upstream.write(head);
        socket.pipe(upstream).pipe(socket);
      });
      for (const end of [upstream, socket]) {
        end.on('error', () => {
          upstream.destroy();
          socket.destroy();
        });
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  stop(): void {
    this.#server?.closeAllConnections();
    this.#server?.close();
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '/', `http://${incoming.headers.host}`);
    const signedIn = /(^|; )session=ada(;|$)/.test(incoming.headers.cookie ?? '');
    const json = (status: number, body: unknown) =>
      outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (url.pathname.startsWith('/cp/')) {
      this.calls.push(`${incoming.method} ${url.pathname}`);
      await this.#controlPlane(url, incoming, outgoing, signedIn, json);
      return;
    }
    const page = { '/': 'index.html', '/orgs': 'orgs.html', '/pricing': 'pricing.html' }[url.pathname];
    const file = join(this.dist, page ?? url.pathname);
    if (page || (url.pathname.startsWith('/assets/') && existsSync(file))) {
      outgoing.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' });
      createReadStream(file).pipe(outgoing);
      return;
    }
    if (!signedIn) {
      json(401, { error: 'admin auth required' });
      return;
    }
    // The edge vouches for the person that it knows.
    const headers = { ...incoming.headers, authorization: `Bearer ${this.tenant.bearer}`, cookie: '' };
    const forwarded = request(
      { host: '127.0.0.1', port: this.tenant.port, path: incoming.url, method: incoming.method, headers },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    forwarded.on('error', () => outgoing.destroy());
    incoming.pipe(forwarded);
  }

  async #controlPlane(
    url: URL,
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    signedIn: boolean,
    json: (status: number, body: unknown) => void,
  ): Promise<void> {
    const scripted = this.answers.get(`${incoming.method} ${url.pathname}`);
    if (scripted) {
      json(scripted.status, scripted.body);
      return;
    }
    if (url.pathname === '/cp/auth/login') {
      // Whoever comes here is signed in as Ada, and goes back to where they were.
      const cookie = `session=ada; Domain=${this.suffix.slice(1)}; Path=/; SameSite=Lax`;
      outgoing.writeHead(302, { location: url.searchParams.get('return_to') ?? '/', 'set-cookie': cookie }).end();
      return;
    }
    if (!signedIn) {
      json(401, { error: 'not signed in' });
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = chunks.length > 0 ? (JSON.parse(Buffer.concat(chunks).toString()) as Record<string, string>) : {};
    switch (`${incoming.method} ${url.pathname}`) {
      case 'GET /cp/auth/me':
        json(200, { user_id: 'u1', org_id: 'o1', email: 'ada@example.org' });
        return;
      case 'GET /cp/auth/terms-status':
        json(200, { accepted: this.accepted, current_version: '2026-11' });
        return;
      case 'POST /cp/auth/accept-terms':
        this.accepted = body.version === '2026-11';
        json(this.accepted ? 200 : 400, {});
        return;
      case 'GET /cp/orgs':
        json(200, { orgs: this.orgs });
        return;
      case 'POST /cp/orgs':
        this.orgs.push({ slug: body.slug ?? '', name: body.name ?? '', status: 'awaiting_payment' });
        json(201, {});
        return;
      case 'POST /cp/billing/checkout':
        json(200, { url: `${this.origin('pay')}/checkout?plan=${body.plan ?? ''}&org=${body.org_slug ?? ''}` });
        return;
      default:
        json(404, { error: 'not found' });
    }
  }
}
