// kafkajs against a broker: transactions with an abort, offsets in a transaction, and a group of two.
//
//     node kafkajs.mjs 127.0.0.1:9092        (kafkajs found by NODE_PATH)
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';

const { Kafka, Partitioners, logLevel } = createRequire(`${process.env.NODE_PATH}/`)('kafkajs');
const PATIENCE = 60_000;
const RECORDS = 300;

const run = randomUUID().slice(0, 8);
const [topic, group] = [`js-${run}`, `js-${run}`];
const kafka = new Kafka({ clientId: 'clients', brokers: [process.argv[2]], logLevel: logLevel.NOTHING });
const late = setTimeout(() => assert.fail(`not done in ${PATIENCE} ms`), PATIENCE);
const begun = Date.now();

const admin = kafka.admin();
await admin.connect();
const configEntries = [{ name: 'min.insync.replicas', value: '1' }];
await admin.createTopics({ topics: [{ topic, numPartitions: 3, replicationFactor: 1, configEntries }] });

const producer = kafka.producer({
  transactionalId: group,
  idempotent: true,
  maxInFlightRequests: 1,
  createPartitioner: Partitioners.DefaultPartitioner,
});
await producer.connect();
const messages = (what) => Array.from({ length: RECORDS }, (_, nr) => ({ key: `${nr}`, value: `${what} ${nr}` }));
for (const [what, offset] of [['committed', '3'], ['aborted', '9']]) {
  const transaction = await producer.transaction();
  await transaction.send({ topic, messages: messages(what) });
  const topics = [{ topic, partitions: [{ partition: 0, offset }] }];
  await transaction.sendOffsets({ consumerGroupId: `${group}-offsets`, topics });
  await (what === 'committed' ? transaction.commit() : transaction.abort());
}
const [{ partitions }] = await admin.fetchOffsets({ groupId: `${group}-offsets`, topics: [topic] });
assert.equal(partitions.find(({ partition }) => partition === 0).offset, '3');

const seen = [];
let whenAllSeen;
const allSeen = new Promise((resolve) => (whenAllSeen = resolve));
const join = async () => {
  const consumer = kafka.consumer({ groupId: group, readUncommitted: false, heartbeatInterval: 300, maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => resolve(payload)));
  await consumer.run({
    eachMessage: async ({ message }) => {
      seen.push(message.value.toString());
      if (seen.length === RECORDS) whenAllSeen();
    },
  });
  return { consumer, assigned: (await joined).memberAssignment[topic] };
};
const first = await join();
assert.equal(first.assigned.length, 3);
await allSeen;
const wanted = messages('committed').map(({ value }) => value);
assert.deepEqual(seen.toSorted(), wanted.toSorted());
const second = await join();
assert.ok(second.assigned.length >= 1, 'the second member has its share');
const [{ members, state }] = (await admin.describeGroups([group])).groups;
assert.deepEqual([members.length, state], [2, 'Stable']);

await Promise.all([first.consumer, second.consumer, producer, admin].map((client) => client.disconnect()));
clearTimeout(late);
console.log(`kafkajs: ${RECORDS} records exactly once in ${(Date.now() - begun) / 1000} s`);
