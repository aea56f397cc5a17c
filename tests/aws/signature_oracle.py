"""Without this test Millrace could refuse what an SDK signs, or take a request that somebody changed on the way.

Random requests are signed by botocore and read by Millrace's verifier as they stand on the wire: all must be accepted.
Then each is changed in one place, and must be refused with the code AWS has for that place; and of some every single
byte is changed. Usage: signature_oracle.py PROGRAM [SEED [ROUNDS]]
"""

import base64
import copy
import datetime
import hashlib
import json
import random
import re
import string
import subprocess
import sys
import types
from email.utils import parsedate_to_datetime
from io import BytesIO
from urllib.parse import quote, unquote_to_bytes, urlencode, urlsplit

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum
from botocore.utils import normalize_url_path, percent_encode_sequence

KINDS = [  # name, service, how its errors are worded, botocore's signer
    ("rest-json", "batch", "rest-json", botocore.auth.SigV4Auth),
    ("json", "logs", "json", botocore.auth.SigV4Auth),
    ("query", "sts", "query", botocore.auth.SigV4Auth),
    ("s3", "s3", "s3", botocore.auth.S3SigV4Auth),
    ("presigned s3", "s3", "s3", botocore.auth.S3SigV4QueryAuth),
    ("presigned query", "sts", "query", botocore.auth.SigV4QueryAuth),
]
SKEW_MS = 15 * 60 * 1000

# What is wrong -> S3's answer, and what the other services call it.
PROBLEMS = {
    "missing": ((403, "AccessDenied"), "MissingAuthenticationToken"),
    "unknown key": ((403, "InvalidAccessKeyId"), "unknown key"),
    "mismatch": ((403, "SignatureDoesNotMatch"), "mismatch"),
    "body": ((400, "XAmzContentSHA256Mismatch"), "mismatch"),
    "digest": ((400, "InvalidArgument"), "mismatch"),
    "skewed": ((403, "RequestTimeTooSkewed"), "mismatch"),
    "expired": ((403, "AccessDenied"), "mismatch"),
    "not yet valid": ((403, "AccessDenied"), "mismatch"),
    "not signed": ((403, "AccessDenied"), "mismatch"),
    "no date": ((403, "AccessDenied"), "IncompleteSignature"),
    "mechanism": ((400, "InvalidRequest"), "IncompleteSignature"),
    "header": ((400, "AuthorizationHeaderMalformed"), "IncompleteSignature"),
    "query": ((400, "AuthorizationQueryParametersError"), "IncompleteSignature"),
    "header scope": ((400, "AuthorizationHeaderMalformed"), "mismatch"),
    "query scope": ((400, "AuthorizationQueryParametersError"), "mismatch"),
}


def answer_to(problem, words):
    s3, other = PROBLEMS[problem]
    if words == "s3":
        return s3
    if other == "mismatch":
        code = "SignatureDoesNotMatch" if words == "query" else "InvalidSignatureException"
    elif other == "unknown key":
        code = "InvalidClientTokenId" if words == "query" else "UnrecognizedClientException"
    else:
        code = other if words == "query" else other + "Exception"
    status = 400 if words == "json" or (words == "query" and other == "IncompleteSignature") else 403
    return status, code


