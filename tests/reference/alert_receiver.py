"""Receiver of alerts that verifies each with the public package `standardwebhooks`.

Prints its port, then every verified body, one per line.
"""

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

WEBHOOK = Webhook(os.environ["ALERT_SECRET"])


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            message = WEBHOOK.verify(body, dict(self.headers.items()))
        except WebhookVerificationError as error:
            self.send_response(401, str(error))
        else:
            print(json.dumps(message), flush=True)
            self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
server.serve_forever()
