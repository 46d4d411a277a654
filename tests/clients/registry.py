"""A Schema Registry for tests: the part of Confluent's HTTP API that clients call, kept in memory.

Test equipment. It checks no compatibility and knows no references. `SCHEMA_REGISTRY_URL` names a real one in its place.
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Registry(ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.schemas = []  # (kind, text) by number - 1
        self.subjects = {}  # name to numbers
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def number(self, schema):
        """The number of a schema, given to it now where it is new."""
        if schema not in self.schemas:
            self.schemas.append(schema)
        return self.schemas.index(schema) + 1

    def shown(self, subject, number):
        kind, text = self.schemas[number - 1]
        version = self.subjects[subject].index(number) + 1
        return {"subject": subject, "id": number, "version": version, "schemaType": kind, "schema": text}


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0]
        with self.server.lock:
            if found := re.fullmatch(r"/schemas/ids/(\d+)", path):
                number = int(found[1])
                if not 0 < number <= len(self.server.schemas):
                    return self.answer(404, {"error_code": 40403, "message": "Schema not found"})
                kind, text = self.server.schemas[number - 1]
                return self.answer(200, {"schema": text, "schemaType": kind})
            if found := re.fullmatch(r"/subjects/([^/]+)/versions(?:/(\w+))?", path):
                numbers = self.server.subjects.get(found[1], [])
                if not numbers:
                    return self.answer(404, {"error_code": 40401, "message": "Subject not found"})
                if found[2] is None:
                    return self.answer(200, list(range(1, len(numbers) + 1)))
                version = len(numbers) if found[2] == "latest" else int(found[2])
                return self.answer(200, self.server.shown(found[1], numbers[version - 1]))
        self.answer(404, {"error_code": 404, "message": "Not found"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = re.fullmatch(r"/subjects/([^/]+)(/versions)?", self.path.split("?")[0])
        if not found:
            return self.answer(404, {"error_code": 404, "message": "Not found"})
        schema = (body.get("schemaType") or "AVRO", body["schema"])
        with self.server.lock:
            if found[2]:
                number = self.server.number(schema)
                numbers = self.server.subjects.setdefault(found[1], [])
                if number not in numbers:
                    numbers.append(number)
                return self.answer(200, {"id": number})
            for number in self.server.subjects.get(found[1], []):
                if self.server.schemas[number - 1] == schema:
                    return self.answer(200, self.server.shown(found[1], number))
        self.answer(404, {"error_code": 40403, "message": "Schema not found"})
