"""Producers and consumers of others around a stitcher: each keeps a table of what it reads, and it is the state.

    python tables.py MUSUBI BROKER          (SCHEMA_REGISTRY_URL: a registry that stands already)

Twice, with the framing of Confluent and with JSON: confluent-kafka produces touchpoints with its own partitioner,
`musubi stitch` stitches them, and confluent-kafka (with its Avro deserialiser and the registry), kafkajs and kcat read
`profiles`, `identity-map`, `redirects` and the flat rows. What they come to is what `musubi run` writes.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from registry import Registry

HERE = Path(__file__).resolve().parent
SCHEMAS = HERE.parent.parent / "schemas"
PATIENCE = 120
os.environ.setdefault("MUSUBI_KEY", "a key for tests")
PARTITIONS = 3
TABLES = ["profiles", "identity-map", "redirects", "profile-identifiers", "profile-traits"]


def main(musubi, broker):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        registry = os.environ.get("SCHEMA_REGISTRY_URL") or Registry().url
        touchpoints, wanted = bounded(musubi, folder)
        for framing in ["confluent", "json"]:
            begun = time.time()
            stage = Stage(musubi, broker, registry, framing, folder / framing)
            stage.run("topics", "apply")
            produce(stage, touchpoints)
            stitch(stage)
            for name, read in readers(stage).items():
                tables = {topic: read(topic) for topic in TABLES}
                compare(f"{name}, {framing}", tables, wanted)
            print(f"tables, {framing}: {len(touchpoints)} touchpoints, {len(wanted['profiles'])} persons, "
                  f"{', '.join(readers(stage))} agree with the state in {time.time() - begun:.1f} s")


def bounded(musubi, folder):
    """Touchpoints, and the tables that `musubi run` makes of them."""
    lines = folder / "touchpoints.ndjson"
    subprocess.run([musubi, "generate", "--persons", "300", "--touchpoints", "3000", "--seed", "11", "--out", lines],
                   check=True)
    done = subprocess.run([musubi, "run", "--out", folder / "run", lines], check=True, stdout=subprocess.PIPE)
    print("musubi run:", done.stdout.decode().strip())
    return ([json.loads(line) for line in lines.open()],
            {name: [json.loads(line) for line in (folder / "run" / f"{name}.ndjson").open()]
             for name in ["profiles", "identity-map", "redirects"]})


class Stage:
    """A deployment of its own on the broker."""

    def __init__(self, musubi, broker, registry, framing, data):
        self.musubi, self.broker, self.registry, self.framing = musubi, broker, registry, framing
        self.prefix = f"tables-{uuid.uuid4().hex[:8]}."
        settings = {
            "kafka.bootstrap": broker, "kafka.prefix": self.prefix, "kafka.partitions": PARTITIONS,
            "kafka.replication": 1, "kafka.session_timeout_ms": 6000, "contract.framing": framing,
            "schemas.url": registry if framing == "confluent" else "", "stitch.data": data,
        }
        self.flags = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]

    def run(self, *command):
        return subprocess.run([self.musubi, *command, *self.flags], check=True, stdout=subprocess.DEVNULL)

    def topic(self, name):
        return f"{self.prefix}{name}"


def produce(stage, touchpoints):
    """Touchpoints from somebody else's producer, under a copy of our schema that it registers itself."""
    serialize = json_of
    if stage.framing == "confluent":
        client = SchemaRegistryClient({"url": stage.registry})
        serializer = AvroSerializer(client, (SCHEMAS / "touchpoints.avsc").read_text())
        context = SerializationContext(stage.topic("touchpoints"), MessageField.VALUE)
        serialize = lambda touchpoint: serializer(avro_of(touchpoint), context)  # noqa: E731
    producer = Producer({"bootstrap.servers": stage.broker, "enable.idempotence": True, "partitioner": "murmur2_random"})
    for touchpoint in touchpoints:
        first = (touchpoint["identifiers"] or [{"namespace": "", "value": ""}])[0]
        key = f"{first['namespace']}:{first['value']}"
        producer.produce(stage.topic("touchpoints"), key=key, value=serialize(touchpoint))
        producer.poll(0)
    assert producer.flush(PATIENCE) == 0


def json_of(touchpoint):
    return json.dumps(touchpoint, ensure_ascii=False).encode()


def avro_of(touchpoint):
    context = touchpoint.get("context", {})
    instant = lambda name: datetime.fromisoformat(touchpoint[name]) if name in touchpoint else None  # noqa: E731
    return {
        **{name: touchpoint[name] for name in ["source", "event_id", "channel", "type", "identifiers"]},
        "occurred_at": instant("occurred_at"),
        "received_at": instant("received_at"),
        "traits": json.dumps(touchpoint.get("traits", {})),
        "properties": json.dumps(touchpoint.get("properties", {})),
        "consent": touchpoint.get("consent", {}),
        "household": context.get("household"),
        "account": context.get("account"),
    }


