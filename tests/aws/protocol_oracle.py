"""Without this test Millrace and the SDKs could read the same request or reply differently.

Random inputs are serialized by botocore and decoded by Millrace, random outputs are encoded by Millrace and parsed by
botocore; both must give back what went in. Usage: protocol_oracle.py PROGRAM [SEED [ROUNDS]]
"""

import base64
import datetime
import json
import random
import re
import string
import subprocess
import sys
from urllib.parse import quote, urlencode

from botocore.awsrequest import HeadersDict
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

SERVICES = ["batch", "events", "iam", "logs", "s3", "scheduler", "secretsmanager", "ssm", "sts"]
CANDIDATES = ["a", "abc-1", "Name_1", "123456789012", "arn:aws:iam::123456789012:role/path/name", "x" * 40, "1", "1d",
              "/a/b/", "/aws/batch/job", "12:00", "rate(5 minutes)", "a@b.co", "0123456789abcdef0123456789abcdef",
              "ab-12345678901234567", "i-0123456789abcdef0", "mi-0123456789abcdef0", "us-east-1", "$.a", "true",
              "{\"a\":1}", "m-012345678901234567890", "12345678-1234-1234-1234-123456789012", "2026-01-01", "aws.x/y"]
AWKWARD = ["a b", "x&y=z+1", "<é>\"'", "100%", "日本", "a/b", "\\n,;", "tab\tend"]
# Unions in the newest models, plain structures in Debian's.
UNIONS = {"AnalyticsFilter", "MetricsFilter", "LifecycleRuleFilter", "ReplicationRuleFilter"}


class Unable(Exception):
    """No value fits the shape's pattern."""


class Generator:
    def __init__(self, rng, plain):
        self.rng = rng
        self.plain = plain  # headers and paths take printable ASCII only

    def text(self, shape, plain):
        facts = shape.metadata
        if shape.enum:
            return self.rng.choice(shape.enum)
        low, high = facts.get("min", 1), facts.get("max", 1 << 20)
        if "pattern" in facts:
            try:
                pattern = re.compile(facts["pattern"])
            except re.error:
                raise Unable() from None
            fit = [c for c in CANDIDATES if pattern.fullmatch(c) and low <= len(c) <= high]
            if not fit:
                raise Unable()
            return self.rng.choice(fit)
        pool = [c for c in (CANDIDATES if plain or self.plain else CANDIDATES + AWKWARD * 3) if low <= len(c) <= high]
        if pool:
            return self.rng.choice(pool)
        return "".join(self.rng.choice(string.ascii_letters) for _ in range(max(1, low)))

    def number(self, shape, limit):
        low, high = int(shape.metadata.get("min", 0)), int(shape.metadata.get("max", limit))
        return self.rng.randint(low, high)

    def value(self, shape, depth, plain=False):
        kind = shape.type_name
        if kind == "structure":
            return self.structure(shape, depth)
        if kind == "list":
            count = max(1, shape.metadata.get("min", 1))
            count = min(count + self.rng.randint(0, 2), shape.metadata.get("max", 1 << 20))
            return [self.value(shape.member, depth + 1, plain) for _ in range(count)]
        if kind == "map":
            count = min(max(1, shape.metadata.get("min", 1)) + 1, shape.metadata.get("max", 2))
            return {self.value(shape.key, depth + 1, plain): self.value(shape.value, depth + 1, plain) for _ in range(count)}
        if kind in ("string", "character"):
            return self.text(shape, plain)
        if kind == "integer":
            return self.number(shape, 2**31 - 1)
        if kind == "long":
            return self.number(shape, 2**53)
        if kind in ("float", "double"):
            return self.number(shape, 1000) + 0.5 if "max" not in shape.metadata else float(self.number(shape, 1000))
        if kind == "boolean":
            return self.rng.random() < 0.5
        if kind == "timestamp":
            return datetime.datetime.fromtimestamp(self.rng.randint(0, 4_000_000_000), datetime.timezone.utc)
        if kind == "blob":
            low = max(1, shape.metadata.get("min", 1))
            return bytes(self.rng.randrange(256) for _ in range(low + self.rng.randint(0, 9)))
        raise Unable()

    def structure(self, shape, depth):
        made = {}
        names = list(shape.members)
        only = self.rng.choice(names) if getattr(shape, "is_tagged_union", False) or shape.name in UNIONS else None
        for name, member in shape.members.items():
            required = name in shape.required_members
            # The newest models carry these numbers as strings: the same bytes.
            if only is not None and name != only or name in ("PartNumberMarker", "NextPartNumberMarker"):
                continue
            if not required and only is None and (depth > 4 or self.rng.random() < 0.5):
                continue
            if member.serialization.get("streaming") or member.serialization.get("eventstream"):
                continue
            location = member.serialization.get("location")
            plain = location in ("header", "headers", "uri")
            try:
                made[name] = self.value(member, depth + 1, plain)
            except Unable:
                if required or only is not None:
                    raise
        if not made and names:
            for name, member in shape.members.items():
                if not member.serialization.get("streaming"):
                    made[name] = self.value(member, depth + 1, bool(member.serialization.get("location")))
                    break
        return made


