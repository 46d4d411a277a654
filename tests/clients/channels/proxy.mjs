// What stands between a client and Musubi on a bad day: it loses an answer, then sends the client away, then behaves.
import { createServer, request } from 'node:http';

/** For each source the first POST is passed on and answered 500, as if its answer was lost; the second is sent away as
 *  Musubi does it (429, or 503 for PostHog's, of which the browser's drops at 429) and not passed on; all others go through. */
export async function failing(target) {
  const { hostname, port } = new URL(target);
  const met = {};
  const server = createServer((asked, answer) => {
    const source = asked.url.split(/[/?]/)[2];
    const nr = asked.method === 'POST' && isEvents(asked.url) ? (met[source] = (met[source] ?? 0) + 1) : 0;
    if (nr === 2) {
      asked.resume();
      asked.on('end', () => answer.writeHead(/^posthog/.test(source) ? 503 : 429, { 'retry-after': '1', ...readable(asked) }).end('{}'));
      return;
    }
    const onward = request({ hostname, port, path: asked.url, method: asked.method, headers: asked.headers }, (got) => {
      if (nr === 1) {
        got.resume();
        got.on('end', () => answer.writeHead(500, readable(asked)).end('{}'));
      } else {
        answer.writeHead(got.statusCode, got.headers);
        got.pipe(answer);
      }
    });
    onward.on('error', () => answer.destroy());
    asked.pipe(onward);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    base: `http://127.0.0.1:${server.address().port}`,
    /** How many POSTs of events came for a source. */
    met: (source) => met[source] ?? 0,
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** PostHog's SDKs ask for their flags by POST, which is none of their events. */
function isEvents(url) {
  return !/\/(flags|decide|array)\//.test(url);
}

/** Without these, a browser tells its SDK of no answer at all. */
function readable(asked) {
  const { origin } = asked.headers;
  return origin
    ? {
        'access-control-allow-origin': origin,
        'access-control-allow-credentials': 'true',
        'access-control-expose-headers': 'Retry-After',
      }
    : {};
}
