// kafkajs reads a topic from the beginning to its end, and prints a line for each record: key, tab, value.
//
//     node table.mjs 127.0.0.1:9092 TOPIC        (kafkajs and lz4js found by NODE_PATH)
//
// kafkajs knows gzip alone: a codec for LZ4, which stitchers write, is what any consumer with it has to bring.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.NODE_PATH}/`);
const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = require('kafkajs');
const lz4 = require('lz4js');
const PATIENCE = 30_000;
const [, , broker, topic] = process.argv;

CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async ({ buffer }) => Buffer.from(lz4.compress(buffer)),
  decompress: async (buffer) => Buffer.from(lz4.decompress(buffer)),
});
const kafka = new Kafka({ clientId: 'tables', brokers: [broker], logLevel: logLevel.NOTHING });
const late = setTimeout(() => assert.fail(`\`${topic}\` not read in ${PATIENCE} ms: ${lines.length} records, left ${[...left]}`), PATIENCE);
const admin = kafka.admin();
await admin.connect();
const offsets = await admin.fetchTopicOffsets(topic);
await admin.disconnect();

// A partition ends with the mark of a transaction, which nobody is shown: the record before it is the last.
const left = new Set(offsets.filter(({ high, low }) => high !== low).map(({ partition }) => partition));
const lines = [];
let done;
const finished = new Promise((resolve) => (done = resolve));
const consumer = kafka.consumer({ groupId: `${topic}.js`, readUncommitted: false, maxWaitTimeInMs: 100 });
await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: true });
consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
  const { high } = offsets.find(({ partition }) => partition === payload.partition);
  if (BigInt(payload.lastOffset) + 2n >= BigInt(high)) left.delete(payload.partition);
  if (left.size === 0) done();
});
if (left.size === 0) done();
await consumer.run({
  eachMessage: async ({ message }) => {
    lines.push(`${message.key}\t${message.value ?? ''}\n`);
  },
});
await finished;
await consumer.disconnect();
clearTimeout(late);
process.stdout.write(lines.join(''));
