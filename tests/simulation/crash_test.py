"""Without this: a crash of the engine or of the runner loses a job that was promised, or runs one twice.

2,000 jobs are submitted and run while `kill -9` hits one of the two at random moments. Every attempt leaves
a line when it starts and when it stops, and holds a lock of its job meanwhile.

SEED=n repeats the moments of a run (not the machine's timing). JOBS=n and KILLS=n change the size.
"""

import collections
import os
import random
import re
import signal
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from botocore.config import Config  # noqa: E402
from botocore.exceptions import BotoCoreError, ClientError  # noqa: E402

from batch_setup import make_definition, make_queue  # noqa: E402
from millrace_server import MillraceServer, wait_until  # noqa: E402

JOBS = int(os.environ.get("JOBS", "2000"))
KILLS = int(os.environ.get("KILLS", "12"))
SUBMITTERS = 3

# $1 is the folder of the test. A job that finds its lock taken runs beside another attempt of itself.
SCRIPT = r"""
exec 9>"$1/locks/$AWS_BATCH_JOB_ID"
flock -n 9 || echo "$AWS_BATCH_JOB_ID $AWS_BATCH_JOB_ATTEMPT overlap" >>"$1/journal"
echo "$AWS_BATCH_JOB_ID $AWS_BATCH_JOB_ATTEMPT start" >>"$1/journal"
echo "first $AWS_BATCH_JOB_ID $AWS_BATCH_JOB_ATTEMPT"
sleep "$2"
echo "last $AWS_BATCH_JOB_ID $AWS_BATCH_JOB_ATTEMPT"
echo "$AWS_BATCH_JOB_ID $AWS_BATCH_JOB_ATTEMPT stop" >>"$1/journal"
"""


class Submission:
    """Submits jobs until all are acknowledged, whatever happens to the engine."""

    def __init__(self, test, queue, definitions):
        self.test = test
        self.queue = queue
        self.definitions = definitions
        self.acknowledged = {}  # job id -> name
        self.refused = 0        # requests without an answer
        self.problems = []
        self.lock = threading.Lock()
        self.next = 0
        self.threads = [threading.Thread(target=self.run) for _ in range(SUBMITTERS)]
        for thread in self.threads:
            thread.start()

    def run(self):
        while True:
            with self.lock:
                number = self.next
                self.next += 1
            if number >= JOBS:
                return
            name = f"job-{number}"
            while True:
                try:
                    # The seeded length: from nothing to a tenth of a second.
                    pause = f"{self.test.pauses[number]:.3f}"
                    answer = self.test.batch.submit_job(
                        jobName=name, jobQueue=self.queue,
                        jobDefinition=self.definitions[number % len(self.definitions)],
                        parameters={"pause": pause})
                    with self.lock:
                        self.acknowledged[answer["jobId"]] = name
                    break
                except ClientError as error:
                    if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                        self.problems.append(str(error))
                        return
                except BotoCoreError:
                    pass  # the engine was killed: nothing was promised
                with self.lock:
                    self.refused += 1
                time.sleep(0.01)

    def wait(self):
        for thread in self.threads:
            thread.join()


