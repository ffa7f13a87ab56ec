/** A reverse proxy that serves the platform below a path, as operators do. */

import { createServer, request, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';

export async function proxyBelow(prefix: string, port: number): Promise<{ url: string; server: Server }> {
  const below = (path: string | undefined) => (path?.startsWith(`${prefix}/`) ? path.slice(prefix.length) : null);
  const server = createServer((incoming, outgoing) => {
    const path = below(incoming.url);
    if (path === null) {
      outgoing.writeHead(404).end();
      return;
    }
    const { method, headers } = incoming;
    const forwarded = request({ host: '127.0.0.1', port, path, method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    forwarded.on('error', () => outgoing.destroy());
    incoming.pipe(forwarded);
  });
  server.on('upgrade', (incoming, socket, head) => {
    const path = below(incoming.url);
    if (path === null) {
      socket.destroy();
      return;
    }
    const upstream = connect(port, '127.0.0.1', () => {
      const lines = [`${incoming.method} ${path} HTTP/1.1`];
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
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${prefix}/`, server };
}
