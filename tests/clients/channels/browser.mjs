// The SDKs for browsers, in a real one, on a page of another origin than Musubi's.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

const SCRIPTS = {
  '/segment.js': '@segment/analytics-next/dist/umd/index.js',
  '/rudder.js': '@rudderstack/analytics-js/dist/npm/modern/bundled/umd/index.js',
  '/posthog.js': 'posthog-js/dist/module.no-external.js',
};

/** Each page's script; NAME and DOOR are the source's. `anonymous` is told to the test, and when all is said, `done`. */
const STORIES = {
  'segment-browser': `
    await script('/segment.js');
    const [analytics] = await AnalyticsNext.AnalyticsBrowser.load(
      { writeKey: NAME, cdnURL: DOOR },
      { integrations: { 'Segment.io': { apiHost: DOOR.slice('http://'.length) + '/v1', protocol: 'http' } } });
    window.anonymous = analytics.user().anonymousId();
    analytics.page();
    analytics.identify('u-' + NAME, { email: NAME + '@example.jp' });
    for (let nr = 0; nr < 3; nr++) analytics.track('Product Viewed', { nr });`,
  'rudder-browser': `
    await script('/rudder.js');
    const analytics = new rudderanalytics.RudderAnalytics();
    analytics.load(NAME, DOOR, { configUrl: DOOR, logLevel: 'ERROR' });
    await new Promise((resolve) => analytics.ready(resolve));
    window.anonymous = analytics.getAnonymousId();
    analytics.page();
    analytics.identify('u-' + NAME, { email: NAME + '@example.jp' });
    for (let nr = 0; nr < 3; nr++) analytics.track('Product Viewed', { nr });`,
  'posthog-browser': `
    const { default: posthog } = await import('/posthog.js');
    posthog.init(NAME, { api_host: DOOR, autocapture: false, capture_pageview: false, capture_pageleave: false,
      disable_session_recording: true, capture_heatmaps: false,
      // It takes a browser without a window for a robot.
      opt_out_useragent_filter: true });
    window.anonymous = posthog.get_distinct_id();
    posthog.capture('$pageview');
    posthog.identify('u-' + NAME, { email: NAME + '@example.jp' });
    for (let nr = 0; nr < 3; nr++) posthog.capture('product viewed', { nr });`,
};

const page = (name, door) => `<!doctype html><title>${name}</title><script>
const NAME = ${JSON.stringify(name)}, DOOR = ${JSON.stringify(door)};
const script = (src) => new Promise((resolve, reject) => {
  const element = document.createElement('script');
  Object.assign(element, { src, onload: resolve, onerror: reject });
  document.head.append(element);
});
(async () => {${STORIES[name]}
})().catch((why) => { window.failed = String(why?.stack ?? why); });
</script>`;

export const BROWSERS = Object.keys(STORIES);

/** Opens the page of each, all at once, and gives the browser, to be closed when everything has arrived, and by which
 *  identifier each SDK knew the visitor. */
export async function browse(require, modules, chromium, base) {
  const server = createServer(async (asked, answer) => {
    const name = asked.url.slice(1);
    const script = SCRIPTS[asked.url];
    if (script) {
      answer.writeHead(200, { 'content-type': 'text/javascript' }).end(await readFile(`${modules}/${script}`));
    } else if (STORIES[name]) {
      answer.writeHead(200, { 'content-type': 'text/html' }).end(page(name, `${base}/in/${name}`));
    } else {
      answer.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const found = require('puppeteer-core');
  const browser = await (found.default ?? found).launch({
    executablePath: chromium, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
  const anonymous = {};
  await Promise.all(BROWSERS.map(async (name) => {
    const tab = await (await browser.createBrowserContext()).newPage();
    if (process.env.SHOW) tab.on('console', (message) => console.error(name, message.text()));
    // `localhost` is another origin than the address that Musubi listens at.
    await tab.goto(`http://localhost:${server.address().port}/${name}`);
    const told = await tab.waitForFunction('window.failed || window.anonymous', { timeout: 60_000 });
    const failed = await tab.evaluate('window.failed');
    if (failed) throw new Error(`${name}: ${failed}`);
    anonymous[name] = await told.jsonValue();
  }));
  const stop = async () => {
    await browser.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { anonymous, stop };
}