class Wire:
    """A request as it is sent."""

    def __init__(self, kind, request, rng):
        self.name, self.service, self.words, _ = kind
        self.presigned = self.name.startswith("presigned")
        prepared = request.prepare()
        text = prepared.url
        if request.params and rng.random() < 0.5:  # as botocore's clients write a query: spaces not as "+"
            text = request.url + "?" + percent_encode_sequence(request.params)
        parts = urlsplit(text)
        self.method, self.path, self.query = prepared.method, parts.path or "/", parts.query
        self.body = prepared.body or b""
        if hasattr(self.body, "read"):
            self.body = self.body.read()
        if isinstance(self.body, str):
            self.body = self.body.encode()
        # botocore's prepare() keeps one of several fields of a name; what was signed are all of them.
        self.fields = [[name, str(value).encode()] for name, value in request.headers.items()]
        if not any(name.lower() == "host" for name, _ in self.fields):
            self.fields.append(["Host", parts.netloc.encode()])
        if self.presigned:
            self.signed = unquote(self.parameter("X-Amz-SignedHeaders")).split(";")
        else:
            self.signed = re.search("SignedHeaders=([^,]*)", self.authorization()).group(1).split(";")
        # What a client adds after it has signed.
        self.fields += [["User-Agent", b"oracle/1"], ["Accept-Encoding", b"identity"],
                        ["Content-Length", str(len(self.body)).encode()]]
        self.shuffle(rng)

    def shuffle(self, rng):
        """Any order but that of the fields with one name."""
        twice = [field for field in self.fields if field[0].lower() == "x-amz-meta-twice"]
        rest = [field for field in self.fields if field not in twice]
        rng.shuffle(rest)
        self.fields = rest + twice

    def head(self):
        target = self.path + ("?" + self.query if self.query else "")
        lines = [f"{self.method} {target} HTTP/1.1".encode("utf-8", "surrogateescape")]
        lines += [name.encode() + b": " + value for name, value in self.fields]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def field(self, name):
        return next((f for f in self.fields if f[0].lower() == name.lower()), None)

    def authorization(self):
        return self.field("Authorization")[1].decode()

    def parameter(self, name):
        found = re.search(f"(?:^|&){name}=([^&]*)", self.query)
        return found and found.group(1)

    def set_parameter(self, name, value):
        self.query = re.sub(f"((?:^|&){name}=)[^&]*", lambda m: m.group(1) + value, self.query)

    def replace_in_claim(self, name, change):
        """Changes Credential, SignedHeaders or Signature, wherever they stand."""
        if self.presigned:
            self.set_parameter("X-Amz-" + name, quote(change(unquote(self.parameter("X-Amz-" + name))), safe="~"))
        else:
            field = self.field("Authorization")
            field[1] = re.sub(f"({name}=)([^,]*)", lambda m: m.group(1) + change(m.group(2)),
                              field[1].decode()).encode()

    def canonical_path(self):
        if self.words == "s3":
            return quote(unquote_to_bytes(self.path), safe="/~")
        return quote(normalize_url_path(self.path), safe="/~")

    def canonical_query(self):
        pairs = [pair.partition("=") for pair in self.query.replace("+", "%20").split("&") if pair]
        return sorted((quote(unquote_to_bytes(n), safe="~"), quote(unquote_to_bytes(v), safe="~")) for n, _, v in pairs)


def unquote(text):
    return unquote_to_bytes(text).decode()


