"""Signatures that the vendors' own libraries for Python make or accept, and then Musubi.

    LINE_SECRET=… TWILIO_SECRET=… HOOKS_SECRET=… python signed.py http://127.0.0.1:8787
"""

import base64
import hashlib
import hmac
import json
import os
import sys
from datetime import datetime, timezone

import requests
from linebot.v3.webhook import SignatureValidator
from standardwebhooks.webhooks import Webhook
from twilio.request_validator import RequestValidator

LINE, TWILIO, HOOKS = (os.environ[f"{name}_SECRET"] for name in ("LINE", "TWILIO", "HOOKS"))
TWILIO_URL = "https://door.example/in/twilio"


def line():
    user = "U" + "b" * 32
    event = {"type": "follow", "timestamp": 1775012400000, "webhookEventId": "01HWPYTHON", "source": {"type": "user", "userId": user}}
    body = json.dumps({"destination": "U0", "events": [event]})
    signature = base64.b64encode(hmac.new(LINE.encode(), body.encode(), hashlib.sha256).digest()).decode()
    assert SignatureValidator(LINE).validate(body, signature)
    return "line", body, {"x-line-signature": signature}


def twilio():
    form = {"MessageSid": "SM1", "MessageStatus": "received", "From": "+81312345679", "To": "+81398765432", "Body": "はい"}
    signature = RequestValidator(TWILIO).compute_signature(TWILIO_URL, form)
    body = requests.models.RequestEncodingMixin._encode_params(form)
    return "twilio", body, {"x-twilio-signature": signature, "content-type": "application/x-www-form-urlencoded"}


def hooks():
    body, now = json.dumps({"id": "h2", "type": "signed_up", "mail": "hooks-python@example.jp"}), datetime.now(timezone.utc)
    signature = Webhook(HOOKS).sign("msg_2", now, body)
    return "hooks", body, {"webhook-id": "msg_2", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}


def main():
    base, all_ = sys.argv[1], (line(), twilio(), hooks())
    for name, body, headers in all_:
        answer = requests.post(f"{base}/in/{name}", data=body.encode(), headers=headers, timeout=30)
        assert answer.status_code == 200, f"{name}: {answer.status_code} {answer.text}"
        changed = requests.post(f"{base}/in/{name}", data=body.encode() + b" ", headers=headers, timeout=30)
        assert changed.status_code == 401, f"{name}, changed: {changed.status_code} {changed.text}"
    print(f"signed by Python: {len(all_)}")


if __name__ == "__main__":
    main()
