// Requests that vendors sign: each signature is made or accepted by the vendor's own library, and then by Musubi; with one
// byte changed, by neither.
import assert from 'node:assert/strict';
import { createHmac, createSign, generateKeyPairSync } from 'node:crypto';

const PUBLIC = 'https://door.example/in';
const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** The secrets of the sources, by the variable that holds each. */
export const secrets = {
  LINE_SECRET: 'line secret of the clients',
  SHOPIFY_SECRET: 'shopify secret of the clients',
  TWILIO_SECRET: 'twilio token of the clients',
  SQUARE_SECRET: 'square key of the clients',
  HUBSPOT_SECRET: 'hubspot secret of the clients',
  SENDGRID_SECRET: keys.publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
  HOOKS_SECRET: `whsec_${Buffer.from('standard webhooks of the clients').toString('base64')}`,
};

const source = (name, more = '') => `[[source]]
name = "${name}"
preset = "${name}"
secret = { env = "${name.toUpperCase()}_SECRET" }
${more}`;

export const sources = [
  source('line', 'scope = "provider-1"'),
  source('shopify'),
  source('twilio', `public_url = "${PUBLIC}/twilio"`),
  source('square', `public_url = "${PUBLIC}/square"`),
  source('hubspot', `public_url = "${PUBLIC}/hubspot"`),
  source('sendgrid'),
  `[[source]]
name = "hooks"
secret = { env = "HOOKS_SECRET" }
signature = "standard-webhooks"
[source.fields]
event_id = ["id"]
identifiers = { mail = "email" }`,
];

const hmac = (secret, ...parts) => {
  const made = createHmac('sha256', secret);
  parts.forEach((part) => made.update(part));
  return made.digest('base64');
};

