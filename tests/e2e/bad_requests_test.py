"""Without this: a malformed or forged request crashes the server, changes something, or gets an error that no
client understands."""

import contextlib
import datetime
import hashlib
import http.client
import json
import os
import resource
import socket
import sys
import unittest
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import botocore.auth  # noqa: E402
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.credentials import Credentials  # noqa: E402

from batch_setup import make_definition, make_queue  # noqa: E402
from millrace_server import MillraceServer  # noqa: E402

SUBMIT = {"jobName": "job", "jobQueue": "queue", "jobDefinition": "definition"}
CONTAINER = {"image": "millrace", "command": ["true"],
             "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]}


class BadRequests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(MillraceServer())
        cls.batch = cls.server.boto3("batch")
        make_queue(cls.batch)
        make_definition(cls.batch, ["true"])
        cls.server.boto3("s3").create_bucket(Bucket="bucket")

    def setUp(self):
        self.before = self.state()

    def tearDown(self):
        self.assertEqual(self.state(), self.before, "a refused request changed something")

    def state(self):
        b = self.batch
        statuses = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
        everything = [b.describe_compute_environments()["computeEnvironments"],
                      b.describe_job_queues()["jobQueues"], b.describe_job_definitions()["jobDefinitions"],
                      [b.list_jobs(jobQueue="queue", jobStatus=status)["jobSummaryList"] for status in statuses],
                      [bucket["Name"] for bucket in self.server.boto3("s3").list_buckets()["Buckets"]]]
        return json.dumps(everything, default=str, sort_keys=True)

    def request(self, method, path, body=b"", headers=None, service="batch", key=None, secret=None, skew_s=0,
                region="us-east-1", change=None):
        """Signs with botocore, then lets `change(method, path, headers, body)` spoil it. -> (status, headers, body)"""
        environment = self.server.environment
        credentials = Credentials(key or environment["AWS_ACCESS_KEY_ID"],
                                  secret or environment["AWS_SECRET_ACCESS_KEY"])
        request = AWSRequest(method, self.server.endpoint + path, headers=dict(headers or {}), data=body)
        signer = (botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth)(
            credentials, service, region)
        now = datetime.datetime.utcnow() + datetime.timedelta(seconds=skew_s)
        with mock.patch("botocore.auth.datetime") as clock:
            clock.datetime.utcnow.return_value = now
            signer.add_auth(request)
        sent = dict(request.headers.items())
        if change:
            method, path, sent, body = change(method, path, sent, body)
        connection = http.client.HTTPConnection(self.server.endpoint.removeprefix("http://"), timeout=20)
        try:
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def code(self, answer):
        """(status, error code) as a client of the JSON protocols finds it."""
        status, headers, body = answer
        return status, (headers.get("x-amzn-ErrorType") or json.loads(body)["__type"]).split(":")[0].split("#")[-1]

    def test_bad_bodies(self):
        refused = (400, "ClientException")
        broken = (400, "ClientException")  # Batch has one error for all that a client does wrong
        table = [
            ("submitjob", b"", refused),
            ("submitjob", b"{", broken),
            ("submitjob", b"[]", broken),
            ("submitjob", b"null", refused),
            ("submitjob", b"\xff\xfe", broken),
            ("submitjob", b'{"jobName":"\xff"}', broken),
            ("submitjob", b"[" * 100_000, broken),
            ("submitjob", json.dumps(SUBMIT).encode() + b"}", broken),
            ("submitjob", {}, refused),
            ("submitjob", {**SUBMIT, "jobName": 7}, broken),
            ("submitjob", {**SUBMIT, "jobName": None}, refused),
            ("submitjob", {**SUBMIT, "jobName": ""}, refused),
            ("submitjob", {**SUBMIT, "jobName": "-dash"}, refused),
            ("submitjob", {**SUBMIT, "jobName": "x" * 129}, refused),
            ("submitjob", {**SUBMIT, "jobName": "nul\0"}, refused),
            ("submitjob", {**SUBMIT, "jobQueue": "nowhere"}, refused),
            ("submitjob", {**SUBMIT, "jobQueue": "arn:aws:batch:us-east-1:123456789012:job-definition/queue"}, refused),
            ("submitjob", {**SUBMIT, "jobDefinition": "definition:99"}, refused),
            ("submitjob", {**SUBMIT, "jobDefinition": "definition:-1"}, refused),
            ("submitjob", {**SUBMIT, "jobDefinition": "definition:99999999999999999999"}, refused),
            ("submitjob", {**SUBMIT, "retryStrategy": {"attempts": 0}}, refused),
            ("submitjob", {**SUBMIT, "retryStrategy": {"attempts": 11}}, refused),
            ("submitjob", {**SUBMIT, "retryStrategy": {"attempts": "three"}}, broken),
            ("submitjob", {**SUBMIT, "retryStrategy": {"attempts": 1e300}}, broken),
            ("submitjob", {**SUBMIT, "timeout": {"attemptDurationSeconds": 59}}, refused),
            ("submitjob", {**SUBMIT, "timeout": []}, broken),
            ("submitjob", {**SUBMIT, "containerOverrides": {"command": "not a list"}}, broken),
            ("submitjob", {**SUBMIT, "containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": "-1"}]}},
             refused),
            ("submitjob", {**SUBMIT, "containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": "1e9"}]}},
             refused),
            ("submitjob", {**SUBMIT, "containerOverrides": {"environment": [{"name": "X", "value": "y" * 40_000}]}},
             refused),
            ("submitjob", {**SUBMIT, "tags": {"aws:x": "y"}}, refused),
            ("submitjob", {**SUBMIT, "tags": {f"t{n}": "" for n in range(51)}}, refused),
            ("submitjob", {**SUBMIT, "parameters": {"x": 1}}, broken),
            ("registerjobdefinition", {"jobDefinitionName": "bad name!", "type": "container",
                                       "containerProperties": CONTAINER}, refused),
            ("registerjobdefinition", {"jobDefinitionName": "x", "type": "spaceship",
                                       "containerProperties": CONTAINER}, refused),
            ("registerjobdefinition", {"jobDefinitionName": "x", "type": "container"}, refused),
            ("registerjobdefinition", {"jobDefinitionName": "x", "type": "container",
                                       "containerProperties": {"image": "x"}}, refused),
            ("createjobqueue", {"jobQueueName": "q2", "priority": 1, "computeEnvironmentOrder": []}, refused),
            ("createjobqueue", {"jobQueueName": "queue", "priority": 1, "computeEnvironmentOrder": [
                {"order": 1, "computeEnvironment": "queue-environment"}]}, refused),
            ("createjobqueue", {"jobQueueName": "q2", "priority": -1, "computeEnvironmentOrder": [
                {"order": 1, "computeEnvironment": "queue-environment"}]}, refused),
            ("createjobqueue", {"jobQueueName": "q2", "priority": 1, "computeEnvironmentOrder": [
                {"order": 1, "computeEnvironment": "nowhere"}]}, refused),
            ("createcomputeenvironment", {"computeEnvironmentName": "x", "type": "HYBRID"}, refused),
            ("createcomputeenvironment", {"computeEnvironmentName": "x", "type": "MANAGED"}, refused),
            ("deletejobqueue", {"jobQueue": "queue"}, refused),
            ("deletecomputeenvironment", {"computeEnvironment": "queue-environment"}, refused),
            ("deregisterjobdefinition", {}, refused),
            ("terminatejob", {"jobId": "x"}, refused),
            ("canceljob", {"jobId": "", "reason": "x"}, refused),
            ("listjobs", {}, refused),
            ("listjobs", {"jobQueue": "queue", "nextToken": "forged"}, refused),
            ("listjobs", {"jobQueue": "queue", "jobStatus": "HAPPY"}, refused),
            ("describejobs", {"jobs": "no list"}, broken),
        ]
        for operation, body, expected in table:
            if not isinstance(body, bytes):
                body = json.dumps(body).encode()
            with self.subTest(operation=operation, body=body[:100]):
                answer = self.request("POST", "/v1/" + operation, body, {"Content-Type": "application/json"})
                self.assertEqual(self.code(answer), expected, answer[2])
                self.assertIn("message", json.loads(answer[2]))
                self.assertTrue(answer[1].get("x-amzn-RequestId"))

    def test_unknown_operations_and_services(self):
        for method, path in (("POST", "/v1/nonsense"), ("GET", "/v1/submitjob"), ("POST", "/v2/submitjob")):
            with self.subTest(path=path):
                status, headers, body = self.request(method, path, b"{}")
                self.assertIn(status, (403, 404), body)
        target = {"X-Amz-Target": "Logs_20140328.Nonsense", "Content-Type": "application/x-amz-json-1.1"}
        self.assertEqual(self.code(self.request("POST", "/", b"{}", target, service="logs")),
                         (400, "UnknownOperationException"))
        status, _, body = self.request("POST", "/", b"{}", service="teapot")
        self.assertEqual(status, 404, body)

    def test_bad_log_requests(self):
        table = [
            ("GetLogEvents", b"{}", "InvalidParameterException"),
            ("GetLogEvents", b"{", "SerializationException"),
            ("GetLogEvents", b'{"logGroupName":"/none","logStreamName":"x"}', "ResourceNotFoundException"),
            ("DescribeLogStreams", b'{"logGroupName":"bad name!"}', "InvalidParameterException"),
            ("DescribeLogStreams", b'{"logGroupName":"/none"}', "ResourceNotFoundException"),
            ("FilterLogEvents", b'{"logGroupName":"/none","limit":0}', "InvalidParameterException"),
            ("FilterLogEvents", b'{"logGroupName":7}', "SerializationException"),
        ]
        for operation, body, expected in table:
            with self.subTest(operation=operation, body=body):
                answer = self.request("POST", "/", body, {
                    "X-Amz-Target": "Logs_20140328." + operation,
                    "Content-Type": "application/x-amz-json-1.1"}, service="logs")
                self.assertEqual(self.code(answer), (400, expected), answer[2])

    def s3_code(self, answer):
        status, _, body = answer
        text = body.decode()
        return status, text[text.index("<Code>") + 6:text.index("</Code>")]

    def test_bad_s3_requests(self):
        wrong_md5 = {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}
        table = [
            ("PUT", "/bucket/key", b"x", wrong_md5, (400, "BadDigest")),
            ("PUT", "/bucket/key", b"x", {"Content-MD5": "nonsense"}, (400, "InvalidDigest")),
            ("PUT", "/bucket/key", b"x", {"x-amz-checksum-crc32": "AAAAAA=="}, (400, "BadDigest")),
            ("PUT", "/nowhere/key", b"x", {}, (404, "NoSuchBucket")),
            ("PUT", "/bucket/" + "k" * 1025, b"x", {}, (400, "KeyTooLongError")),
            ("PUT", "/Bad_Bucket", b"", {}, (400, "InvalidBucketName")),
            ("PUT", "/bucket/key?partNumber=0&uploadId=none", b"x", {}, (400, "InvalidArgument")),
            ("PUT", "/bucket/key?partNumber=1&uploadId=none", b"x", {}, (404, "NoSuchUpload")),
            ("POST", "/bucket/key?uploadId=none", b"<CompleteMultipartUpload>", {}, (400, "MalformedXML")),
            ("POST", "/bucket?delete", b"not xml", {}, (400, "MalformedXML")),
            ("GET", "/bucket/none", b"", {}, (404, "NoSuchKey")),
            ("GET", "/bucket?list-type=2&max-keys=many", b"", {}, (400, "InvalidArgument")),
            ("GET", "/bucket?list-type=2&continuation-token=forged", b"", {}, (400, "InvalidArgument")),
            ("DELETE", "/nowhere", b"", {}, (404, "NoSuchBucket")),
        ]
        for method, path, body, headers, expected in table:
            with self.subTest(method=method, path=path[:60], headers=headers):
                answer = self.request(method, path, body, headers, service="s3")
                self.assertEqual(self.s3_code(answer), expected, answer[2])
        listed = self.server.boto3("s3").list_objects_v2(Bucket="bucket")
        self.assertEqual(listed["KeyCount"], 0)

    def test_forged_signatures(self):
        body = json.dumps(SUBMIT).encode()

        def submit(**changes):
            return self.request("POST", "/v1/submitjob", body, {"Content-Type": "application/json"}, **changes)

        def change_header(name, change):
            return lambda m, p, h, b: (m, p, {**h, name: change(h[name])}, b)

        flip = change_header("Authorization", lambda a: a[:-1] + ("0" if a[-1] != "0" else "1"))
        without = lambda name: lambda m, p, h, b: (m, p, {k: v for k, v in h.items() if k != name}, b)
        table = [
            ("another secret", {"secret": "x" * 40}, (403, "InvalidSignatureException")),
            ("an unknown key", {"key": "AKIAIOSFODNN7EXAMPLE"}, (403, "UnrecognizedClientException")),
            ("a flipped signature", {"change": flip}, (403, "InvalidSignatureException")),
            ("another body", {"change": lambda m, p, h, b: (m, p, h, b.replace(b'"job"', b'"jab"'))},
             (403, "InvalidSignatureException")),
            ("another operation", {"change": lambda m, p, h, b: (m, "/v1/canceljob", h, b)},
             (403, "InvalidSignatureException")),
            ("another query", {"change": lambda m, p, h, b: (m, p + "?x=1", h, b)},
             (403, "InvalidSignatureException")),
            ("no signature", {"change": without("Authorization")}, (403, "MissingAuthenticationTokenException")),
            ("no date", {"change": without("X-Amz-Date")}, (403, "IncompleteSignatureException")),
            ("half a header", {"change": change_header("Authorization", lambda a: a[:60])},
             (403, "IncompleteSignatureException")),
            ("a slow clock", {"skew_s": -16 * 60}, (403, "InvalidSignatureException")),
            ("a fast clock", {"skew_s": 16 * 60}, (403, "InvalidSignatureException")),
        ]
        for what, changes, expected in table:
            with self.subTest(what):
                answer = submit(**changes)
                self.assertEqual(self.code(answer), expected, answer[2])
        for what, skew_s, word in (("slow", -16 * 60, "Signature expired"), ("fast", 16 * 60, "not yet current")):
            self.assertIn(word, json.loads(submit(skew_s=skew_s)[2])["message"])
        answer = self.request("POST", "/v1/describejobqueues", b"{}", skew_s=-14 * 60)
        self.assertEqual(answer[0], 200, "a quarter of an hour is tolerated")

    def test_forged_s3_signatures(self):
        flip = lambda m, p, h, b: (m, p, {**h, "Authorization": h["Authorization"][:-1] + (
            "0" if h["Authorization"][-1] != "0" else "1")}, b)
        table = [
            ("another secret", {"secret": "x" * 40}, (403, "SignatureDoesNotMatch")),
            ("an unknown key", {"key": "AKIAIOSFODNN7EXAMPLE"}, (403, "InvalidAccessKeyId")),
            ("a flipped signature", {"change": flip}, (403, "SignatureDoesNotMatch")),
            ("another key", {"change": lambda m, p, h, b: (m, p + "2", h, b)}, (403, "SignatureDoesNotMatch")),
            ("another body", {"change": lambda m, p, h, b: (m, p, h, b"y")}, (400, "XAmzContentSHA256Mismatch")),
            ("a slow clock", {"skew_s": -16 * 60}, (403, "RequestTimeTooSkewed")),
            ("nobody", {"change": lambda m, p, h, b: (m, p, {}, b)}, (403, "AccessDenied")),
            ("another region", {"region": "eu-west-1"}, (400, "AuthorizationHeaderMalformed")),
        ]
        digest = hashlib.sha256(b"x").hexdigest()
        for what, changes, expected in table:
            with self.subTest(what):
                answer = self.request("PUT", "/bucket/key", b"x", {"X-Amz-Content-SHA256": digest}, service="s3",
                                      **changes)
                self.assertEqual(self.s3_code(answer), expected, answer[2])
        self.assertEqual(self.server.boto3("s3").list_objects_v2(Bucket="bucket")["KeyCount"], 0)

    def test_bytes_that_are_no_http(self):
        host, port = self.server.endpoint.removeprefix("http://").split(":")
        table = [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,  # TLS
            b"GET\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * (1 << 20) + b"\r\n\r\n",
            b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(20_000)) + b"\r\n",
            b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /bucket/\0 HTTP/1.1\r\nHost: x\r\n\r\n",
        ]
        for raw in table:
            with self.subTest(raw[:60]), socket.create_connection((host, int(port)), timeout=20) as connection:
                answer = b""
                try:
                    connection.sendall(raw)
                    connection.shutdown(socket.SHUT_WR)
                    while chunk := connection.recv(65536):
                        answer += chunk
                except ConnectionError:
                    pass  # closed before it had read all: also a refusal
                self.assertRegex(answer[:12], rb"^(HTTP/1\.[01] (4\d\d|501|505)|$)")
        status, _, body = self.request("GET", "/healthz")
        self.assertEqual((status, body), (200, b"ok\n"))

    def test_ten_thousand_connections_that_say_nothing(self):
        """Also half a head: those who ask are answered all the same, and memory is bounded."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 10_500
        if hard < wanted + 500:
            self.skipTest(f"this process may open {hard} files")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        host, port = self.server.endpoint.removeprefix("http://").split(":")
        before = self.server_rss_kib()
        with contextlib.ExitStack() as opened:
            for number in range(wanted):
                connection = opened.enter_context(socket.create_connection((host, int(port)), timeout=20))
                if number % 2:
                    connection.sendall(b"PUT /bucket/slow HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            self.assertEqual(self.request("GET", "/healthz")[0], 200)
            s3 = self.server.boto3("s3")
            s3.put_object(Bucket="bucket", Key="meanwhile", Body=b"x")
            s3.delete_object(Bucket="bucket", Key="meanwhile")
            grown = self.server_rss_kib() - before
            self.assertLess(grown, 200 << 10, "at most 20 KiB a connection")
        self.assertEqual(self.request("GET", "/healthz")[0], 200)

    def server_rss_kib(self):
        with open(f"/proc/{self.server.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
