"""Without this: a start that cannot work hangs, says nothing useful, or damages the data folder it met."""

import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

from batch_setup import make_definition, make_queue, wait_for_job  # noqa: E402
from millrace_server import MillraceServer, wait_until  # noqa: E402


class BadStart(unittest.TestCase):
    def refused(self, exit_code, *arguments, **options):
        """The one line that such a start leaves on stderr."""
        done = subprocess.run([os.environ["MILLRACE_BINARY"], "serve", *arguments], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=30, **options)
        self.assertEqual((done.returncode, done.stdout), (exit_code, ""), done.stderr)
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertTrue(lines[0].startswith("millrace serve: "), lines[0])
        return lines[0]

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="millrace-start-")
        self.addCleanup(folder.cleanup)
        self.folder = os.path.join(folder.name, "data")

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            line = self.refused(1, "--data", self.folder, "--listen", address)
        self.assertIn(address, line)
        self.assertIn("another program listens there", line)

    def test_data_folder_in_use(self):
        with MillraceServer() as server:
            line = self.refused(1, "--data", server.data, "--listen", "127.0.0.1:0")
            self.assertIn(server.data, line)
            self.assertIn("in use by another engine", line)
            self.assertEqual(server.boto3("batch").describe_job_queues()["jobQueues"], [])

    def test_data_folder_of_a_newer_version(self):
        with MillraceServer() as server:
            make_queue(server.boto3("batch"))
            server.stop()
            state = os.path.join(server.data, "state.db")
            with sqlite3.connect(state) as database:
                known, = database.execute("PRAGMA user_version").fetchone()
                database.execute("PRAGMA user_version = 999")
            database.close()
            line = self.refused(1, "--data", server.data, "--listen", "127.0.0.1:0")
            self.assertRegex(line, "newer version")
            with sqlite3.connect(state) as database:
                database.execute(f"PRAGMA user_version = {known}")
            database.close()
            server.start()  # nothing was touched
            self.assertEqual(len(server.boto3("batch").describe_job_queues()["jobQueues"]), 1)

    def test_any_key_only_on_loopback(self):
        line = self.refused(2, "--data", self.folder, "--auth", "none", "--listen", "0.0.0.0:0")
        self.assertIn("loopback", line)
        self.assertFalse(os.path.exists(self.folder), "a refused start leaves nothing behind")

    def test_an_address_that_is_none(self):
        for address in ("4600", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:65536", "127.0.0.1:-1"):
            self.assertIn(address, self.refused(2, "--data", self.folder, "--listen", address))
        self.assertIn("192.0.2.1", self.refused(2, "--data", self.folder, "--listen", "192.0.2.1:0"))

    def test_a_data_folder_that_is_a_file(self):
        with open(self.folder, "w"):
            pass
        self.assertIn(self.folder, self.refused(1, "--data", self.folder, "--listen", "127.0.0.1:0"))

    def test_a_data_folder_that_is_no_database(self):
        os.mkdir(self.folder)
        with open(os.path.join(self.folder, "state.db"), "wb") as file:
            file.write(b"no database at all, " * 1000)
        self.assertIn("state.db", self.refused(1, "--data", self.folder, "--listen", "127.0.0.1:0"))

    def test_any_key_on_loopback(self):
        with MillraceServer(["--runtime", "process", "--auth", "none"]) as server:
            batch = server.boto3("batch", aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="x")
            self.assertEqual(batch.describe_job_queues()["jobQueues"], [])


@unittest.skipUnless(os.geteuid() == 0, "a small file system can be mounted by root only")
class FullDisk(unittest.TestCase):
    def setUp(self):
        self.disk = tempfile.mkdtemp(prefix="millrace-disk-")
        self.addCleanup(os.rmdir, self.disk)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", self.disk],
                                 capture_output=True, text=True)
        if mounted.returncode != 0:
            self.skipTest("a tmpfs cannot be mounted here: " + mounted.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", "--lazy", self.disk], check=True)

    def fill(self):
        with open(os.path.join(self.disk, "ballast"), "ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    pass

    def test_refuses_loses_nothing_and_goes_on(self):
        with MillraceServer(parent=self.disk) as server:
            once = Config(retries={"max_attempts": 0})
            batch, s3 = server.boto3("batch", config=once), server.boto3("s3", config=once)
            queue = make_queue(batch)
            definition = make_definition(batch, ["echo", "done"])
            s3.create_bucket(Bucket="bucket")
            s3.put_object(Bucket="bucket", Key="before", Body=b"before")
            acknowledged = []

            def submit():
                acknowledged.append(batch.submit_job(jobName="job", jobQueue=queue, jobDefinition=definition,
                                                     parameters={"filler": "x" * 20000})["jobId"])

            for _ in range(20):
                submit()
            self.fill()
            with self.assertRaises(ClientError) as caught:
                for _ in range(2000):  # what the database still has room for is taken
                    submit()
            error = caught.exception.response
            self.assertEqual(error["ResponseMetadata"]["HTTPStatusCode"], 500)
            self.assertEqual(error["Error"]["Code"], "ServerException")
            self.assertRegex(error["Error"]["Message"], "^Nothing was changed: .*(full|space)")
            with self.assertRaises(ClientError) as caught:
                s3.put_object(Bucket="bucket", Key="large", Body=b"x" * (1 << 20))
            self.assertGreaterEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 500)

            # Reads go on.
            self.assertEqual(s3.get_object(Bucket="bucket", Key="before")["Body"].read(), b"before")
            known = batch.describe_jobs(jobs=acknowledged[:100])["jobs"]
            self.assertEqual(len(known), len(acknowledged[:100]))

            os.unlink(os.path.join(self.disk, "ballast"))
            refused = []

            def takes_again():
                try:
                    submit()
                    return True
                except ClientError as error:
                    refused.append(error)
                    return False

            wait_until(takes_again, "submissions are taken again")
            s3.put_object(Bucket="bucket", Key="after", Body=b"after")
            for job_id in acknowledged:
                job = wait_for_job(batch, job_id)
                self.assertEqual(job["status"], "SUCCEEDED", job.get("statusReason"))
            listed = [job["jobId"] for page in batch.get_paginator("list_jobs").paginate(
                jobQueue=queue, jobStatus="SUCCEEDED") for job in page["jobSummaryList"]]
            self.assertEqual(sorted(listed), sorted(acknowledged), "what was refused does not exist")
            events = [event for page in server.boto3("logs").get_paginator("filter_log_events").paginate(
                logGroupName="/aws/batch/job") for event in page["events"]]
            self.assertEqual(len(events), len(acknowledged), "the output of every job is there, once")
            server.stop()
            server.start()
            batch = server.boto3("batch")
            self.assertEqual(len(batch.describe_jobs(jobs=acknowledged[-100:])["jobs"]),
                             len(acknowledged[-100:]))


class Completion(unittest.TestCase):
    """Without this: Tab offers commands that are not there, or none."""

    def offered(self, *words):
        """What bash offers for the last of `words`, which may be empty."""
        quoted = " ".join(f"'{word}'" for word in words)
        script = (f'eval "$({os.environ["MILLRACE_BINARY"]} completion bash)"; COMP_WORDS=({quoted}); '
                  f'COMP_CWORD={len(words) - 1}; _millrace; printf "%s\\n" "${{COMPREPLY[@]}}"')
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_commands_options_and_files(self):
        self.assertEqual(self.offered("millrace", "ev"), ["events"])
        self.assertEqual(sorted(self.offered("millrace", "events", "")), ["tail", "test", "why"])
        self.assertIn("--strict-roles", self.offered("millrace", "serve", "--str"))
        self.assertNotIn("runner", self.offered("millrace", ""), "what people do not call is not offered")
        self.assertEqual(self.offered("millrace", "serve", "--data", "/et"), ["/etc"])
        for shell in ("zsh", "fish"):
            done = subprocess.run([os.environ["MILLRACE_BINARY"], "completion", shell], capture_output=True, text=True)
            self.assertIn("iam", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
