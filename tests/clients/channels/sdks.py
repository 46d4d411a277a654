"""The SDKs for Python: each tells one story, of somebody who looks, signs in and looks on.

    python sdks.py http://127.0.0.1:8787 NAME...
"""

import json
import logging
import sys
import threading


def segment(base, name):
    import segment.analytics as analytics

    client = analytics.Client(name, host=f"{base}/in/{name}", gzip=True, upload_interval=0.05)
    story_of_segment(client, name)
    client.flush()
    client.join()


def story_of_segment(client, name):
    anonymous = f"a-{name}"
    client.page(anonymous_id=anonymous, name="Home")
    client.identify(f"u-{name}", anonymous_id=anonymous, traits={"email": f"{name}@example.jp"})
    for nr in range(3):
        client.track(f"u-{name}", "Product Viewed", {"nr": nr})


def rudder(base, name):
    from rudderstack.analytics.client import Client

    client = Client(name, host=f"{base}/in/{name}", upload_interval=0.05)
    story_of_segment(client, name)
    client.flush()
    client.join()


def posthog(base, name):
    from posthog import Posthog

    client = Posthog(name, host=f"{base}/in/{name}", flush_interval=0.05, max_retries=5)
    anonymous = f"a-{name}"
    client.capture("$pageview", distinct_id=anonymous, properties={"$is_identified": False})
    client.capture(
        "$identify",
        distinct_id=f"u-{name}",
        properties={"$anon_distinct_id": anonymous, "$set": {"email": f"{name}@example.jp"}},
    )
    for nr in range(3):
        client.capture("product viewed", distinct_id=f"u-{name}", properties={"nr": nr})
    client.shutdown()


def snowplow(base, name):
    from snowplow_tracker import Emitter, PageView, SelfDescribing, SelfDescribingJson, StructuredEvent, Subject, Tracker

    arrived = threading.Semaphore(0)
    emitter = Emitter(
        f"{base}/in/{name}", batch_size=1, max_retry_delay_seconds=1,
        on_success=lambda events: [arrived.release() for _ in events],
    )
    subject = Subject()
    subject.set_domain_user_id(f"a-{name}")
    tracker = Tracker("clients", emitters=emitter, subject=subject, app_id=name, encode_base64=True)
    tracker.track(PageView("https://shop.example/"))
    subject.set_user_id(f"u-{name}")
    schema = "iglu:example.shop/signed_in/jsonschema/1-0-0"
    tracker.track(SelfDescribing(SelfDescribingJson(schema, {"email": f"{name}@example.jp"})))
    for nr in range(3):
        tracker.track(StructuredEvent("shop", "product viewed", value=nr))
    for _ in range(5):
        assert arrived.acquire(timeout=60), f"{name}: an event was never taken"


def cloudevents(base, name):
    import requests
    from cloudevents.v1.conversion import to_binary, to_structured
    from cloudevents.v1.http import CloudEvent

    def event(nr):
        attributes = {"type": "product viewed", "source": "/shop", "id": str(nr), "subject": f"u-{name}"}
        return CloudEvent(attributes, {"anonymous": f"a-{name}", "mail": f"{name}@example.jp", "nr": nr})

    def send(headers, body):
        # This client tries nothing again: who uses it has to, until it hears that it was taken.
        for _ in range(5):
            answer = requests.post(f"{base}/in/{name}", headers={**headers, "x-api-key": name}, data=body, timeout=60)
            if answer.status_code == 200:
                return
        raise AssertionError(f"{name}: never taken")

    send(*to_binary(event(0)))
    send(*to_structured(event(1)))
    batch = [json.loads(to_structured(event(nr))[1]) for nr in (2, 3, 4)]
    send({"content-type": "application/cloudevents-batch+json"}, json.dumps(batch))


STORIES = {
    "segment-python": segment,
    "rudder-python": rudder,
    "posthog-python": posthog,
    "snowplow-python": snowplow,
    "cloudevents-python": cloudevents,
}


def main():
    base, names = sys.argv[1], sys.argv[2:]
    logging.disable(logging.CRITICAL)
    failed = []

    def tell(name):
        try:
            STORIES[name](base, name)
        except BaseException as why:  # noqa: BLE001 - a thread would swallow it
            failed.append(f"{name}: {why!r}")

    threads = [threading.Thread(target=tell, args=(name,)) for name in names]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    sys.exit("\n".join(failed) or 0)


if __name__ == "__main__":
    main()