class Signer:
    """Requests of all sorts, signed by botocore at a time of ours."""

    def __init__(self, rng):
        self.rng = rng

    def word(self, low, high, letters=string.ascii_letters + string.digits):
        return "".join(self.rng.choice(letters) for _ in range(self.rng.randint(low, high)))

    def odd(self, high=12):
        pieces = list("abcXYZ019-_.~ !\"#$%&'()*+,/:;<=>?@[\\]^`{|}") + ["é", "日本", "🙂", "%2F", "..", "//", "/./"]
        return "".join(self.rng.choice(pieces) for _ in range(self.rng.randint(1, high)))

    def header_value(self):
        rng = self.rng
        blanks = ["  ", "   ", "\t", " \t ", " "]
        words = [self.word(1, 6, string.ascii_letters + string.digits + "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~é語")
                 for _ in range(rng.randint(1, 4))]
        value = words[0]
        for word in words[1:]:
            value += rng.choice(blanks) + word
        return rng.choice(["", "", " ", "\t  "]) + value + rng.choice(["", "", " ", " \t"])

    def parameters(self):
        names = {self.rng.choice(["a", "A", "a-", "prefix", "list-type", "marker", self.odd(4)]): None
                 for _ in range(self.rng.randint(0, 4))}
        return {name: self.rng.choice(["", "1", self.word(1, 9), self.odd()]) for name in names}

    def path(self, service):
        rng = self.rng
        if service == "s3":
            key = rng.choice([self.word(1, 20), self.odd(), "dir//x/./../y", "", "%41%zz", "a+b c~d", self.odd(30)])
            return "/bucket/" + quote(key, safe="/~")
        if service == "batch":
            arn = "arn:aws:batch:us-east-1:123456789012:job-queue/" + self.odd(5)
            return rng.choice(["/v1/submitjob", "/v1/tags/" + quote(arn, safe=""), "/v1//tags/../submitjob/",
                               "/v1/./" + quote(self.odd(), safe="/~"), "/..", ""])
        return rng.choice(["/", "/", ""])

    def headers(self, request, presigned):
        rng = self.rng
        for name in ("X-Amz-Meta-Odd", "x-amz-meta-a!#$&'*+.^_`|~1", "X-Custom", "Content-Type", "Range"):
            if rng.random() < 0.4:
                request.headers[name] = self.header_value()
        if rng.random() < 0.2:
            request.headers["X-Amz-Meta-Empty"] = ""
        if rng.random() < 0.2:
            request.headers.add_header("X-Amz-Meta-Twice", self.header_value())
            request.headers.add_header("x-amz-meta-twice", self.header_value())
        if rng.random() < 0.3:
            request.headers["Expect"] = "100-continue"
        if not presigned and rng.random() < 0.2:
            request.headers["Date"] = "botocore puts its own"

    def sign(self, kind):
        """Returns the request as sent, and what the server must know."""
        rng = self.rng
        name, service, _, signer = kind
        presigned = name.startswith("presigned")
        now = datetime.datetime(2001, 1, 1) + datetime.timedelta(seconds=rng.randrange(10**9))
        token = self.word(4, 200, string.ascii_letters + "/+=") if rng.random() < 0.4 else None
        keys = Credentials("AKIA" + self.word(16, 16, string.ascii_uppercase), self.word(40, 40) + rng.choice("/+=a"),
                           token)
        region = rng.choice(["us-east-1", "eu-central-1", "ap-southeast-2"])
        host = rng.choice(["127.0.0.1:4600", "localhost", "s3.example.com:8443", "[::1]:4600"])
        scheme = rng.choice(["http", "https"])
        parameters = self.parameters()
        url = f"{scheme}://{host}{self.path(service)}"
        in_url = rng.random() < 0.5
        if in_url and parameters:
            repeated = [] if presigned else [("again", "2"), ("again", "1")]
            url += "?" + "&".join(f"{quote(n, safe='~')}={quote(v, safe='~')}"
                                  for n, v in [*parameters.items(), *repeated])
            url += rng.choice(["", "&uploads"])
        body = rng.choice([b"", b"{}", self.odd(40).encode(), bytes(rng.randrange(256) for _ in range(200))])
        if name == "query":
            body = urlencode({"Action": "GetCallerIdentity", "Version": "2011-06-15", "Odd": self.odd()}).encode()
        if presigned:
            body = b""
        request = AWSRequest(method=rng.choice(["GET", "PUT", "POST", "DELETE", "HEAD"]), url=url, data=body,
                             params={} if in_url else parameters)
        self.headers(request, presigned)
        if name == "s3":
            self.s3_payload(request, body)
        elif not presigned and rng.random() < 0.2:
            request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(body).hexdigest()
        expires = rng.choice([1, 60, 3600, 604800, rng.randint(1, 604800)])
        frozen = type("Frozen", (datetime.datetime,), {"utcnow": classmethod(lambda _: now)})
        botocore.auth.datetime = types.SimpleNamespace(datetime=frozen)
        signing = signer(keys, service, region, expires) if presigned else signer(keys, service, region)
        signing.add_auth(request)
        wire = Wire(kind, request, rng)
        wire.expires = expires
        at = int(now.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000)
        return wire, {"access_key": keys.access_key, "secret": keys.secret_key, "region": region, "now": at}

    def s3_payload(self, request, body):
        """Over TLS, SDKs leave the body's digest out where a checksum stands in for it."""
        choice = self.rng.random()
        if choice < 0.2:
            request.headers["Content-MD5"] = base64.b64encode(hashlib.md5(body).digest()).decode()
            request.context["has_streaming_input"] = True
        elif choice < 0.4:
            request.context["checksum"] = {"request_algorithm": {"in": "trailer", "algorithm": "crc32",
                                                                 "name": "x-amz-checksum-crc32"}}
            request.headers["X-Amz-Trailer"] = "x-amz-checksum-crc32"
            request.headers["X-Amz-Decoded-Content-Length"] = str(len(body))
            request.data = AwsChunkedWrapper(BytesIO(body), checksum_cls=Crc32Checksum,
                                             checksum_name="x-amz-checksum-crc32", chunk_size=64 * 1024)
            request.original_body = body


