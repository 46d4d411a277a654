// The SDKs for Node: each tells one story, of somebody who looks, signs in and looks on.

export const EVENTS = 5;

export function stories(require, base) {
  return {
    'segment-node': async (name) => {
      const { Analytics } = require('@segment/analytics-node');
      const analytics = new Analytics({ writeKey: name, host: base, path: `/in/${name}/v1/batch`, flushInterval: 50 });
      const anonymousId = `a-${name}`;
      analytics.page({ anonymousId, name: 'Home' });
      analytics.identify({ anonymousId, userId: `u-${name}`, traits: { email: `${name}@example.jp` } });
      for (let nr = 0; nr < 3; nr++) analytics.track({ userId: `u-${name}`, event: 'Product Viewed', properties: { nr } });
      await analytics.closeAndFlush({ timeout: 60_000 });
    },
    'rudder-node': async (name) => {
      const found = require('@rudderstack/rudder-sdk-node');
      const Rudder = found.default ?? found;
      const rudder = new Rudder(name, { dataPlaneUrl: `${base}/in/${name}`, flushInterval: 50, logLevel: 'silent' });
      const anonymousId = `a-${name}`;
      rudder.page({ anonymousId, name: 'Home' });
      rudder.identify({ anonymousId, userId: `u-${name}`, traits: { email: `${name}@example.jp` } });
      for (let nr = 0; nr < 3; nr++) rudder.track({ userId: `u-${name}`, event: 'Product Viewed', properties: { nr } });
      await rudder.flush();
    },
    'posthog-node': async (name) => {
      const { PostHog } = require('posthog-node');
      const posthog = new PostHog(name, { host: `${base}/in/${name}`, flushInterval: 50, fetchRetryDelay: 200 });
      const [distinctId, anonymous] = [`u-${name}`, `a-${name}`];
      posthog.capture({ distinctId: anonymous, event: '$pageview', properties: { $is_identified: false } });
      posthog.capture({
        distinctId,
        event: '$identify',
        properties: { $anon_distinct_id: anonymous, $set: { email: `${name}@example.jp` } },
      });
      for (let nr = 0; nr < 3; nr++) posthog.capture({ distinctId, event: 'product viewed', properties: { nr } });
      await posthog.shutdown(60_000);
    },
    'snowplow-node': async (name) => {
      const snowplow = require('@snowplow/node-tracker');
      let arrived = 0;
      const tracker = snowplow.newTracker(
        { namespace: 'clients', appId: name, encodeBase64: true },
        {
          endpoint: `${base.slice('http://'.length)}/in/${name}`, protocol: 'http', bufferSize: 1,
          onRequestSuccess: (batch) => { arrived += batch.length; },
        },
      );
      tracker.setDomainUserId(`a-${name}`);
      tracker.track(snowplow.buildPageView({ pageUrl: 'https://shop.example/' }));
      tracker.setUserId(`u-${name}`);
      const schema = 'iglu:example.shop/signed_in/jsonschema/1-0-0';
      tracker.track(
        snowplow.buildSelfDescribingEvent({ event: { schema, data: { email: `${name}@example.jp` } } }),
      );
      for (let nr = 0; nr < 3; nr++) {
        tracker.track(snowplow.buildStructEvent({ category: 'shop', action: 'product viewed', value: nr }));
      }
      // It keeps what did not arrive, and tries again when something else is to be sent.
      for (let tries = 0; arrived < EVENTS; tries++) {
        if (tries === 100) throw new Error(`${name}: ${arrived} events arrived`);
        await tracker.flush();
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
    'cloudevents-node': async (name) => {
      const { CloudEvent, HTTP, httpTransport, emitterFor, Mode } = require('cloudevents');
      const event = (nr, more) =>
        new CloudEvent({
          id: `${nr}`, source: '/shop', type: 'product viewed', subject: `u-${name}`,
          data: { anonymous: `a-${name}`, mail: `${name}@example.jp`, nr }, ...more,
        });
      const url = `${base}/in/${name}?key=${name}`;
      const sent = async (mode, cloudevent) => {
        const answer = await emitterFor(httpTransport(url), { binding: HTTP, mode })(cloudevent);
        return JSON.parse(answer.body);
      };
      // This client tries nothing again: who uses it has to, until it hears that it was taken.
      const until = async (send) => {
        for (let tries = 0; tries < 5; tries++) {
          const taken = await send().catch(() => ({}));
          if (taken.accepted > 0) return;
        }
        throw new Error(`${name}: never taken`);
      };
      const [first, second] = [event(0), event(1)];
      await until(() => sent(Mode.BINARY, first));
      await until(() => sent(Mode.STRUCTURED, second));
      const batch = JSON.stringify([2, 3, 4].map((nr) => event(nr).toJSON()));
      const headers = { 'content-type': 'application/cloudevents-batch+json' };
      await until(() => fetch(url, { method: 'POST', headers, body: batch }).then((answer) => answer.json()));
    },
  };
}
