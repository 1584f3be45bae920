"""What `scripts/schemathesis` cannot know from the document alone."""

import hashlib
import hmac
import os
import secrets

import requests
import schemathesis

KEY = os.environ["VERBATIM_API_KEY"]
SECRET = os.environ["VERBATIM_WEBHOOK_SECRET"].encode()


class Credentials(requests.auth.AuthBase):
    """A key for the API, and for the webhook a signature over the bytes that are sent."""

    def __call__(self, request):
        if "/webhook" in request.path_url:
            body = request.body or b""
            body = body.encode() if isinstance(body, str) else body
            digest = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
            request.headers["X-bitHuman-Signature"] = f"sha256={digest}"
        else:
            request.headers["Authorization"] = f"Bearer {KEY}"
        return request


schemathesis.auth.set_from_requests(Credentials())


@schemathesis.hook
def before_call(context, case, kwargs):
    # Each request comes from an address of its own, or the wrong keys among them would soon be
    # answered 429, as they should be.
    octets = [str(1 + secrets.randbelow(250)) for _ in range(3)]
    case.headers["X-Forwarded-For"] = ".".join(["10", *octets])
    # No schema can say which cursors we have given out. What is made up is refused, rightly, so
    # that it belongs among the requests that are meant to be wrong.
    meta = case.meta
    if meta is not None and meta.generation.mode.value == "positive" and case.query:
        case.query.pop("cursor", None)
        if case.path == "/v1/changes":
            case.query.pop("after", None)