def other(rng, old, letters):
    return rng.choice([c for c in letters if c != old])


def change_letter(rng, text, letters=string.ascii_lowercase + string.digits, where=None):
    at = rng.choice([i for i in range(len(text)) if where is None or where(text[i])])
    return text[:at] + other(rng, text[at], letters) + text[at + 1:]


class Tampering:
    """The changes of one request: each yields what it is, the changed request, the server's time, the answer."""

    def __init__(self, rng, wire, server):
        self.rng, self.wire, self.now = rng, wire, server["now"]

    def __iter__(self):
        yield from self.times()
        yield from self.same_meaning()
        yield from self.request_line()
        yield from self.headers()
        yield from self.body()
        yield from self.claim()
        yield from self.dates()

    def changed(self):
        return copy.deepcopy(self.wire)

    def times(self):
        # A clock may be a quarter of an hour off; a URL lives as long as it says.
        life = self.wire.expires * 1000 if self.wire.presigned else SKEW_MS
        late = "expired" if self.wire.presigned else "skewed"
        early = "not yet valid" if self.wire.presigned else "skewed"
        yield "in its last moment", self.wire, self.now + life, None
        yield "too late", self.wire, self.now + life + 1, late
        yield "as early as may be", self.wire, self.now - SKEW_MS, None
        yield "too early", self.wire, self.now - SKEW_MS - 1, early

    def same_meaning(self):
        made = self.changed()
        for field in made.fields:
            field[0] = "".join(self.rng.choice([c.lower(), c.upper()]) for c in field[0])
            field[1] = self.rng.choice([b"", b" ", b"\t "]) + field[1] + self.rng.choice([b"", b"  "])
        made.shuffle(self.rng)
        pairs = made.query.split("&")
        self.rng.shuffle(pairs)
        made.query = "&".join(pairs)
        # Forms write a space so, and the operations read it so.
        made.query = made.query.replace("%20", "+")
        yield "other case, order and blanks", made, self.now, None
        made = self.changed()
        made.fields.append(["X-Forwarded-For", b"127.0.0.1"])
        yield "a proxy's header", made, self.now, None

    def request_line(self):
        made = self.changed()
        made.method = change_letter(self.rng, made.method, string.ascii_uppercase)
        yield "method", made, self.now, "mismatch"
        for _ in range(3):
            made = self.changed()
            at = self.rng.randrange(1, len(made.path) + 1)
            made.path = made.path[:at] + self.rng.choice(string.ascii_letters + "09-_.~%/") + \
                made.path[at + self.rng.randint(0, 1):]
            if made.canonical_path() != self.wire.canonical_path():
                yield "path", made, self.now, "mismatch"
        own = self.wire.query.split("X-Amz-Algorithm=")[0].rstrip("&") if self.wire.presigned else self.wire.query
        for _ in range(3 if own or not self.wire.presigned else 0):
            at = self.rng.randrange(len(own) + 1)
            made = self.changed()
            text = own[:at] + self.rng.choice(string.ascii_letters + "09-_.~%&=") + own[at + self.rng.randint(0, 1):]
            made.query = text + self.wire.query[len(own):]
            if made.canonical_query() != self.wire.canonical_query():
                yield "query", made, self.now, "mismatch"
        if "%2B" in own:
            made = self.changed()
            made.query = own.replace("%2B", "+") + made.query[len(own):]
            yield "a plus that became a space", made, self.now, "mismatch"
        made = self.changed()
        made.query = "versionId=2" + ("&" if made.query else "") + made.query
        yield "a parameter more", made, self.now, "mismatch"

    def headers(self):
        special = ("x-amz-date", "date", "x-amz-content-sha256")
        plain = [i for i, (name, value) in enumerate(self.wire.fields)
                 if name.lower() in self.wire.signed and name.lower() not in special and value.strip()]
        for at in self.rng.sample(plain, min(3, len(plain))):
            made = self.changed()
            value = made.fields[at][1]
            byte = self.rng.randrange(len(value))
            made.fields[at][1] = value[:byte] + other(self.rng, chr(value[byte]), "abc019").encode() + value[byte + 1:]
            yield "value of " + made.fields[at][0], made, self.now, "mismatch"
            if made.fields[at][0].lower() == "host":
                continue  # exactly one Host is HTTP's business
            made = self.changed()
            del made.fields[at]
            yield "without " + self.wire.fields[at][0], made, self.now, "mismatch"
            made = self.changed()
            made.fields.append([made.fields[at][0], b"more"])
            yield "twice " + made.fields[at][0], made, self.now, "mismatch"
        made = self.changed()
        made.fields.append(["x-amz-acl", b"public-read"])
        yield "a header that was not signed", made, self.now, "not signed"

    def body(self):
        digest = self.wire.field("X-Amz-Content-SHA256")
        literal = digest and len(digest[1]) != 64
        made = self.changed()
        at = self.rng.randrange(len(made.body) + 1)
        made.body = made.body[:at] + bytes([self.rng.randrange(256)]) + made.body[at:]
        if self.wire.words == "s3" and (self.wire.presigned or digest[1] == b"UNSIGNED-PAYLOAD"):
            yield "a body that was not signed", made, self.now, None
        elif not literal:
            yield "body", made, self.now, "body"
            if digest:
                made = copy.deepcopy(made)
                made.field("X-Amz-Content-SHA256")[1] = hashlib.sha256(made.body).hexdigest().encode()
                yield "body and its digest", made, self.now, "mismatch"
        if digest and not self.wire.presigned:
            made = self.changed()
            made.field("X-Amz-Content-SHA256")[1] = b"0" * 64
            yield "digest", made, self.now, "mismatch"
            made = self.changed()
            made.field("X-Amz-Content-SHA256")[1] = digest[1][:-1] + b"!"
            yield "no digest", made, self.now, "digest"
            if self.wire.words == "s3" and digest[1] != b"UNSIGNED-PAYLOAD":
                made = self.changed()
                made.field("X-Amz-Content-SHA256")[1] = b"UNSIGNED-PAYLOAD"
                yield "digest left out", made, self.now, "mismatch"

    def claim(self):
        rng = self.rng
        place = "query" if self.wire.presigned else "header"
        scope = place + " scope"

        def part(index, letters):
            def change(credential):
                parts = credential.split("/")
                parts[index] = change_letter(rng, parts[index], letters)
                return "/".join(parts)
            return change

        table = [
            ("access key", "Credential", part(0, string.ascii_uppercase), "unknown key"),
            ("day", "Credential", part(1, string.digits), scope),
            ("region", "Credential", part(2, string.ascii_lowercase), scope),
            ("service", "Credential", part(3, string.ascii_lowercase), "mismatch"),
            ("terminator", "Credential", part(4, string.ascii_lowercase), scope),
            ("credential cut", "Credential", lambda text: text.replace("/", "-", 1), place),
            ("signature", "Signature", lambda text: change_letter(rng, text, "0123456789abcdef"), "mismatch"),
            ("signature cut", "Signature", lambda text: text[:-1], "mismatch"),
            ("signature empty", "Signature", lambda text: "", "mismatch"),
            ("signature of zeros", "Signature", lambda text: "0" * 64, "mismatch"),
        ]
        for what, name, change, problem in table:
            made = self.changed()
            made.replace_in_claim(name, change)
            yield what, made, self.now, problem
        made = self.changed()
        flipped = change_letter(rng, ";".join(self.wire.signed), string.ascii_lowercase, str.isalpha)
        made.replace_in_claim("SignedHeaders", lambda _: flipped)
        bound = {"host"} | {n.lower() for n, _ in self.wire.fields if n.lower().startswith("x-amz-")}
        yield "signed headers", made, self.now, "mismatch" if bound <= set(flipped.split(";")) else "not signed"
        made = self.changed()
        if made.presigned:
            made.set_parameter("X-Amz-Algorithm", "AWS4-HMAC-SHA257")
            yield "algorithm", made, self.now, "query"
            for parameter in ("Credential", "Date", "Expires", "SignedHeaders", "Signature"):
                made = self.changed()
                made.query = made.query.replace(f"X-Amz-{parameter}=", f"X-Amy-{parameter}=")
                yield "no X-Amz-" + parameter, made, self.now, "query"
            for seconds in ("604801", "-1", "x", ""):
                made = self.changed()
                made.set_parameter("X-Amz-Expires", seconds)
                yield "X-Amz-Expires=" + seconds, made, self.now, "query"
            made = self.changed()
            made.set_parameter("X-Amz-Expires", str(self.wire.expires % 604800 + 1))
            yield "a longer life", made, self.now, "mismatch"
            if made.parameter("X-Amz-Security-Token"):
                made = self.changed()
                made.set_parameter("X-Amz-Security-Token", "a" + made.parameter("X-Amz-Security-Token"))
                yield "token", made, self.now, "mismatch"
        else:
            field = made.field("Authorization")
            field[1] = field[1].replace(b"SHA256 ", b"SHA257 ")
            yield "algorithm", made, self.now, "mechanism"
            for parameter in (b"Credential=", b"SignedHeaders=", b"Signature="):
                made = self.changed()
                made.field("Authorization")[1] = made.field("Authorization")[1].replace(parameter, b"X" + parameter)
                yield f"no {parameter}", made, self.now, "header"
            made = self.changed()
            made.fields.remove(made.field("Authorization"))
            yield "no Authorization", made, self.now, "missing"

    def dates(self):
        """One digit of the signed time, by the rules of the standard."""
        for _ in range(4):
            made = self.changed()
            field = made.field("X-Amz-Date") or made.field("Date")
            if self.wire.presigned:
                text = change_letter(self.rng, made.parameter("X-Amz-Date"), string.digits, str.isdigit)
                made.set_parameter("X-Amz-Date", text)
                old, broken, scope = self.wire.parameter("X-Amz-Date"), "query", "query scope"
            else:
                old = field[1].decode()
                zone = old[-6:] if old[-1] != "Z" else ""
                text = change_letter(self.rng, old[:len(old) - len(zone)], string.digits, str.isdigit) + zone
                field[1] = text.encode()
                broken, scope = "no date", "header scope"
            if re.search("60(Z| -0000)$", text):
                continue  # a leap second, which Python does not know
            yield "date", made, self.now, self.date_problem(old, text, broken, scope)

    def date_problem(self, old, text, broken, scope):
        def read(value):
            if value[-1] == "Z":
                return datetime.datetime.strptime(value, "%Y%m%dT%H%M%SZ")
            return parsedate_to_datetime(value).replace(tzinfo=None)
        try:
            moment = read(text)
        except (ValueError, TypeError):
            return broken
        if moment.date() != read(old).date():
            return scope
        off = (moment - read(old)).total_seconds() * 1000
        if off > SKEW_MS:
            return "not yet valid" if self.wire.presigned else "skewed"
        if self.wire.presigned:
            return "expired" if -off > self.wire.expires * 1000 else "mismatch"
        return "skewed" if -off > SKEW_MS else "mismatch"


