"""Without this: a change breaks what users of Debian's AWS CLI type, from `batch submit-job` to `s3 sync`."""

import json
import os
import re
import subprocess
import sys
import threading
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from millrace_server import MillraceServer, wait_until  # noqa: E402

ENVIRONMENT = {"type": "EC2", "minvCpus": 0, "maxvCpus": 16, "instanceTypes": ["optimal"], "subnets": ["subnet-1"],
               "securityGroupIds": ["sg-1"], "instanceRole": "ecsInstanceRole"}


class Cli(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(MillraceServer())
        cls.home = cls.server.folder

    def aws(self, *arguments, **options):
        return self.server.aws(*arguments, cwd=self.home, **options).stdout

    def answer(self, *arguments):
        return json.loads(self.aws(*arguments, "--output", "json"))

    def write(self, path, content):
        path = os.path.join(self.home, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)

    def read(self, path):
        with open(os.path.join(self.home, path), "rb") as file:
            return file.read()


class Batch(Cli):
    def define(self, name, command):
        return self.answer("batch", "register-job-definition", "--job-definition-name", name, "--type", "container",
                           "--container-properties", json.dumps({
                               "image": "millrace", "command": command,
                               "resourceRequirements": [{"type": "VCPU", "value": "1"},
                                                        {"type": "MEMORY", "value": "64"}]}))["jobDefinitionArn"]

    def job(self, job_id):
        return self.answer("batch", "describe-jobs", "--jobs", job_id)["jobs"][0]

    def status(self, job_id, *wanted):
        wait_until(lambda: self.job(job_id)["status"] in wanted, f"{job_id} is {wanted}")
        return self.job(job_id)

    def test_a_whole_life(self):
        self.answer("batch", "create-compute-environment", "--compute-environment-name", "here", "--type", "MANAGED",
                    "--compute-resources", json.dumps(ENVIRONMENT))
        wait_until(lambda: self.answer("batch", "describe-compute-environments")
                   ["computeEnvironments"][0]["status"] == "VALID", "the environment is VALID")
        queue = self.answer("batch", "create-job-queue", "--job-queue-name", "cli", "--priority", "1",
                            "--compute-environment-order", "order=1,computeEnvironment=here")["jobQueueArn"]
        self.define("short", ["sh", "-c", "for n in 1 2 3; do echo line $n; done; echo 'last one: é' >&2"])
        job_id = self.answer("batch", "submit-job", "--job-name", "first", "--job-queue", "cli",
                             "--job-definition", "short", "--tags", "shot=010")["jobId"]
        job = self.status(job_id, "SUCCEEDED", "FAILED")
        self.assertEqual(job["status"], "SUCCEEDED", job)
        stream = job["container"]["logStreamName"]

        events = self.answer("logs", "get-log-events", "--log-group-name", "/aws/batch/job",
                             "--log-stream-name", stream, "--start-from-head")
        self.assertEqual(sorted(event["message"] for event in events["events"]),
                         ["last one: é", "line 1", "line 2", "line 3"])
        # The end of a stream gives the same token again.
        more = self.answer("logs", "get-log-events", "--log-group-name", "/aws/batch/job", "--log-stream-name",
                           stream, "--next-token", events["nextForwardToken"])
        self.assertEqual((more["events"], more["nextForwardToken"]), ([], events["nextForwardToken"]))
        streams = self.answer("logs", "describe-log-streams", "--log-group-name", "/aws/batch/job")["logStreams"]
        self.assertEqual([s["logStreamName"] for s in streams], [stream])
        self.assertLessEqual(streams[0]["firstEventTimestamp"], streams[0]["lastEventTimestamp"])
        groups = self.answer("logs", "describe-log-groups", "--log-group-name-prefix", "/aws/")["logGroups"]
        self.assertEqual([group["logGroupName"] for group in groups], ["/aws/batch/job"])
        tail = self.aws("logs", "tail", "/aws/batch/job")
        self.assertEqual(tail.count("line"), 3, tail)
        self.assertIn(stream, tail)
        self.assertEqual(self.aws("logs", "tail", "/aws/batch/job", "--filter-pattern", '"line 2"',
                                  "--format", "short").strip().split(" ", 1)[1], "line 2")

        self.follow_a_running_job()

        listed = self.answer("batch", "list-jobs", "--job-queue", queue, "--job-status", "SUCCEEDED")
        self.assertIn(job_id, [summary["jobId"] for summary in listed["jobSummaryList"]])
        self.aws("batch", "tag-resource", "--resource-arn", job["jobArn"], "--tags", "take=2")
        self.aws("batch", "untag-resource", "--resource-arn", job["jobArn"], "--tag-keys", "shot")
        self.assertEqual(self.answer("batch", "list-tags-for-resource", "--resource-arn", job["jobArn"])["tags"],
                         {"take": "2"})
        self.aws("batch", "deregister-job-definition", "--job-definition", "short:1")
        refused = self.server.aws("batch", "submit-job", "--job-name", "late", "--job-queue", "cli",
                                  "--job-definition", "short", check=False)
        self.assertEqual(refused.returncode, 254)
        self.assertIn("An error occurred (ClientException) when calling the SubmitJob operation", refused.stderr)

        self.aws("batch", "update-job-queue", "--job-queue", "cli", "--state", "DISABLED")
        self.aws("batch", "delete-job-queue", "--job-queue", "cli")
        wait_until(lambda: not self.answer("batch", "describe-job-queues")["jobQueues"], "the queue is gone")
        self.aws("batch", "update-compute-environment", "--compute-environment", "here", "--state", "DISABLED")
        self.aws("batch", "delete-compute-environment", "--compute-environment", "here")
        self.assertEqual(self.answer("batch", "describe-compute-environments")["computeEnvironments"], [])

    def follow_a_running_job(self):
        """`tail --follow` shows lines while the job runs, each once, until the job is terminated."""
        gate = os.path.join(self.home, "gate")
        self.define("talker", ["sh", "-c", f"echo early; while [ ! -e {gate} ]; do sleep 0.1; done; "
                                           "echo late; exec sleep 600"])
        job_id = self.answer("batch", "submit-job", "--job-name", "talker", "--job-queue", "cli",
                             "--job-definition", "talker")["jobId"]
        lines = []
        tail = subprocess.Popen(self.server.aws_command("logs", "tail", "/aws/batch/job", "--follow",
                                                        "--log-stream-name-prefix", "talker/"),
                                env={**self.server.environment, "PYTHONUNBUFFERED": "1"},
                                stdout=subprocess.PIPE, text=True)
        reader = threading.Thread(target=lines.extend, args=(tail.stdout,))
        reader.start()
        try:
            wait_until(lambda: any("early" in line for line in lines), "the first line is shown")
            with open(gate, "w"):
                pass
            # The CLI asks again every five seconds.
            wait_until(lambda: any("late" in line for line in lines), "the line of the running job is shown")
        finally:
            tail.terminate()
            tail.wait()
            reader.join()
            tail.stdout.close()
        self.assertEqual([line.rsplit(" ", 1)[1].strip() for line in lines], ["early", "late"])
        self.aws("batch", "terminate-job", "--job-id", job_id, "--reason", "seen enough")
        job = self.status(job_id, "FAILED")
        self.assertEqual(job["statusReason"], "seen enough")


class S3(Cli):
    def test_mb_cp_sync_ls_rm_rb(self):
        self.aws("s3", "mb", "s3://shots")
        odd = ["plain.txt", "with space.txt", "ünï-日本.txt", "a+b.txt", "100%.txt", "deep/er/q?&=#.txt", "empty"]
        for name in odd:
            self.write("tree/" + name, b"" if name == "empty" else name.encode())
            os.utime(os.path.join(self.home, "tree", name), (1_700_000_000, 1_700_000_000))  # S3 keeps whole seconds
        self.aws("s3", "sync", "tree", "s3://shots/in")
        listed = self.aws("s3", "ls", "--recursive", "s3://shots/in/")
        self.assertEqual(sorted(re.sub(r"^\S+ \S+ +\d+ in/", "", line) for line in listed.splitlines()), sorted(odd))
        self.assertIn("PRE deep/", self.aws("s3", "ls", "s3://shots/in/"))
        self.assertEqual(self.aws("s3", "sync", "tree", "s3://shots/in"), "", "what is the same is not sent again")
        self.aws("s3", "sync", "s3://shots/in", "back")
        for name in odd:
            self.assertEqual(self.read("back/" + name), self.read("tree/" + name))
        os.unlink(os.path.join(self.home, "tree/a+b.txt"))
        self.assertIn("delete: s3://shots/in/a+b.txt", self.aws("s3", "sync", "--delete", "tree", "s3://shots/in"))
        for name in ("with space.txt", "ünï-日本.txt", "100%.txt"):
            self.assertEqual(self.aws("s3", "cp", f"s3://shots/in/{name}", "-"), name)
        refused = self.server.aws("s3", "rb", "s3://shots", check=False)
        self.assertIn("BucketNotEmpty", refused.stderr)
        self.aws("s3", "rm", "--recursive", "s3://shots")
        self.aws("s3", "rb", "s3://shots")
        self.assertNotIn("shots", self.aws("s3", "ls"))
        gone = self.server.aws("s3", "ls", "s3://shots", check=False)
        self.assertIn("NoSuchBucket", gone.stderr)

    def test_a_large_file_goes_in_parts_and_comes_back_in_ranges(self):
        self.aws("s3", "mb", "s3://large")
        body = os.urandom(20 << 20)
        self.write("large.bin", body)
        self.aws("s3", "cp", "large.bin", "s3://large/large.bin")
        head = self.answer("s3api", "head-object", "--bucket", "large", "--key", "large.bin")
        self.assertEqual(head["ContentLength"], len(body))
        self.assertRegex(head["ETag"], '^"[0-9a-f]{32}-3"$')
        self.aws("s3", "cp", "s3://large/large.bin", "large.back")
        self.assertEqual(self.read("large.back"), body)
        part = self.answer("s3api", "get-object", "--bucket", "large", "--key", "large.bin",
                           "--range", "bytes=10000000-10000099", "part.bin")
        self.assertEqual(part["ContentRange"], f"bytes 10000000-10000099/{len(body)}")
        self.assertEqual(self.read("part.bin"), body[10000000:10000100])

        upload = self.answer("s3api", "create-multipart-upload", "--bucket", "large", "--key", "left")["UploadId"]
        listed = self.answer("s3api", "list-multipart-uploads", "--bucket", "large")["Uploads"]
        self.assertEqual([entry["UploadId"] for entry in listed], [upload])
        self.aws("s3api", "abort-multipart-upload", "--bucket", "large", "--key", "left", "--upload-id", upload)
        self.assertNotIn("Uploads", json.loads(self.aws("s3api", "list-multipart-uploads", "--bucket", "large")
                                               or "{}"))

    def test_presigned_urls_with_curl(self):
        self.aws("s3", "mb", "s3://signed")
        self.write("file", b"for whoever has the link")
        self.aws("s3", "cp", "file", "s3://signed/a b+c%é")
        url = self.aws("s3", "presign", "s3://signed/a b+c%é", "--expires-in", "60").strip()
        curl = ["curl", "--silent", "--show-error", "--max-time", "20"]
        got = subprocess.run([*curl, url], capture_output=True, check=True).stdout
        self.assertEqual(got, b"for whoever has the link")
        ranged = subprocess.run([*curl, "--range", "4-6", url], capture_output=True, check=True).stdout
        self.assertEqual(ranged, b"who")

        def refused(changed):
            self.assertNotEqual(changed, url)
            done = subprocess.run([*curl, "--write-out", "%{http_code}", changed], capture_output=True, check=True,
                                  text=True).stdout
            self.assertEqual(done[-3:], "403", done)
            return re.search("<Code>(.*)</Code>", done).group(1)

        signature = re.search("Signature=(.)", url)
        flipped = "Signature=" + ("0" if signature.group(1) != "0" else "1")
        self.assertEqual(refused(url.replace(signature.group(0), flipped)), "SignatureDoesNotMatch")
        self.assertEqual(refused(url.replace("a%20b", "another")), "SignatureDoesNotMatch")
        self.assertEqual(refused(url.replace("Expires=60", "Expires=6000")), "SignatureDoesNotMatch")
        old = re.sub(r"X-Amz-Date=\d{8}", "X-Amz-Date=20200101", url)
        self.assertEqual(refused(re.sub(r"(X-Amz-Credential=[^%]+)%2F\d{8}", r"\1%2F20200101", old)), "AccessDenied")
        key = urllib.parse.unquote(re.search("X-Amz-Credential=([^%]+)", url).group(1))
        self.assertEqual(refused(url.replace(key, "AKIAIOSFODNN7EXAMPLE")), "InvalidAccessKeyId")


if __name__ == "__main__":
    unittest.main(verbosity=2)
