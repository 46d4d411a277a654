// Clients that other people wrote, against `musubi up`: each tells one story through a bad connection, and what comes out
// must be exactly one person with exactly what was told.
//
//     node main.mjs MUSUBI CACHE CHROMIUM
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';

import { BROWSERS, browse } from './browser.mjs';
import { musubi } from './musubi.mjs';
import { EVENTS, stories } from './node_sdks.mjs';
import { failing } from './proxy.mjs';
import { secrets, signed, sources } from './signed.mjs';

const [binary, cache, chromium] = process.argv.slice(2);
const require = createRequire(`${cache}/`);
const PYTHON = ['segment-python', 'posthog-python', 'snowplow-python', 'cloudevents-python'];
const PYTHON_ALONE = ['rudder-python'];
/** What `signed.py` sends. */
const SIGNED_BY_PYTHON = 3;

const keyed = (name) => {
  const preset = { segment: 'segment', rudder: 'rudderstack', posthog: 'posthog', snowplow: 'snowplow', cloudevents: 'cloudevents' }[name.split('-')[0]];
  const fields = preset === 'cloudevents'
    ? '[source.fields]\nidentifiers = { "ce.subject" = "user_id", anonymous = "anonymous_id", mail = "email" }\n' : '';
  // Snowplow's trackers bring no key.
  const door = preset === 'snowplow' ? 'open = true' : `key = { env = "${variable(name)}" }`;
  return `[[source]]\nname = "${name}"\npreset = "${preset}"\n${door}\n${fields}`;
};
const variable = (name) => `${name.toUpperCase().replace('-', '_')}_KEY`;

function python(environment, name, ...more) {
  const script = new URL(name, import.meta.url).pathname;
  const child = spawn(`${cache}/${environment}/bin/python`, [script, ...more], {
    stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ...secrets },
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${name} ended with ${code}`))));
  });
}

process.on('unhandledRejection', (why) => {
  console.error(why);
  process.exit(1);
});

async function timed(title, work) {
  const begun = Date.now();
  const outcome = await work;
  console.log(`${title}: ${((Date.now() - begun) / 1_000).toFixed(1)} s`);
  return outcome;
}

// The names of sources are keys as well, so that each SDK proves that it brings its own.
const node = stories(require, '');
const names = [...Object.keys(node), ...PYTHON, ...PYTHON_ALONE, ...BROWSERS];
const keys = Object.fromEntries(names.map((name) => [variable(name), name]));
const running = await musubi(binary, [...names.map(keyed), ...sources], { ...secrets, ...keys });
const bad = await failing(running.base);
const told = stories(require, bad.base);
const browsing = timed('browsers', browse(require, `${cache}/node_modules`, chromium, bad.base));
const rest = Promise.all([
  ...Object.entries(told).map(([name, story]) => timed(name, story(name))),
  timed('Python', python('python', 'sdks.py', bad.base, ...PYTHON)),
  timed('Python, RudderStack', python('rudder', 'sdks.py', bad.base, ...PYTHON_ALONE)),
]);
const vendors = SIGNED_BY_PYTHON + (await timed('signed', signed(require, running)));
await timed('signed, Python', python('python', 'signed.py', running.base));
const [browser] = await Promise.all([browsing, rest]);

let touchpoints = vendors;
for (const name of names) {
  const person = await running.personOf('user_id', `u-${name}`, EVENTS);
  const anonymous = await running.person('anonymous_id', browser.anonymous[name] ?? `a-${name}`);
  assert.equal(anonymous.person_id, person.person_id, `${name}: who looked is who signed in`);
  const mail = await running.person('email', `${name}@example.jp`);
  assert.equal(mail.person_id, person.person_id, `${name}: and has the mail address`);
  assert.ok(bad.met(name) >= 2, `${name}: it lost an answer and was sent away`);
  touchpoints += EVENTS;
  console.log(`${name}: ${EVENTS} touchpoints, one person, ${bad.met(name)} requests`);
}
await browser.stop();
const taken = await running.metric('musubi_touchpoints_total{outcome="taken"}');
assert.equal(taken, touchpoints, 'nothing is lost and nothing is doubled');
const aside = await running.topic('quarantine');
const unexpected = aside.filter((record) => record.reason !== 'bad-signature');
assert.deepEqual(unexpected, [], 'nothing is set aside but what was changed on its way');
assert.equal(aside.length, vendors);
await bad.stop();
await running.stop();
console.log(`${names.length} SDKs and ${vendors} signatures: ${taken} touchpoints, none lost, none doubled`);