def every_byte(wire):
    """Each byte of the request line and of the signed headers, with its lowest bit turned over."""
    head = wire.head()
    at = 0
    for number, line in enumerate(head.split(b"\r\n")):
        name = line.partition(b":")[0].decode().lower()
        covered = range(0)
        if number == 0:
            covered = range(len(line) - len(" HTTP/1.1"))
        elif name == "authorization" or name in wire.signed and line.partition(b":")[2].strip():
            covered = range(len(line))
        for i in covered:
            made = head[:at + i] + bytes([line[i] ^ 1]) + head[at + i + 1:]
            if number == 0 and wire.words != "s3":
                # "/./" and "///" are one path.
                changed = copy.copy(wire)
                changed.path = made.split(b" ")[1].partition(b"?")[0].decode("latin-1")
                if changed.canonical_path() == wire.canonical_path() and i <= len(wire.method) + len(wire.path):
                    continue
            yield f"byte {i} of {line[:60]!r}", made
        at += len(line) + 2


class Program:
    TOGETHER = 32  # so few answers fit into a pipe

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, commands):
        answers = []
        for at in range(0, len(commands), self.TOGETHER):
            some = commands[at:at + self.TOGETHER]
            self.process.stdin.write("".join(json.dumps(c) + "\n" for c in some).encode())
            self.process.stdin.flush()
            for command in some:
                line = self.process.stdout.readline()
                if not line:
                    sys.exit(f"FAILED: the program died on or after {json.dumps(command)}")
                answers.append(json.loads(line))
        return answers


