"""confluent-kafka against a broker: produce, copy exactly once with an abort in the middle, read it back.

    python kafka_python.py 127.0.0.1:9092
"""

import sys
import time
import uuid

import confluent_kafka
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

RECORDS = 5000
BATCH = 1000
PATIENCE = 60


def main(bootstrap):
    run = uuid.uuid4().hex[:8]
    source, target = f"py-in-{run}", f"py-out-{run}"
    create(bootstrap, source, target)
    begun = time.time()
    produce(bootstrap, source)
    copy(bootstrap, source, target, f"py-{run}")
    settle(bootstrap, target)
    committed = read(bootstrap, target, "read_committed")
    everything = read(bootstrap, target, "read_uncommitted")
    wanted = sorted(f"value {nr}".encode() for nr in range(RECORDS))
    assert sorted(committed) == wanted, f"wanted {RECORDS} records once each, found {len(committed)}"
    assert len(everything) == RECORDS + BATCH, f"wanted the aborted batch too, found {len(everything)}"
    version = confluent_kafka.version()
    print(f"confluent-kafka {version}: {RECORDS} records exactly once in {time.time() - begun:.1f} s")


def create(bootstrap, *topics):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    config = {"retention.ms": "3600000", "min.insync.replicas": "1"}
    made = admin.create_topics([NewTopic(topic, 4, 1, config=config) for topic in topics])
    for done in made.values():
        done.result(PATIENCE)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topics[0])
    (described,) = admin.describe_configs([resource]).values()
    assert described.result(PATIENCE)["retention.ms"].value == "3600000"


def produce(bootstrap, topic):
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "compression.type": "zstd"})
    for nr in range(RECORDS):
        producer.produce(topic, key=str(nr), value=f"value {nr}")
    assert producer.flush(PATIENCE) == 0


def copy(bootstrap, source, target, name):
    """Consumes, produces and commits in batches. The second is aborted, as by a crash, and done again."""
    consumer = Consumer(reading(bootstrap, name, "read_committed"))
    consumer.subscribe([source])
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": name, "retry.backoff.ms": 10})
    producer.init_transactions(PATIENCE)
    done, rounds, deadline = 0, 0, time.time() + PATIENCE
    while done < RECORDS:
        assert time.time() < deadline, f"copied {done} of {RECORDS} in {PATIENCE} s"
        batch = consume(consumer, min(BATCH, RECORDS - done))
        producer.begin_transaction()
        for message in batch:
            producer.produce(target, key=message.key(), value=message.value())
        positions = consumer.position(consumer.assignment())
        producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata(), PATIENCE)
        rounds += 1
        if rounds == 2:
            producer.flush(PATIENCE)
            producer.abort_transaction(PATIENCE)
            for at in consumer.committed(consumer.assignment(), PATIENCE):
                consumer.seek(TopicPartition(at.topic, at.partition, max(at.offset, 0)))
        else:
            producer.commit_transaction(PATIENCE)
            done += len(batch)
    consumer.close()


def consume(consumer, count):
    batch, deadline = [], time.time() + PATIENCE
    while len(batch) < count:
        assert time.time() < deadline, f"consumed {len(batch)} of {count} in {PATIENCE} s"
        for message in consumer.consume(count - len(batch), 0.2):
            assert message.error() is None, message.error()
            batch.append(message)
    return batch


def reading(bootstrap, group, isolation):
    return {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "isolation.level": isolation,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "partition.assignment.strategy": "cooperative-sticky",
    }


def settle(bootstrap, topic):
    """Waits until the last transaction's mark is written, which is a little after its end is answered."""
    levels = ("read_committed", "read_uncommitted")
    readers = [Consumer(reading(bootstrap, f"settle-{uuid.uuid4().hex}", isolation)) for isolation in levels]
    deadline = time.time() + PATIENCE
    for partition in (TopicPartition(topic, number) for number in range(4)):
        while len({reader.get_watermark_offsets(partition, PATIENCE)[1] for reader in readers}) > 1:
            assert time.time() < deadline, f"a transaction is open after {PATIENCE} s"
            time.sleep(0.05)
    for reader in readers:
        reader.close()


def read(bootstrap, topic, isolation):
    """Every value that such a reader finds, to the end of all four partitions."""
    consumer = Consumer({**reading(bootstrap, f"read-{uuid.uuid4().hex}", isolation), "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(4)])
    values, ends, deadline = [], set(), time.time() + PATIENCE
    while len(ends) < 4:
        assert time.time() < deadline, f"at the end of {ends} in {PATIENCE} s"
        for message in consumer.consume(1000, 0.2):
            if message.error() is None:
                values.append(message.value())
            else:
                ends.add(message.partition())
    consumer.close()
    return values


if __name__ == "__main__":
    main(sys.argv[1])