/** Each vendor's: the headers over a body, what accepts them, and whom the body speaks of. */
function vendors(require) {
  const { validateSignature } = require('@line/bot-sdk');
  require('@shopify/shopify-api/adapters/node');
  const { shopifyApi, LATEST_API_VERSION } = require('@shopify/shopify-api');
  const twilio = require('twilio');
  const { WebhooksHelper } = require('square');
  const { Signature } = require('@hubspot/api-client');
  const { EventWebhook } = require('@sendgrid/eventwebhook');
  const { Webhook } = require('standardwebhooks');
  const shopify = shopifyApi({
    apiKey: 'key', apiSecretKey: secrets.SHOPIFY_SECRET, apiVersion: LATEST_API_VERSION ?? '2025-10',
    scopes: [], hostName: 'door.example', isEmbeddedApp: false, logger: { level: 0 },
  });
  const now = Math.floor(Date.now() / 1_000).toString();
  return {
    line: {
      body: JSON.stringify({
        destination: 'U0', events: [{
          type: 'follow', mode: 'active', timestamp: Date.now(), webhookEventId: '01HWLINE', replyToken: 'r',
          deliveryContext: { isRedelivery: false }, source: { type: 'user', userId: `U${'a'.repeat(32)}` },
        }],
      }),
      headers: (body) => ({ 'x-line-signature': hmac(secrets.LINE_SECRET, body) }),
      accepts: (body, headers) => validateSignature(body, secrets.LINE_SECRET, headers['x-line-signature']),
      person: ['line_user_id', `provider-1:U${'a'.repeat(32)}`],
    },
    shopify: {
      body: JSON.stringify({ id: 1, email: 'shopify@example.jp', created_at: '2026-04-01T12:00:00+09:00', customer: { id: 7 } }),
      headers: (body) => ({
        'x-shopify-hmac-sha256': hmac(secrets.SHOPIFY_SECRET, body), 'x-shopify-topic': 'orders/create',
        'x-shopify-api-version': '2025-10', 'x-shopify-shop-domain': 'clients.myshopify.com',
        'x-shopify-webhook-id': 'w1', 'x-shopify-event-id': 'e1',
      }),
      accepts: async (body, headers) => {
        const rawRequest = { method: 'POST', url: '/', headers };
        return (await shopify.webhooks.validate({ rawBody: body, rawRequest })).valid;
      },
      person: ['email', 'shopify@example.jp'],
    },
    twilio: {
      form: { CallSid: 'CA1', CallStatus: 'ringing', Direction: 'inbound', From: '+81312345678', To: '+81398765432' },
      headers: (body) => ({
        'content-type': 'application/x-www-form-urlencoded',
        'x-twilio-signature': twilio.getExpectedTwilioSignature(
          secrets.TWILIO_SECRET, `${PUBLIC}/twilio`, Object.fromEntries(new URLSearchParams(body))),
      }),
      accepts: (body, headers) => twilio.validateRequest(
        secrets.TWILIO_SECRET, headers['x-twilio-signature'], `${PUBLIC}/twilio`,
        Object.fromEntries(new URLSearchParams(body))),
      person: ['phone', '+81312345678'],
    },
    square: {
      body: JSON.stringify({
        merchant_id: 'M1', type: 'customer.created', event_id: 'sq-1', created_at: '2026-04-01T03:00:00Z',
        data: { type: 'customer', id: 'C1', object: { customer: { id: 'C1', email_address: 'square@example.jp' } } },
      }),
      headers: (body) => ({ 'x-square-hmacsha256-signature': hmac(secrets.SQUARE_SECRET, `${PUBLIC}/square`, body) }),
      accepts: (requestBody, headers) => WebhooksHelper.verifySignature({
        requestBody, signatureHeader: headers['x-square-hmacsha256-signature'],
        signatureKey: secrets.SQUARE_SECRET, notificationUrl: `${PUBLIC}/square`,
      }),
      person: ['email', 'square@example.jp'],
    },
    hubspot: {
      body: JSON.stringify([{
        eventId: 1, subscriptionId: 2, subscriptionType: 'contact.propertyChange', objectId: 3,
        propertyName: 'email', propertyValue: 'hubspot@example.jp', occurredAt: Date.now(),
      }]),
      headers: (requestBody) => {
        const timestamp = Date.now();
        const options = { clientSecret: secrets.HUBSPOT_SECRET, url: `${PUBLIC}/hubspot`, requestBody, timestamp };
        return {
          'x-hubspot-request-timestamp': `${timestamp}`,
          'x-hubspot-signature-v3': Signature.getSignature('POST', 'v3', options),
        };
      },
      accepts: (requestBody, headers) => Signature.isValid({
        method: 'POST', signatureVersion: 'v3', clientSecret: secrets.HUBSPOT_SECRET, url: `${PUBLIC}/hubspot`,
        requestBody, timestamp: Number(headers['x-hubspot-request-timestamp']),
        signature: headers['x-hubspot-signature-v3'],
      }),
      person: ['email', 'hubspot@example.jp'],
    },
    sendgrid: {
      body: `${JSON.stringify([{ email: 'sendgrid@example.jp', event: 'open', sg_event_id: 'sg-1', timestamp: Number(now) }])}\r\n`,
      headers: (body) => ({
        'x-twilio-email-event-webhook-timestamp': now,
        'x-twilio-email-event-webhook-signature':
          createSign('sha256').update(now + body).sign(keys.privateKey).toString('base64'),
      }),
      accepts: (body, headers) => {
        const webhook = new EventWebhook();
        const key = webhook.convertPublicKeyToECDSA(secrets.SENDGRID_SECRET);
        return webhook.verifySignature(
          key, body, headers['x-twilio-email-event-webhook-signature'], headers['x-twilio-email-event-webhook-timestamp']);
      },
      person: ['email', 'sendgrid@example.jp'],
    },
    hooks: {
      body: JSON.stringify({ id: 'h1', type: 'signed_up', mail: 'hooks@example.jp' }),
      headers: (body) => {
        const at = new Date();
        return {
          'webhook-id': 'msg_1', 'webhook-timestamp': `${Math.floor(at.getTime() / 1_000)}`,
          'webhook-signature': new Webhook(secrets.HOOKS_SECRET).sign('msg_1', at, body),
        };
      },
      accepts: (body, headers) => {
        try {
          new Webhook(secrets.HOOKS_SECRET).verify(body, headers);
          return true;
        } catch {
          return false;
        }
      },
      person: ['email', 'hooks@example.jp'],
    },
  };
}

/** Sends each vendor's request as it is and with a byte changed; gives how many touchpoints and refusals there must be. */
export async function signed(require, running) {
  const all = vendors(require);
  for (const [name, vendor] of Object.entries(all)) {
    const body = vendor.body ?? new URLSearchParams(vendor.form).toString();
    const changed = body.replace('1', '2');
    const headers = vendor.headers(body);
    const post = async (body) => (await fetch(`${running.base}/in/${name}`, { method: 'POST', headers, body })).status;
    assert.equal(await vendor.accepts(body, headers), true, `${name}: the vendor's library accepts its signature`);
    assert.equal(await vendor.accepts(changed, headers), false, `${name}: and of nothing else`);
    assert.equal(await post(body), 200, `${name}: so does Musubi`);
    assert.equal(await post(changed), 401, `${name}: and of nothing else`);
    await running.personOf(...vendor.person, 1);
  }
  return Object.keys(all).length;
}