def command(wire, server, head=None):
    return {**server, "dialect": wire.words, "head": base64.b64encode(head or wire.head()).decode(),
            "body": base64.b64encode(wire.body).decode()}


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 60
    program = Program(sys.argv[1])
    accepted, refused, bytes_changed, failures = 0, 0, 0, []
    for kind in KINDS:
        for turn in range(rounds):
            rng = random.Random(f"{seed} {kind[0]} {turn}")
            wire, server = Signer(rng).sign(kind)
            where = f"{kind[0]}, turn {turn}, seed {seed}"
            answer, = program.ask([command(wire, server)])
            if not answer.get("accepted"):
                failures.append(f"{where}: refused what botocore signed: {answer}\n{wire.head()}")
                continue
            accepted += 1
            cases = list(Tampering(rng, wire, server))
            answers = program.ask([command(made, {**server, "now": now}) for _, made, now, _ in cases])
            for (what, made, now, problem), answer in zip(cases, answers):
                refused += problem is not None
                expected = "accepted" if problem is None else answer_to(problem, wire.words)
                got = "accepted" if answer.get("accepted") else (answer["status"], answer["error"])
                if got != expected:
                    failures.append(f"{where}: {what}: wanted {expected}, got {answer}\n"
                                    f"  {made.head()}\n  from {wire.head()}")
            if turn >= 4:
                continue
            cases = list(every_byte(wire))
            answers = program.ask([command(wire, server, head) for _, head in cases])
            bytes_changed += len(cases)
            for (what, head), answer in zip(cases, answers):
                if answer.get("accepted") or not 400 <= answer["status"] < 500:
                    failures.append(f"{where}: {what}: {answer}\n  {head}\n  from {wire.head()}")
    for failure in failures[:20]:
        print(failure)
    print(f"{accepted} signed requests, {refused} changes of a part and {bytes_changed} of a byte, "
          f"{len(failures)} wrong answers")
    if failures or refused < 20 * accepted or bytes_changed < 1000:
        sys.exit(1)


main()