def stitch(stage):
    """Stitches until nothing is left to read."""
    stitcher = subprocess.Popen([stage.musubi, "stitch", *stage.flags], stdout=subprocess.DEVNULL)
    deadline = time.time() + PATIENCE
    while subprocess.run([stage.musubi, "lag", *stage.flags], stdout=subprocess.DEVNULL).returncode != 0:
        assert stitcher.poll() is None, f"the stitcher ended with {stitcher.returncode}"
        assert time.time() < deadline, f"not stitched in {PATIENCE} s"
        time.sleep(0.5)
    stitcher.send_signal(signal.SIGTERM)
    assert stitcher.wait(PATIENCE) == 0


def readers(stage):
    """Who reads: each gives a table by key."""
    if stage.framing == "confluent":
        return {"confluent-kafka": lambda topic: by_python(stage, topic)}
    return {
        "confluent-kafka": lambda topic: by_python(stage, topic),
        "kafkajs": lambda topic: by_lines(["node", str(HERE / "table.mjs"), stage.broker, stage.topic(topic)]),
        "kcat": lambda topic: by_lines(kcat(stage, topic)),
    }


def by_python(stage, topic):
    """The newest record of each key, read committed from the beginning to the end."""
    decode = json.loads
    if stage.framing == "confluent":
        deserializer = AvroDeserializer(SchemaRegistryClient({"url": stage.registry}))
        context = SerializationContext(stage.topic(topic), MessageField.VALUE)
        decode = lambda value: deserializer(value, context)  # noqa: E731
    consumer = Consumer({"bootstrap.servers": stage.broker, "group.id": f"{stage.prefix}tables", "enable.auto.commit": False,
                         "isolation.level": "read_committed", "enable.partition.eof": True})
    parts = [TopicPartition(stage.topic(topic), number, 0) for number in range(PARTITIONS)]
    consumer.assign(parts)
    table, ended, deadline = {}, set(), time.time() + PATIENCE
    while len(ended) < PARTITIONS:
        assert time.time() < deadline, f"`{topic}` not read in {PATIENCE} s"
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            ended.add(message.partition())
            continue
        headers = dict(message.headers() or [])
        assert headers["ce_specversion"] == b"1.0" and int(headers["profile_version"]) > 0, headers
        keep(table, message.key().decode(), None if message.value() is None else decode(message.value()))
    consumer.close()
    return table


def by_lines(command):
    """The same from a program that prints a key, a tab and a value (empty for a tombstone) on each line."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=PATIENCE)
    table = {}
    for line in done.stdout.decode().splitlines():
        key, value = line.split("\t", 1)
        keep(table, key, json.loads(value) if value else None)
    return table


def kcat(stage, topic):
    return ["kcat", "-b", stage.broker, "-C", "-t", stage.topic(topic), "-o", "beginning", "-e", "-q",
            "-X", "isolation.level=read_committed", "-f", "%k\t%s\n"]


def keep(table, key, value):
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value


def compare(who, tables, wanted):
    """That the tables are the state. Versions count what was said on the way, which differs from run to run."""
    persons = {person["person_id"]: plain(person) for person in tables["profiles"].values()}
    same(who, "profiles", persons, {person["person_id"]: plain(person) for person in wanted["profiles"]})
    owner = lambda rows: {(row["namespace"], row["value"]): row["person_id"] for row in rows}  # noqa: E731
    owners = owner(wanted["identity-map"])
    same(who, "identity-map", owner(tables["identity-map"].values()), owners)
    same(who, "profile-identifiers", owner(tables["profile-identifiers"].values()), owners)
    live = set(persons)
    lost = [row for row in tables["redirects"].values() if row["to"] not in live or row["from"] in live]
    assert not lost, f"{who}: redirects that lead from a live id or to none: {lost[:3]}"
    traits = {(row["person_id"], row["name"]): row["value"] for row in tables["profile-traits"].values()}
    shown = {(person, name): value if isinstance(value, str) else json.dumps(value)
             for person, profile in persons.items() for name, value in profile.get("traits", {}).items()}
    same(who, "profile-traits", set(traits), set(shown))


def plain(profile):
    """A profile without its version, in one form: what is JSON text in Avro is read, and what is empty left out."""
    def simple(name, value):
        if name in ("traits", "computed", "properties") and isinstance(value, str):
            return json.loads(value)
        if isinstance(value, datetime):
            return value.astimezone(timezone.utc)
        if isinstance(value, str) and name in ("first_seen", "last_seen", "time"):
            return datetime.fromisoformat(value)
        if isinstance(value, dict):
            return {inner: simple(inner, held) for inner, held in value.items()}
        if isinstance(value, list):
            return [simple(name, held) for held in value]
        return value

    read = {name: simple(name, value) for name, value in profile.items() if name != "version"}
    return {name: value for name, value in read.items() if value not in (None, False, {}, [])}


def same(who, what, found, wanted):
    if found == wanted:
        return
    if isinstance(wanted, dict):
        odd = [(key, found.get(key), wanted.get(key)) for key in {*found, *wanted} if found.get(key) != wanted.get(key)]
    else:
        odd = sorted(found ^ wanted)
    raise AssertionError(f"{who}: `{what}` has {len(found)} rows, wanted {len(wanted)}; {len(odd)} differ: {odd[0]}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
