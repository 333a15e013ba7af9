"""GitHub's scheme by gidgethub, which verifies and has no function that signs."""

import base64
import json
import sys

from gidgethub import ValidationFailure, sansio


def verify(case):
    try:
        sansio.validate_event(
            base64.b64decode(case["body"]), signature=case["signature"], secret=case["secret"]
        )
    except ValidationFailure as error:
        return f"refused: {error}"
    return "accepted"


assert sys.argv[-1] == "verify", "gidgethub only verifies"
json.dump([verify(case) for case in json.load(sys.stdin)], sys.stdout)
