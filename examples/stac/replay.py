#!/usr/bin/env python3
"""A catalogue on this machine: answers what CMR's granule search and a STAC API would, from recorded items.

    examples/stac/replay.py [RECORDINGS] [PORT]      prints its URL; RECORDINGS holds one item a line

The granules begin when their items say. Pages are small, so that there are several of them.
"""

import datetime
import hashlib
import http.server
import json
import os
import sys
import threading
import urllib.parse

CONCEPTS = {"C2021957657-LPCLOUD": "HLSL30", "C2021957295-LPCLOUD": "HLSS30"}


def time_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def collection_of(item):
    named = item.get("collection") or ("HLSL30" if item["id"].startswith("HLS.L30") else "HLSS30")
    return named.split("_")[0]


def touches(item, box):
    if box is None:
        return True
    west, south, east, north = box
    w, s, e, n = item["bbox"]
    if s > north or n < south:
        return False
    spans = [(west, east)] if west <= east else [(west, 180), (-180, east)]
    return any(w <= b and a <= e for a, b in spans)


class Catalogue:
    """What there is. Tests meddle with its methods."""

    def __init__(self, items):
        self.items = sorted(items, key=lambda item: (item["properties"]["datetime"], item["id"]))
        self.requests = []
        self.lock = threading.Lock()

    def between(self, begin, end, wanted, box):
        """Both ends belong to it, as in CMR and in STAC."""
        return [item for item in self.items
                if begin <= time_of(item["properties"]["datetime"]) <= end and (not wanted or collection_of(item) in wanted) and touches(item, box)]

    def entry(self, item, url):
        """As CMR names a granule."""
        start = time_of(item["properties"]["datetime"]).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        folder = f"{url}/lp-prod-public/{collection_of(item)}.020/{item['id']}/{item['id']}"
        return {"id": f"G{int(hashlib.sha1(item['id'].encode()).hexdigest(), 16) % 10**12}-LPCLOUD", "title": item["id"], "time_start": start, "time_end": start,
                "updated": item["properties"].get("updated", start), "data_center": "LPCLOUD", "cloud_cover": "12",
                "links": [{"rel": "http://esipfed.org/ns/fedsearch/1.1/data#", "href": f"{folder}.B01.tif"},
                          {"rel": "http://esipfed.org/ns/fedsearch/1.1/s3#", "href": f"s3://lp-prod-public/{item['id']}_stac.json"},
                          {"rel": "http://esipfed.org/ns/fedsearch/1.1/metadata#", "href": f"{folder}_stac.json"}]}

    def hits(self, count):
        return count

    def document(self, item):
        return json.dumps(item).encode()

    def item(self, name):
        for item in self.items:
            if item["id"] == name:
                return self.document(item)
        return None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    @property
    def catalogue(self):
        return self.server.catalogue

    def log_message(self, *_):
        pass

    def answer(self, body, status=200, headers=()):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def do_GET(self):
        self.serve(b"")

    def do_POST(self):
        self.serve(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def serve(self, body):
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        with self.catalogue.lock:
            self.catalogue.requests.append((self.command, self.path, dict(self.headers)))
        if self.meddle(url.path):
            return
        if url.path == "/search/granules.json":
            self.granules(query)
        elif url.path == "/api/search":
            self.search(query, json.loads(body) if body else None)
        elif url.path.endswith("_stac.json"):
            document = self.catalogue.item(url.path.rsplit("/", 1)[1][:-len("_stac.json")])
            self.answer(*((document,) if document is not None else ({"errors": ["not found"]}, 404)))
        else:
            self.answer({"errors": ["no such place"]}, 404)

    def meddle(self, path):
        """True when it answered."""
        return False

    def granules(self, query):
        begin, end = (time_of(text) for text in query["temporal[]"][0].split(","))
        wanted = {CONCEPTS[concept] for concept in query.get("collection_concept_id[]", [])} | set(query.get("short_name[]", []))
        box = [float(n) for n in query["bounding_box"][0].split(",")] if "bounding_box" in query else None
        found = self.catalogue.between(begin, end, wanted, box)
        after = self.headers.get("CMR-Search-After")
        at = json.loads(after)[1] if after else 0
        size = min(int(query["page_size"][0]), self.server.page_size)
        page = found[at:at + size]
        headers = [("CMR-Hits", str(self.catalogue.hits(len(found))))]
        if page:  # also behind the last page with something, as CMR does
            headers.append(("CMR-Search-After", json.dumps(["lpcloud", at + len(page)])))
        self.answer({"feed": {"title": "granules", "entry": [self.catalogue.entry(item, self.server.url) for item in page]}}, headers=headers)

    def search(self, query, body):
        asked = body if body is not None else {name: values[0] for name, values in query.items()}
        begin, end = (time_of(text) for text in asked["datetime"].split("/"))
        collections, box = asked.get("collections", []), asked.get("bbox")
        if body is None:
            collections = collections.split(",") if collections else []
            box = [float(n) for n in box.split(",")] if box else None
        found = self.catalogue.between(begin, end, {name.split("_")[0] for name in collections}, box)
        at, size = int(asked.get("token", 0)), min(int(asked["limit"]), self.server.page_size)
        links = []
        if at + size < len(found):
            if body is None:
                there = urllib.parse.urlencode({**{name: values[0] for name, values in query.items()}, "token": at + size})
                links = [{"rel": "next", "href": f"/api/search?{there}"}]
            else:
                links = [{"rel": "next", "href": f"{self.server.url}/api/search", "method": "POST", "merge": True, "body": {"token": at + size}}]
        features = [json.loads(self.catalogue.document(item)) for item in found[at:at + size]]
        self.answer({"type": "FeatureCollection", "numberMatched": self.catalogue.hits(len(found)), "features": features, "links": links})


class Replay(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, items, port=0, page_size=5, handler=Handler, catalogue=Catalogue):
        super().__init__(("127.0.0.1", port), handler)
        self.page_size = page_size
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.catalogue = catalogue(items)

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


if __name__ == "__main__":
    recordings = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "recordings.ndjson")
    with open(recordings, encoding="utf-8") as file:
        server = Replay([json.loads(line) for line in file], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(server.url, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