class Crash(unittest.TestCase):
    def prepare(self, server):
        seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
        print(f"SEED={seed}", flush=True)
        self.random = random.Random(seed)
        self.pauses = [self.random.choice((0, 0.01, 0.03, 0.1)) for _ in range(JOBS)]
        self.server = server
        self.connect()
        os.mkdir(os.path.join(server.folder, "locks"))

    def connect(self):
        self.batch = self.server.boto3("batch", config=Config(
            retries={"max_attempts": 0}, connect_timeout=5, read_timeout=20, max_pool_connections=8))

    def command(self):
        return ["sh", "-c", SCRIPT, "sh", self.server.folder, "Ref::pause"]

    def unfinished(self, queue):
        return [job["jobId"] for status in ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
                for job in self.batch.list_jobs(jobQueue=queue, jobStatus=status)["jobSummaryList"]]

    def finish(self, queue, submission):
        submission.wait()
        self.assertEqual(submission.problems, [])
        self.assertEqual(len(submission.acknowledged), JOBS)
        wait_until(lambda: not self.unfinished(queue), "every job ended", seconds=120, every=0.2)

    def jobs(self, queue, submission):
        """Every job the engine knows, by id. All that were acknowledged are there."""
        ids = [job["jobId"] for status in ("SUCCEEDED", "FAILED")
               for page in self.batch.get_paginator("list_jobs").paginate(jobQueue=queue, jobStatus=status)
               for job in page["jobSummaryList"]]
        self.assertEqual(len(ids), len(set(ids)), "a job is listed twice")
        self.assertEqual(set(submission.acknowledged) - set(ids), set(), "acknowledged jobs are lost")
        # A request whose answer the kill took may have left a job that nobody was promised.
        self.assertLessEqual(len(ids), JOBS + submission.refused)
        jobs = {}
        for start in range(0, len(ids), 100):
            for job in self.batch.describe_jobs(jobs=ids[start:start + 100])["jobs"]:
                jobs[job["jobId"]] = job
        self.assertEqual(set(jobs), set(ids))
        for job_id, name in submission.acknowledged.items():
            self.assertEqual(jobs[job_id]["jobName"], name)
        return jobs

    def journal(self):
        """(job, attempt) -> what it did, in order."""
        attempts = collections.defaultdict(list)
        with open(os.path.join(self.server.folder, "journal")) as file:
            for line in file:
                job, attempt, what = line.split()
                attempts[job, int(attempt)].append(what)
        overlaps = [key for key, what in attempts.items() if "overlap" in what]
        self.assertEqual(overlaps, [], "attempts that ran beside another of the same job")
        return attempts

    def output(self):
        """Stream -> its lines."""
        lines = collections.defaultdict(list)
        pages = self.server.boto3("logs").get_paginator("filter_log_events").paginate(
            logGroupName="/aws/batch/job")
        for page in pages:
            for event in page["events"]:
                lines[event["logStreamName"]].append(event["message"])
        return lines

    def assert_output(self, lines, stream, job_id, attempt):
        self.assertEqual(lines[stream], [f"first {job_id} {attempt}", f"last {job_id} {attempt}"],
                         f"output of attempt {attempt} of {job_id}")

    def test_kill_the_engine(self):
        with MillraceServer(["--runtime", "process", "--vcpus", "8"]) as server:
            self.prepare(server)
            queue = make_queue(self.batch)
            submission = Submission(self, queue, [make_definition(self.batch, self.command())])
            killed_running = 0
            for _ in range(KILLS):
                time.sleep(self.random.uniform(0.05, 1.2))
                server.kill()
                killed_running += os.path.exists(os.path.join(server.folder, "journal"))
                # Jobs that end meanwhile have nobody to tell but the runner.
                time.sleep(self.random.choice((0, 0, 0.3)))
                server.start()
                self.connect()
            self.finish(queue, submission)
            self.assertGreater(killed_running, 0, "no kill met a job")

            jobs, attempts, lines = self.jobs(queue, submission), self.journal(), self.output()
            for job_id, job in jobs.items():
                self.assertEqual((job["status"], len(job["attempts"])), ("SUCCEEDED", 1),
                                 f"{job_id}: {job.get('statusReason')}")
                self.assertEqual(attempts[job_id, 1], ["start", "stop"], f"{job_id} ran once")
                self.assert_output(lines, job["container"]["logStreamName"], job_id, 1)
            self.assertEqual(len(attempts), len(jobs), "something ran that is no job")

    def test_kill_the_runner(self):
        with MillraceServer(["--runtime", "process", "--vcpus", "8"]) as server:
            self.prepare(server)
            queue = make_queue(self.batch)
            once = make_definition(self.batch, self.command(), "once")
            again = make_definition(self.batch, self.command(), "again", retryStrategy={"attempts": 10})
            submission = Submission(self, queue, [once, again])
            for number in range(KILLS):
                time.sleep(self.random.uniform(0.1, 1.2))
                pid = wait_until(server.runner_pid, "a runner takes the place of the one that was killed")
                both = number % 4 == 3  # as when the machine goes down
                if both:
                    server.kill()
                os.kill(pid, signal.SIGKILL)
                if both:
                    server.start()
                    self.connect()
            self.finish(queue, submission)

            jobs, attempts, lines = self.jobs(queue, submission), self.journal(), self.output()
            lost = 0
            for job_id, job in jobs.items():
                for number, attempt in enumerate(job["attempts"], 1):
                    did = attempts.pop((job_id, number), [])
                    reason = attempt.get("statusReason", "")
                    if re.fullmatch(r"Host EC2 \(instance i-[0-9a-f]+\) terminated\.", reason):
                        lost += 1
                        self.assertIn(did, ([], ["start"], ["start", "stop"]), f"{job_id} attempt {number}")
                    else:
                        self.assertEqual((attempt["container"].get("exitCode"), did), (0, ["start", "stop"]),
                                         f"{job_id} attempt {number}: {reason}")
                        self.assertEqual(number, len(job["attempts"]), f"{job_id} went on after it succeeded")
                        self.assert_output(lines, attempt["container"]["logStreamName"], job_id, number)
                last = job["attempts"][-1].get("statusReason", "")
                if last.startswith("Host EC2"):
                    self.assertEqual(job["status"], "FAILED", job_id)
                    self.assertEqual(job["statusReason"], last)
                    self.assertTrue(job["jobDefinition"] == once or len(job["attempts"]) == 10,
                                    f"{job_id} was not retried")
                else:
                    self.assertEqual(job["status"], "SUCCEEDED", f"{job_id}: {job.get('statusReason')}")
                self.assertTrue(job["jobDefinition"] == again or len(job["attempts"]) == 1, job_id)
            self.assertEqual(dict(attempts), {}, "attempts ran that the engine does not know")
            self.assertGreater(lost, 0, "no kill met a job")


if __name__ == "__main__":
    unittest.main(verbosity=2)