def ours(shape, value, location=None):
    """What Millrace's JSON looks like for a botocore value."""
    kind = shape.type_name
    if kind == "structure":
        return {k: ours(shape.members[k], v, shape.members[k].serialization.get("location")) for k, v in value.items()
                if k in shape.members and not shape.members[k].serialization.get("streaming")}
    if kind == "list":
        return [ours(shape.member, v) for v in value]
    if kind == "map":
        return {k.lower() if location == "headers" else k: ours(shape.value, v) for k, v in value.items()}
    if kind == "timestamp":
        return round(value.timestamp() * 1000)
    if kind == "blob":
        return base64.b64encode(value).decode()
    return value


class Program:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"FAILED: the program died on {json.dumps(command)}")
        return json.loads(line)


def query_text(query):
    if isinstance(query, str):
        return query
    items = query.items() if isinstance(query, dict) else query
    pairs = []
    for name, value in items:
        for one in value if isinstance(value, list) else [value]:
            pairs.append(f"{quote(str(name), safe='-_.~')}={quote(str(one), safe='-_.~')}")
    return "&".join(pairs)


def request_of(service, params, operation):
    made = create_serializer(service.metadata["protocol"], include_validation=True).serialize_to_request(params, operation)
    path, _, literal = made["url_path"].partition("?")
    query = "&".join(q for q in (literal, query_text(made["query_string"])) if q)
    body = made["body"]
    if isinstance(body, dict):
        body = urlencode(body)
    if isinstance(body, str):
        body = body.encode()
    return {"method": made["method"], "path": path, "query": query,
            "headers": [[k, str(v)] for k, v in made["headers"].items()], "body": base64.b64encode(body or b"").decode()}


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    program = Program(sys.argv[1])
    compared, failures = {"in": 0, "out": 0}, []
    unable = 0
    for name in SERVICES:
        service = ServiceModel(Loader().load_service_model(name, "service-2"), name)
        for operation_name in service.operation_names:
            operation = service.operation_model(operation_name)
            if operation.deprecated:
                continue  # a newer operation answers its route
            for turn in range(rounds):
                rng = random.Random(f"{seed} {name} {operation_name} {turn}")
                where = f"{name} {operation_name} turn {turn} (seed {seed})"
                try:
                    params = Generator(rng, False).structure(operation.input_shape, 0) if operation.input_shape else {}
                except Unable:
                    unable += 1
                    params = None
                if params is not None:
                    answer = program.ask({"service": name, **request_of(service, params, operation)})
                    wanted = {"operation": operation_name, "input": ours(operation.input_shape, params) if operation.input_shape else {}}
                    if answer != wanted:
                        failures.append(f"{where}\n  sent     {json.dumps(wanted)}\n  received {json.dumps(answer)}")
                    compared["in"] += 1
                shape = operation.output_shape
                if shape is None or operation.has_event_stream_output or operation_name == "GetBucketLocation":
                    continue
                try:
                    params = Generator(rng, name == "s3").structure(shape, 0)
                except Unable:
                    unable += 1
                    continue
                wanted = ours(shape, params)
                answer = program.ask({"service": name, "operation": operation_name, "output": wanted})
                if answer.get("missing"):
                    continue
                if "error" in answer:
                    failures.append(f"{where}\n  {answer}")
                    continue
                response = {"status_code": answer["status"], "headers": HeadersDict(dict(answer["headers"])),
                            "context": {"operation_name": operation_name},
                            "body": base64.b64decode(answer["body"])}
                parsed = create_parser(service.metadata["protocol"]).parse(response, shape)
                parsed.pop("ResponseMetadata", None)
                # botocore makes empty structures of absent payloads and prefix headers.
                got = {k: v for k, v in ours(shape, parsed).items() if v != {} or k in wanted}
                if got != wanted:
                    failures.append(f"{where}\n  encoded {json.dumps(wanted)}\n  parsed  {json.dumps(got)}\n  as      {response['body'][:400]}")
                compared["out"] += 1
    for failure in failures[:20]:
        print(failure)
    print(f"{compared['in']} requests and {compared['out']} replies compared, {unable} not made, {len(failures)} differ")
    if failures or compared["in"] < 1000 or compared["out"] < 500:
        sys.exit(1)


main()
