"""GitLab's signing tokens by the PyPI package standardwebhooks."""

import base64
import json
import sys
from datetime import datetime, timezone

from standardwebhooks import Webhook, WebhookVerificationError


def sign(case):
    at = datetime.fromtimestamp(case["time"], tz=timezone.utc)
    return Webhook(case["secret"]).sign(case["id"], at, base64.b64decode(case["body"]).decode())


def verify(case):
    headers = {
        "webhook-id": case["id"],
        "webhook-timestamp": str(case["time"]),
        "webhook-signature": case["signature"],
    }
    try:
        Webhook(case["secret"]).verify(base64.b64decode(case["body"]), headers)
    except WebhookVerificationError as error:
        return f"refused: {error}"
    return "accepted"


act = sign if sys.argv[-1] == "sign" else verify
json.dump([act(case) for case in json.load(sys.stdin)], sys.stdout)
