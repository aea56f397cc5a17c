"""Without this: `millrace jobs` leaves jobs out, tells the wrong story about one, or fails without saying what to do."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import unittest
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import botocore.auth  # noqa: E402
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.credentials import Credentials  # noqa: E402

from batch_setup import make_definition, make_queue, wait_for_job  # noqa: E402
from millrace_server import MillraceServer, wait_until  # noqa: E402


def run_jobs(data, *arguments):
    return subprocess.run([os.environ["MILLRACE_BINARY"], "jobs", "--data", data, *arguments],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def raw_batch(server, operation, request):
    """Batch's answer as it is: Debian's clients drop what they do not know, and refuse to send it."""
    signed = AWSRequest("POST", f"{server.endpoint}/v1/{operation.lower()}", data=json.dumps(request).encode(),
                        headers={"Content-Type": "application/json"})
    keys = Credentials(server.environment["AWS_ACCESS_KEY_ID"], server.environment["AWS_SECRET_ACCESS_KEY"])
    botocore.auth.SigV4Auth(keys, "batch", "us-east-1").add_auth(signed)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(urllib.request.Request(
            signed.url, signed.data, dict(signed.headers)), timeout=60) as answer:
        return json.load(answer)


def rows(text):
    """The table as dictionaries; every column but the last is one word."""
    headings, *lines = text.splitlines()
    headings = headings.split()
    return [dict(zip(headings, line.split(None, len(headings) - 1))) for line in lines]


def sections(text):
    """`millrace jobs JOB`: label -> its lines."""
    found, label = {}, None
    for line in text.splitlines():
        label = line[:12].strip() if line[:1].strip() else label
        found.setdefault(label, []).append(line[12:] if line[:1].strip() else line.strip())
    return found


class Jobs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(MillraceServer())
        cls.batch = batch = cls.server.boto3("batch")
        make_queue(batch, "render")
        make_queue(batch, "copy")
        make_definition(batch, ["echo", "hello there"], "hello")
        make_definition(batch, ["sh", "-c", "echo attempt $AWS_BATCH_JOB_ATTEMPT; exit 7"], "fails",
                        retryStrategy={"attempts": 2})
        make_definition(batch, ["sh", "-c", "exit $((AWS_BATCH_JOB_ARRAY_INDEX % 2))"], "odd")
        make_definition(batch, ["sleep", "600"], "slow")
        cls.hello = cls.submit("hello", "hello")
        wait_for_job(batch, cls.hello)
        cls.fails = cls.submit("will-fail", "fails", queue="copy")
        wait_for_job(batch, cls.fails)
        cls.frames = cls.submit("frames", "odd", arrayProperties={"size": 30})
        wait_for_job(batch, cls.frames)
        cls.slow = cls.submit("long", "slow")
        wait_for_job(batch, cls.slow, ("RUNNING",))
        cls.after = cls.submit("after", "hello", dependsOn=[{"jobId": cls.slow}])
        wait_for_job(batch, cls.after, ("PENDING",))
        cls.all = [cls.after, cls.slow, cls.frames, cls.fails, cls.hello]

    @classmethod
    def submit(cls, name, definition, queue="render", **more):
        return cls.batch.submit_job(jobName=name, jobQueue=queue, jobDefinition=definition, **more)["jobId"]

    def jobs(self, *arguments):
        done = run_jobs(self.server.data, *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def refused(self, exit_code, *arguments, data=None):
        done = run_jobs(data or self.server.data, *arguments)
        self.assertEqual((done.returncode, done.stdout), (exit_code, ""), done.stderr)
        self.assertRegex(done.stderr, r"\Amillrace jobs: [^\n]+\n\Z")
        return done.stderr

    def test_every_job_newest_first(self):
        table = rows(self.jobs())
        self.assertEqual([row["JOB"] for row in table], self.all)
        shown = [(row["NAME"], row["QUEUE"], row["STATUS"], row["ARRAY"], row["EXIT"]) for row in table]
        self.assertEqual(shown, [("after", "render", "PENDING", "-", "-"),
                                 ("long", "render", "RUNNING", "-", "-"),
                                 ("frames", "render", "FAILED", "30/30", "-"),
                                 ("will-fail", "copy", "FAILED", "-", "7"),
                                 ("hello", "render", "SUCCEEDED", "-", "0")])
        self.assertIn(self.slow, table[0]["REASON"])
        self.assertEqual(table[0]["RUN"], "-")
        self.assertRegex(table[1]["RUN"], r"^[\d.]+(ms|s|m\d\ds)$")
        self.assertEqual(table[2]["REASON"], "Array Child Job failed")

    def test_chosen_by_queue_and_status(self):
        for arguments, expected in [(["--queue", "copy"], [self.fails]),
                                    (["--status", "FAILED"], [self.frames, self.fails]),
                                    (["--status", "failed", "--queue", "render"], [self.frames]),
                                    (["--status", "RUNNING"], [self.slow])]:
            with self.subTest(arguments):
                self.assertEqual([row["JOB"] for row in rows(self.jobs(*arguments))], expected)
        done = run_jobs(self.server.data, "--status", "SUBMITTED", "--queue", "copy")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", "no jobs are SUBMITTED in copy\n"))

    def test_a_limit_says_that_there_are_more(self):
        done = run_jobs(self.server.data, "--limit", "2")
        self.assertEqual([row["JOB"] for row in rows(done.stdout)], self.all[:2])
        self.assertIn("--limit", done.stderr)
        self.assertEqual(len(rows(self.jobs("--limit", "5"))), 5)  # exactly all: nothing to say

    def test_json_is_what_describe_jobs_answers(self):
        for job_id in (self.frames, self.fails):
            self.assertEqual(json.loads(self.jobs("--json", job_id)),
                             raw_batch(self.server, "DescribeJobs", {"jobs": [job_id]}))
        self.assertEqual(json.loads(self.jobs("--json", "--status", "FAILED")),
                         raw_batch(self.server, "DescribeJobs", {"jobs": [self.frames, self.fails]}))
        self.assertEqual(json.loads(self.jobs("--json", "--status", "SUBMITTED")), {"jobs": []})

    def test_one_job(self):
        text = self.jobs(self.hello)
        shown = sections(text)
        self.assertEqual(shown["job"], [self.hello])
        self.assertEqual(shown["name"], ["hello"])
        self.assertEqual(shown["status"], ["SUCCEEDED: Essential container in task exited"])
        self.assertEqual(shown["queue"], ["render"])
        self.assertEqual(shown["definition"], ["hello:1"])
        self.assertEqual(shown["command"], ["echo 'hello there'"])
        self.assertRegex(shown["stopped"][0], r"^\d{4}-\d\d-\d\dT[\d:.]+Z  ran [\d.]+m?s$")
        # By ARN, too.
        arn = self.batch.describe_jobs(jobs=[self.hello])["jobs"][0]["jobArn"]
        self.assertEqual(sections(self.jobs(arn))["job"], [self.hello])

    def test_attempts_and_their_logs(self):
        job = self.batch.describe_jobs(jobs=[self.fails])["jobs"][0]
        shown = sections(self.jobs(self.fails))
        self.assertEqual(shown["attempts"][0], "2 of at most 2")
        for number, attempt in enumerate(job["attempts"], 1):
            line, stream = shown["attempts"][number * 2 - 1:number * 2 + 1]
            self.assertRegex(line, rf"^{number}  exit 7, ran [\d.]+m?s, used [\d.]+s of CPU and at most [\d.]+ MiB: Essential container in task exited$")
            self.assertEqual(stream, "log stream " + attempt["container"]["logStreamName"])
        self.assertEqual(self.jobs(self.fails, "--log"), "attempt 2\n")
        self.assertEqual(self.jobs(self.fails, "--log", "--attempt", "1"), "attempt 1\n")
        self.assertIn("it has had 2", self.refused(1, self.fails, "--log", "--attempt", "3"))
        # The hint does what it says, as it stands.
        words = shown["its log"][0].replace("millrace ", os.environ["MILLRACE_BINARY"] + " ", 1)
        done = subprocess.run(words, shell=True, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stdout, "attempt 2\n", done.stderr)

    def test_a_running_job(self):
        shown = sections(self.jobs(self.slow))
        self.assertEqual(shown["status"], ["RUNNING"])
        self.assertRegex(shown["attempts"][1], r"^1  running, ran ")
        self.assertNotIn("stopped", shown)
        done = run_jobs(self.server.data, self.slow, "--log")
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertIn("has printed nothing", done.stderr)

    def test_a_waiting_job(self):
        shown = sections(self.jobs(self.after))
        self.assertTrue(shown["status"][0].startswith("PENDING: "), shown)
        self.assertEqual(shown["depends on"], [f"{self.slow}  RUNNING  long"])
        self.assertNotIn("attempts", shown)
        self.assertIn("has not begun to run; it is PENDING", self.refused(1, self.after, "--log"))

    def test_an_array_job_and_a_child(self):
        shown = sections(self.jobs(self.frames))
        self.assertEqual(shown["array"], ["30 of 30 done: 15 SUCCEEDED, 15 FAILED"])
        self.assertEqual(shown["failed"][0], f"{self.frames}:1  exit 1: Essential container in task exited")
        self.assertEqual(len(shown["failed"]), 11)
        self.assertEqual(shown["failed"][-1], "and 5 more")
        child = sections(self.jobs(self.frames + ":3"))
        self.assertEqual(child["child"], [f"3 of the array job {self.frames}"])
        self.assertEqual(child["attempts"][0], "1 of at most 1")
        self.assertIn(f"millrace jobs {self.frames}:0 --log", self.refused(2, self.frames, "--log"))

    def test_on_a_terminal(self):
        def on_terminal(columns, *arguments, **environment):
            master, slave = pty.openpty()
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
            process = subprocess.Popen(
                [os.environ["MILLRACE_BINARY"], "jobs", "--data", self.server.data, *arguments],
                stdin=subprocess.DEVNULL, stdout=slave, env={**os.environ, "TERM": "xterm", **environment})
            os.close(slave)
            text = b""
            try:
                while piece := os.read(master, 65536):
                    text += piece
            except OSError:  # how a terminal says that nobody writes to it any more
                pass
            os.close(master)
            self.assertEqual(process.wait(timeout=60), 0)
            return text.decode().replace("\r\n", "\n")

        wide = on_terminal(130, "--queue", "render")
        self.assertIn("\033[31mFAILED\033[0m", wide)
        plain = re.sub("\033\\[\\d*m", "", wide)
        self.assertEqual(max(map(len, plain.splitlines())), 130)
        self.assertRegex(plain, r"Waits for job [^\n]*…\n")
        self.assertNotIn("\033", on_terminal(130, NO_COLOR="1"))
        # No room for a sentence beside the rest: below it.
        self.assertRegex(on_terminal(80, "--status", "PENDING"), r"\n    Waits for job [^\n]*\n\Z")
        self.assertNotIn("ARRAY", on_terminal(130, "--status", "RUNNING"), "a column that says nothing")

    def test_errors_say_what_to_do(self):
        self.assertIn("it has copy, render", self.refused(1, "--queue", "nope"))
        unknown = "01234567-89ab-4cde-8f01-23456789abcd"
        line = self.refused(1, unknown)
        self.assertIn(unknown, line)
        self.assertIn("`millrace jobs` lists them", line)
        self.assertIn(self.server.data, line)
        self.assertIn(self.hello, self.refused(1, "hello"), "a name: the id is told")
        self.refused(1, self.frames + ":30")
        self.assertIn("--region", self.refused(1, "--region", "eu-west-1"))
        self.assertIn("RUNNABLE", self.refused(2, "--status", "WAITING"))
        self.assertIn("JOB", self.refused(2, "--log"))
        self.assertIn("--log", self.refused(2, self.hello, "--attempt", "1"))
        self.assertIn("--json", self.refused(2, self.hello, "--log", "--json"))
        self.assertIn("--queue", self.refused(2, self.hello, "--queue", "render"))
        self.assertEqual(run_jobs(self.server.data, "--limit", "0").returncode, 2)

    def test_no_engine(self):
        with tempfile.TemporaryDirectory(prefix="millrace-jobs-") as folder:
            data = os.path.join(folder, "none")
            line = self.refused(1, data=data)
            self.assertIn(f"no engine runs on {data}", line)
            self.assertIn(f"millrace serve --data {data}", line)
            self.assertFalse(os.path.exists(data), "looking makes nothing")


class OtherJobs(unittest.TestCase):
    """What would disturb the list of the jobs above."""

    def test_more_jobs_than_a_page_and_a_request_hold(self):
        with MillraceServer() as server:
            batch = server.boto3("batch")
            queues = [make_queue(batch, name) for name in ("one", "two")]
            definition = make_definition(batch, ["true"])
            first = batch.submit_job(jobName="job", jobQueue=queues[0], jobDefinition=definition)["jobId"]
            blocked = [{"jobId": first}]
            submitted = [first] + [batch.submit_job(jobName="job", jobQueue=queues[i % 5 == 0],
                                                    jobDefinition=definition, dependsOn=blocked)["jobId"]
                                   for i in range(259)]
            created = {job: wait_for_job(batch, job)["createdAt"] for job in submitted}
            for arguments in ([], ["--status", "SUCCEEDED"]):
                listed = [row["JOB"] for row in rows(run_jobs(server.data, "--limit", "1000", *arguments).stdout)]
                self.assertEqual(sorted(listed), sorted(submitted))
                times = [created[job] for job in listed]
                self.assertEqual(times, sorted(times, reverse=True))
            self.assertEqual(len(rows(run_jobs(server.data).stdout)), 100)
            documents = json.loads(run_jobs(server.data, "--json", "--limit", "250").stdout)["jobs"]
            self.assertEqual([job["jobId"] for job in documents], listed[:250])

    def test_ecs_properties_and_a_log_group_of_its_own(self):
        with MillraceServer() as server:
            batch = server.boto3("batch")
            queue = make_queue(batch)
            server.boto3("logs").create_log_group(logGroupName="/mine")
            container = {"name": "main", "image": "millrace", "command": ["sh", "-c", "echo from a task; exit 4"],
                         "resourceRequirements": [{"type": "VCPU", "value": "1"},
                                                  {"type": "MEMORY", "value": "64"}],
                         "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/mine"}}}
            definition = raw_batch(server, "RegisterJobDefinition", {
                "jobDefinitionName": "task", "type": "container",
                "ecsProperties": {"taskProperties": [{"containers": [container]}]}})["jobDefinitionArn"]
            job = batch.submit_job(jobName="job", jobQueue=queue, jobDefinition=definition)["jobId"]
            wait_for_job(batch, job)
            row, = rows(run_jobs(server.data).stdout)
            self.assertEqual((row["STATUS"], row["EXIT"]), ("FAILED", "4"))
            shown = sections(run_jobs(server.data, job).stdout)
            self.assertEqual(shown["command"], ["sh -c 'echo from a task; exit 4'"])
            self.assertRegex(shown["attempts"][1], "^1  exit 4, ")
            self.assertEqual(run_jobs(server.data, job, "--log").stdout, "from a task\n")

    def test_a_retry_that_runs_is_not_said_to_have_ended(self):
        with MillraceServer() as server:
            batch = server.boto3("batch")
            definition = make_definition(batch, ["sh", "-c", "test $AWS_BATCH_JOB_ATTEMPT = 2 && exec sleep 600; exit 9"],
                                         retryStrategy={"attempts": 3})
            job = batch.submit_job(jobName="job", jobQueue=make_queue(batch), jobDefinition=definition)["jobId"]

            def second_runs():
                told = batch.describe_jobs(jobs=[job])["jobs"][0]
                return told["status"] == "RUNNING" and len(told["attempts"]) == 1

            wait_until(second_runs, "the second attempt runs")
            row, = rows(run_jobs(server.data).stdout)
            self.assertEqual(row["EXIT"], "-")
            self.assertEqual(row["REASON"], "the attempt before: Essential container in task exited")
            shown = sections(run_jobs(server.data, job).stdout)["attempts"]
            self.assertEqual(shown[0], "2 of at most 3")
            self.assertRegex(shown[1], "^1  exit 9, ")
            self.assertRegex(shown[3], r"^2  running, ran [\d.]+\w+$")

    def test_what_others_wrote_does_not_move_the_cursor(self):
        with MillraceServer() as server:
            batch = server.boto3("batch")
            definition = make_definition(batch, ["sh", "-c", "exec sleep 600 # \033[2J"])
            job = batch.submit_job(jobName="job", jobQueue=make_queue(batch), jobDefinition=definition)["jobId"]
            wait_for_job(batch, job, ("RUNNING",))
            batch.terminate_job(jobId=job, reason="enough\033[2J\nof it")
            wait_for_job(batch, job)
            row, = rows(run_jobs(server.data).stdout)
            self.assertEqual(row["REASON"], r"enough\x1b[2J\x0aof it")
            shown = sections(run_jobs(server.data, job).stdout)
            self.assertEqual(shown["status"], [r"FAILED: enough\x1b[2J\x0aof it"])
            self.assertEqual(shown["command"], [r"sh -c $'exec sleep 600 # \x1b[2J'"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
