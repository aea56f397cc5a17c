"""Without this: TLS that clients cannot use or attackers can hang, or changes that nobody can look up afterwards."""

import json
import os
import socket
import ssl
import stat
import subprocess
import sys
import time
import unittest
from datetime import datetime, timedelta, timezone

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from botocore.exceptions import ClientError  # noqa: E402

from batch_setup import make_definition, make_queue, wait_for_job  # noqa: E402
from millrace_server import MillraceServer  # noqa: E402

JOB = """
import json, os, ssl, urllib.request
context = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
url = os.environ["AWS_ENDPOINT_URL"]
print(url.split(":")[0], urllib.request.urlopen(url + "/healthz", context=context).read().decode().strip())
"""


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = MillraceServer(("--runtime", "process", "--tls"))
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.port = int(cls.server.endpoint.rsplit(":", 1)[1])
        cls.bundle = cls.server.environment["AWS_CA_BUNDLE"]

    def connect(self, **options):
        context = ssl.create_default_context(cafile=self.bundle)
        for name, value in options.items():
            setattr(context, name, value)
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.port)), server_hostname="localhost")

    def test_clients(self):
        self.assertTrue(self.server.endpoint.startswith("https://"))
        s3 = self.server.boto3("s3")
        s3.create_bucket(Bucket="tls")
        body = os.urandom(9_000_000)  # more than any buffer on the way
        s3.put_object(Bucket="tls", Key="large", Body=body)
        self.assertEqual(s3.get_object(Bucket="tls", Key="large")["Body"].read(), body)
        self.assertEqual(s3.get_object(Bucket="tls", Key="large", Range="bytes=5-9")["Body"].read(), body[5:10])
        self.assertIn("tls", self.server.aws("s3", "ls").stdout)
        listed = subprocess.run([self.server.binary, "jobs", "--data", self.server.data], capture_output=True, text=True,
                                timeout=60)
        self.assertEqual(listed.returncode, 0, listed.stderr)

    def test_a_job_trusts_its_engine(self):
        batch = self.server.boto3("batch")
        definition = make_definition(batch, ["/usr/bin/python3", "-c", JOB], name="trusting")
        job = batch.submit_job(jobName="j", jobQueue=make_queue(batch), jobDefinition=definition)["jobId"]
        ended = wait_for_job(batch, job)
        self.assertEqual(ended["status"], "SUCCEEDED", ended)
        events = self.server.boto3("logs").get_log_events(
            logGroupName="/aws/batch/job", logStreamName=ended["container"]["logStreamName"])["events"]
        self.assertEqual([e["message"] for e in events], ["https ok"])

    def test_only_new_versions_and_only_for_those_who_trust_it(self):
        with self.connect() as tls:
            self.assertIn(tls.version(), ("TLSv1.2", "TLSv1.3"))
        with self.connect(maximum_version=ssl.TLSVersion.TLSv1_2) as tls:
            self.assertEqual(tls.version(), "TLSv1.2")
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            old.set_ciphers("ALL:@SECLEVEL=0")
            old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
            old.wrap_socket(socket.create_connection(("127.0.0.1", self.port)))
        with self.assertRaises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(socket.create_connection(("127.0.0.1", self.port)),
                                                     server_hostname="localhost")

    def test_requests_byte_by_byte_and_many_on_one_connection(self):
        with self.connect() as tls:
            for byte in b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n":
                tls.sendall(bytes([byte]))
            self.assertIn(b"200 OK", tls.recv(4096))
            tls.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
            got = b""
            while got.count(b"ok\n") < 20:
                piece = tls.recv(65536)
                self.assertTrue(piece, "closed too early")
                got += piece

    def test_plain_text_and_silence_end(self):
        with socket.create_connection(("127.0.0.1", self.port)) as plain:
            plain.settimeout(30)
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try:
                self.assertNotIn(b"200 OK", plain.recv(4096))
            except ConnectionResetError:
                pass  # as good an end
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.port)) as silent:
            silent.settimeout(30)
            silent.sendall(b"\x16\x03\x01")  # the beginning of a ClientHello, and no more
            self.assertEqual(silent.recv(1), b"")
        self.assertLess(time.monotonic() - began, 20)

    def test_files(self):
        data = self.server.data
        self.assertEqual(stat.S_IMODE(os.stat(data).st_mode), 0o700)
        for name in ("tls-key.pem", "tls-certificate.pem", "root-key.json", "audit.db", "state.db"):
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(data, name)).st_mode), 0o600, name)

    def test_a_folder_that_was_open_is_closed(self):
        server = MillraceServer()
        os.mkdir(server.data)
        os.chmod(server.data, 0o755)
        with server:
            self.assertEqual(stat.S_IMODE(os.stat(server.data).st_mode), 0o700)

    def test_given_files_and_wrong_ones(self):
        certificate, key = (os.path.join(self.server.data, f"tls-{what}.pem") for what in ("certificate", "key"))
        with MillraceServer(("--tls", certificate, key)) as other:
            context = ssl.create_default_context(cafile=certificate)
            port = int(other.endpoint.rsplit(":", 1)[1])
            with context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1") as tls:
                self.assertEqual(tls.version(), "TLSv1.3")
            self.assertNotIn("AWS_CA_BUNDLE", other.environment)
        for wrong in ([key, certificate], ["/none", key], [certificate]):
            with self.subTest(wrong=wrong):
                done = subprocess.run([self.server.binary, "serve", "--data", self.server.folder + "/x", "--listen",
                                       "127.0.0.1:0", "--tls", *wrong], capture_output=True, text=True, timeout=30)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn("PEM", done.stderr)


class Audit(unittest.TestCase):
    def test_changes_are_found(self):
        with MillraceServer() as server:
            trail, secrets, batch = server.boto3("cloudtrail"), server.boto3("secretsmanager"), server.boto3("batch")
            secrets.create_secret(Name="audited", SecretString="not-in-the-log")
            secrets.get_secret_value(SecretId="audited")
            server.boto3("ssm").put_parameter(Name="/p", Type="String", Value="not-in-the-log")
            with self.assertRaises(ClientError):
                secrets.create_secret(Name="audited", SecretString="not-in-the-log-either")
            queue = make_queue(batch)
            definition = batch.register_job_definition(
                jobDefinitionName="d", type="container", containerProperties={
                    "image": "any", "command": ["true"],
                    "environment": [{"name": "PASSWORD", "value": "not-in-the-log"}],
                    "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]})
            job = batch.submit_job(jobName="j", jobQueue=queue, jobDefinition=definition["jobDefinitionArn"])
            wait_for_job(batch, job["jobId"])
            server.boto3("s3").create_bucket(Bucket="audited-bucket")
            events = trail.lookup_events()["Events"]
            self.assertEqual([e["EventName"] for e in events],
                             ["CreateBucket", "SubmitJob", "RegisterJobDefinition", "CreateJobQueue",
                              "CreateComputeEnvironment", "CreateSecret", "PutParameter", "CreateSecret"])
            text = json.dumps([e["CloudTrailEvent"] for e in events])
            self.assertNotIn("not-in-the-log", text)
            self.assertIn("HIDDEN_DUE_TO_SECURITY_REASONS", text)
            failed, made = (json.loads(e["CloudTrailEvent"]) for e in events if e["EventName"] == "CreateSecret")
            self.assertEqual(failed["errorCode"], "ResourceExistsException")
            self.assertIn("already exists", failed["errorMessage"])
            self.assertNotIn("errorCode", made)
            self.assertEqual(made["requestParameters"]["name"], "audited")
            self.assertEqual(made["sourceIPAddress"], "127.0.0.1")
            self.assertEqual(made["userIdentity"]["type"], "Root")
            self.assertIn("Boto3", made["userAgent"])
            self.assertEqual(made["eventSource"], "secretsmanager.amazonaws.com")
            self.assertRegex(made["requestID"], r"^[0-9a-f-]{36}$")

            def named(key, value, **more):
                return [e["EventName"] for e in trail.lookup_events(
                    LookupAttributes=[{"AttributeKey": key, "AttributeValue": value}], **more)["Events"]]

            self.assertEqual(named("ResourceName", "audited"), ["CreateSecret", "CreateSecret"])
            self.assertEqual(named("ResourceName", "audited-bucket"), ["CreateBucket"])
            self.assertEqual(named("EventSource", "ssm.amazonaws.com"), ["PutParameter"])
            self.assertEqual(len(named("Username", "root")), 8)
            self.assertEqual(named("AccessKeyId", "AKIANONE"), [])
            self.assertEqual(len(named("AccessKeyId", server.environment["AWS_ACCESS_KEY_ID"])), 8)
            self.assertEqual(named("EventId", events[1]["EventId"]), ["SubmitJob"])
            later = datetime.now(timezone.utc) + timedelta(hours=1)
            self.assertEqual(named("ReadOnly", "false", StartTime=later), [])
            pages = trail.get_paginator("lookup_events").paginate(PaginationConfig={"PageSize": 3})
            self.assertEqual([e["EventId"] for page in pages for e in page["Events"]], [e["EventId"] for e in events])
            server.stop()
            server.start()
            self.assertEqual(len(server.boto3("cloudtrail").lookup_events()["Events"]), 8)
            for folder, _, names in os.walk(server.data):
                for name in names:
                    if name.startswith("audit"):
                        with open(os.path.join(folder, name), "rb") as file:
                            self.assertNotIn(b"not-in-the-log", file.read())


if __name__ == "__main__":
    unittest.main()
