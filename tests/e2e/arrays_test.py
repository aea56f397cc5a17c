"""Without this: array jobs, dependencies, retry rules and timeouts work in the engine's tests and not for boto3
and the AWS CLI."""

import json
import os
import sys
import unittest
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from botocore.exceptions import ClientError  # noqa: E402

from batch_setup import make_definition, make_queue, wait_for_job  # noqa: E402
from millrace_server import MillraceServer, wait_until  # noqa: E402

warnings.simplefilter("ignore", ResourceWarning)  # botocore leaves its sockets to the collector
EXITED = "Essential container in task exited"
NO_SUCH_JOB = "00000000-0000-4000-8000-000000000000"
LARGE = 10_000
WIDTH = 4  # vCPUs


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(MillraceServer(["--runtime", "process", "--vcpus", str(WIDTH)]))
        cls.batch = cls.server.boto3("batch")
        cls.queue = make_queue(cls.batch)
        cls.files = cls.server.folder

    def shell(self, script, name="shell", **more):
        """A definition that runs `script`; $0 is the test's folder."""
        return make_definition(self.batch, ["sh", "-c", script, self.files], name, **more)

    def submit(self, definition, name="job", **more):
        return self.batch.submit_job(jobName=name, jobQueue=self.queue, jobDefinition=definition, **more)["jobId"]

    def array(self, definition, size, name="array", **more):
        return self.submit(definition, name, arrayProperties={"size": size}, **more)

    def describe(self, job_id):
        return self.batch.describe_jobs(jobs=[job_id])["jobs"][0]

    def end(self, job_id, status="SUCCEEDED", reason=EXITED, seconds=60):
        job = wait_for_job(self.batch, job_id, seconds=seconds)
        self.assertEqual((job["status"], job.get("statusReason")), (status, reason), job_id)
        return job

    def summary(self, job_id):
        return {k: v for k, v in self.describe(job_id)["arrayProperties"]["statusSummary"].items() if v}

    def children(self, job_id, status, page=None):
        pages = self.batch.get_paginator("list_jobs").paginate(
            arrayJobId=job_id, jobStatus=status, PaginationConfig={"PageSize": page} if page else {})
        return [[job["jobId"] for job in page["jobSummaryList"]] for page in pages]

    def refused(self, message, call, **arguments):
        with self.assertRaises(ClientError) as caught:
            call(**arguments)
        self.assertEqual(caught.exception.response["Error"]["Code"], "ClientException")
        self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 400)
        self.assertRegex(caught.exception.response["Error"]["Message"], message)

    def wait_for_file(self, name):
        path = os.path.join(self.files, name)
        return wait_until(lambda: os.path.exists(path), f"a job makes {name}")

    def lines(self, name):
        with open(os.path.join(self.files, name)) as file:
            return file.read().split()

    def touch(self, name):
        with open(os.path.join(self.files, name), "w"):
            pass


class Arrays(Base):
    def test_the_smallest(self):
        definition = self.shell("echo $AWS_BATCH_JOB_ID,$AWS_BATCH_JOB_ARRAY_INDEX,$AWS_BATCH_JOB_ARRAY_SIZE "
                                ">>$0/smallest")
        answer = self.batch.submit_job(jobName="two", jobQueue=self.queue, jobDefinition=definition,
                                       arrayProperties={"size": 2})
        job_id = answer["jobId"]
        parent = self.end(job_id, reason=None)
        self.assertEqual(sorted(self.lines("smallest")), [f"{job_id}:0,0,2", f"{job_id}:1,1,2"])
        self.assertEqual((parent["attempts"], parent["arrayProperties"]["size"]), ([], 2))
        self.assertEqual(self.summary(job_id), {"SUCCEEDED": 2})
        child = self.describe(f"{job_id}:1")
        self.assertEqual(child["jobArn"], answer["jobArn"] + ":1")
        self.assertEqual((child["jobName"], child["arrayProperties"]["index"], child["container"]["exitCode"]),
                         ("two", 1, 0))
        self.assertNotIn("size", child["arrayProperties"])

    def test_sizes_that_are_none(self):
        definition = self.shell("true")
        for size in (1, LARGE + 1, -3):
            with self.subTest(size):
                self.refused("(?i)array", self.array, definition=definition, size=size)

    def test_the_largest(self):
        definition = self.shell('[ "$AWS_BATCH_JOB_ARRAY_INDEX" -lt 10 ] || sleep 600', "largest")
        job_id = self.array(definition, LARGE, "largest")
        wait_until(lambda: self.summary(job_id).get("SUCCEEDED") == 10 and
                   self.summary(job_id).get("RUNNING") == WIDTH, "ten children have ended")
        self.assertEqual(sum(self.summary(job_id).values()), LARGE)
        self.assertEqual(self.describe(job_id)["status"], "PENDING")
        # In their order, but that one which waited behind a long one goes back when others have begun.
        running = [int(child.rpartition(":")[2]) for page in self.children(job_id, "RUNNING") for child in page]
        self.assertEqual(len(running), WIDTH)
        self.assertTrue(all(10 <= index < 10 + 4 * WIDTH for index in running), running)
        waiting = self.describe(f"{job_id}:{LARGE - 1}")
        self.assertEqual((waiting["status"], waiting["arrayProperties"]["index"]), ("RUNNABLE", LARGE - 1))
        self.assertEqual(self.batch.describe_jobs(jobs=[f"{job_id}:{LARGE}"])["jobs"], [])
        self.batch.terminate_job(jobId=job_id, reason="too many")
        self.end(job_id, "FAILED", "too many")
        self.assertEqual(self.summary(job_id), {"SUCCEEDED": 10, "FAILED": LARGE - 10})
        for index in (10, 11 + WIDTH, LARGE - 1):
            self.end(f"{job_id}:{index}", "FAILED", "too many")
        self.end(f"{job_id}:9")
        pages = self.children(job_id, "FAILED", 1000)
        self.assertEqual([len(page) for page in pages if page], [1000] * 9 + [LARGE - 10 - 9000])
        self.assertEqual([i for page in pages for i in page], [f"{job_id}:{i}" for i in range(10, LARGE)])

    def test_children_are_listed_page_by_page(self):
        definition = self.shell('[ $((AWS_BATCH_JOB_ARRAY_INDEX % 3)) != 0 ]', "thirds")
        job_id = self.array(definition, 20, "thirds")
        self.end(job_id, "FAILED", "Array Child Job failed")
        failed = [f"{job_id}:{i}" for i in range(0, 20, 3)]
        self.assertEqual(self.children(job_id, "FAILED", 3), [failed[:3], failed[3:6], failed[6:]])
        self.assertEqual([i for page in self.children(job_id, "SUCCEEDED", 5) for i in page],
                         [f"{job_id}:{i}" for i in range(20) if i % 3])
        self.assertEqual(self.batch.list_jobs(arrayJobId=job_id)["jobSummaryList"], [])  # RUNNING ones
        first = self.batch.list_jobs(arrayJobId=job_id, jobStatus="FAILED", maxResults=1)
        self.assertEqual(first["jobSummaryList"][0]["arrayProperties"], {"index": 0})
        self.assertEqual(first["jobSummaryList"][0]["container"], {"exitCode": 1})
        self.refused("(?i)token", self.batch.list_jobs, arrayJobId=job_id, jobStatus="FAILED", nextToken="nonsense")
        listed = self.batch.list_jobs(jobQueue=self.queue, jobStatus="FAILED")["jobSummaryList"]
        parent = [job for job in listed if job["jobId"] == job_id]
        self.assertEqual([job["arrayProperties"]["size"] for job in parent], [20])
        self.assertEqual([job["jobId"] for job in listed if ":" in job["jobId"]], [])

    def test_a_child_is_stopped_alone(self):
        definition = self.shell('[ "$AWS_BATCH_JOB_ARRAY_INDEX" = 2 ] || '
                                'until [ -e $0/alone-go ]; do sleep 0.02; done; [ "$AWS_BATCH_JOB_ARRAY_INDEX" != 1 ] '
                                '|| sleep 600', "alone")
        job_id = self.array(definition, WIDTH + 4, "alone")
        wait_until(lambda: self.summary(job_id).get("RUNNING") == WIDTH, "the first children run")
        self.batch.terminate_job(jobId=f"{job_id}:1", reason="not this one")      # runs
        self.batch.terminate_job(jobId=f"{job_id}:{WIDTH + 3}", reason="nor this")  # waits
        self.batch.cancel_job(jobId=f"{job_id}:{WIDTH + 2}", reason="nor that")
        self.batch.cancel_job(jobId=f"{job_id}:0", reason="no effect")            # runs
        self.touch("alone-go")
        self.end(job_id, "FAILED", "Array Child Job failed")
        self.end(f"{job_id}:1", "FAILED", "not this one")
        self.end(f"{job_id}:{WIDTH + 3}", "FAILED", "nor this")
        self.end(f"{job_id}:{WIDTH + 2}", "FAILED", "nor that")
        self.end(f"{job_id}:0")
        self.assertEqual(self.summary(job_id), {"SUCCEEDED": WIDTH + 1, "FAILED": 3})

    def test_a_cancelled_parent_lets_running_children_end(self):
        definition = self.shell('until [ -e $0/cancelled-go ]; do sleep 0.02; done', "cancelled")
        job_id = self.array(definition, WIDTH + 3, "cancelled")
        wait_until(lambda: self.summary(job_id).get("RUNNING") == WIDTH, "the first children run")
        self.batch.cancel_job(jobId=job_id, reason="no more")
        wait_until(lambda: self.summary(job_id).get("FAILED") == 3, "the others are cancelled")
        self.assertEqual(self.describe(job_id)["status"], "PENDING")
        self.touch("cancelled-go")
        self.assertEqual(wait_for_job(self.batch, job_id)["status"], "FAILED")
        self.assertEqual(self.summary(job_id), {"SUCCEEDED": WIDTH, "FAILED": 3})
        self.end(f"{job_id}:{WIDTH}", "FAILED", "no more")


class Dependencies(Base):
    def test_a_failure_reaches_everybody_behind_it(self):
        fails, works = self.shell("exit 3", "fails"), self.shell("echo ran >>$0/cascade", "works")
        held = self.shell("until [ -e $0/cascade-go ]; do sleep 0.02; done; exit 3", "held")
        first = self.submit(held)
        second = self.submit(works, dependsOn=[{"jobId": first}])
        third = self.submit(works, dependsOn=[{"jobId": second}])
        array = self.array(works, 3, dependsOn=[{"jobId": third}])
        job = self.describe(third)
        self.assertEqual((job["status"], job["dependsOn"]), ("PENDING", [{"jobId": second}]))
        self.touch("cascade-go")
        self.end(first, "FAILED")
        for job_id in (second, third, array):
            job = self.end(job_id, "FAILED", "Dependent Job failed")
            self.assertEqual(job["attempts"], [])
            self.assertNotIn("startedAt", job)
        self.assertEqual(self.summary(array), {"FAILED": 3})
        late = self.submit(works, dependsOn=[{"jobId": first}])  # it has failed already
        self.end(late, "FAILED", "Dependent Job failed")
        self.assertFalse(os.path.exists(os.path.join(self.files, "cascade")))
        self.end(self.submit(fails), "FAILED")

    def test_jobs_wait_for_all_they_depend_on(self):
        held = self.shell("until [ -e $0/all-go ]; do sleep 0.02; done", "held-all")
        quick = self.shell("true", "quick")
        done, open_ = self.submit(quick), self.submit(held)
        self.end(done)
        waiting = self.submit(quick, dependsOn=[{"jobId": done}, {"jobId": open_, "type": "SEQUENTIAL"}])
        at_once = self.submit(quick, dependsOn=[{"jobId": done}])
        self.end(at_once)
        self.assertEqual(self.describe(waiting)["status"], "PENDING")
        # Cancelled while PENDING: takes effect when its dependencies have ended.
        cancelled = self.submit(quick, dependsOn=[{"jobId": open_}])
        self.batch.cancel_job(jobId=cancelled, reason="changed my mind")
        terminated = self.submit(quick, dependsOn=[{"jobId": open_}])
        self.batch.terminate_job(jobId=terminated, reason="at once")
        self.end(terminated, "FAILED", "at once")
        self.assertEqual(self.describe(cancelled)["status"], "PENDING")
        self.touch("all-go")
        self.end(waiting)
        self.end(cancelled, "FAILED", "changed my mind")

    def test_children_one_after_the_other(self):
        definition = self.shell('echo $AWS_BATCH_JOB_ARRAY_INDEX >>$0/sequence; [ $AWS_BATCH_JOB_ARRAY_INDEX != 3 ]',
                                "sequence")
        job_id = self.array(definition, 6, dependsOn=[{"type": "SEQUENTIAL"}])
        self.end(job_id, "FAILED", "Array Child Job failed")
        self.assertEqual(self.lines("sequence"), ["0", "1", "2", "3"])
        self.end(f"{job_id}:3", "FAILED")
        self.end(f"{job_id}:4", "FAILED", "Dependent Job failed")
        self.end(f"{job_id}:5", "FAILED", "Dependent Job failed")

    def test_child_by_child(self):
        first = self.shell('[ $AWS_BATCH_JOB_ARRAY_INDEX = 0 ] || until [ -e $0/n-go ]; do sleep 0.02; done; '
                           '[ $AWS_BATCH_JOB_ARRAY_INDEX != 2 ]', "n-first")
        quick = self.shell("true", "n-second")
        one = self.array(first, WIDTH)
        two = self.array(quick, WIDTH, dependsOn=[{"jobId": one, "type": "N_TO_N"}])
        last = self.submit(quick, dependsOn=[{"jobId": f"{one}:1"}])
        whole = self.array(quick, 2, dependsOn=[{"jobId": one}])
        self.end(f"{two}:0")  # the others still wait
        self.assertEqual(self.summary(two), {"SUCCEEDED": 1, "PENDING": WIDTH - 1})
        self.touch("n-go")
        self.end(one, "FAILED", "Array Child Job failed")
        self.end(two, "FAILED", "Array Child Job failed")
        self.end(f"{two}:2", "FAILED", "Dependent Job failed")
        self.assertEqual(self.summary(two), {"SUCCEEDED": WIDTH - 1, "FAILED": 1})
        self.end(last)
        self.end(whole, "FAILED", "Dependent Job failed")

    def test_dependencies_that_cannot_be(self):
        definition = self.shell("true", "no-dependency")
        job_id = self.submit(definition)
        small = self.array(definition, 2)
        for depends_on, more in (
                ([{"jobId": NO_SUCH_JOB}], {}),
                ([{"jobId": "no id"}], {}),
                ([{"jobId": job_id}] * 21, {}),
                ([{"type": "SEQUENTIAL"}], {}),                       # no array
                ([{"jobId": small, "type": "N_TO_N"}], {}),           # no array
                ([{"jobId": small, "type": "N_TO_N"}], {"arrayProperties": {"size": 3}}),
                ([{"jobId": job_id, "type": "N_TO_N"}], {"arrayProperties": {"size": 2}}),
                ([{"jobId": f"{small}:2"}], {}),
                ([{}], {})):
            with self.subTest(depends_on=depends_on[:1], **more):
                self.refused(".", self.submit, definition=definition, dependsOn=depends_on, **more)


class Retries(Base):
    def attempts(self, job):
        codes = [attempt["container"].get("exitCode") for attempt in job["attempts"]]
        streams = {attempt["container"].get("logStreamName") for attempt in job["attempts"]}
        tasks = {attempt["container"].get("taskArn") for attempt in job["attempts"]}
        self.assertEqual((len(streams), len(tasks)), (len(codes), len(codes)), "each attempt has its own")
        return codes

    def test_the_first_rule_that_matches_decides(self):
        # The attempt's number is its exit code.
        counts = self.shell("exit $AWS_BATCH_JOB_ATTEMPT", "counts")
        exits = self.shell("exit 10", "exits")

        def rules(*entries, attempts=5):
            return {"retryStrategy": {"attempts": attempts, "evaluateOnExit": list(entries)}}

        cases = [
            (counts, rules({"onExitCode": "3", "action": "EXIT"}), [1, 2, 3]),
            (counts, rules({"onExitCode": "2", "action": "exit"}, {"onExitCode": "*", "action": "retry"}), [1, 2]),
            (counts, rules({"onExitCode": "*", "action": "RETRY"}, {"onExitCode": "2", "action": "EXIT"}),
             [1, 2, 3, 4, 5]),
            (counts, rules({"onExitCode": "9", "action": "EXIT"}, attempts=3), [1, 2, 3]),  # none matches: retried
            (exits, rules({"onExitCode": "1*", "action": "EXIT"}), [10]),
            (exits, rules({"onExitCode": "1", "action": "EXIT"}, attempts=2), [10, 10]),
            (exits, rules({"onStatusReason": "Essential container*", "action": "EXIT"}), [10]),
            (exits, rules({"onStatusReason": "Essential container", "action": "EXIT"}, attempts=2), [10, 10]),
            # All conditions of a rule must hold; the usual last line ends all that is left.
            (exits, rules({"onStatusReason": "Essential*", "onExitCode": "11", "action": "EXIT"}, attempts=2),
             [10, 10]),
            (exits, rules({"onStatusReason": "Host EC2*", "action": "RETRY"},
                          {"onReason": "CannotPullContainerError*", "action": "RETRY"},
                          {"onReason": "*", "action": "EXIT"}), [10]),
        ]
        jobs = [(self.submit(definition, **rule), rule, codes) for definition, rule, codes in cases]
        for job_id, rule, codes in jobs:
            with self.subTest(rule=rule["retryStrategy"]):
                self.assertEqual(self.attempts(self.end(job_id, "FAILED")), codes)

    def test_a_program_that_is_not_there(self):
        missing = make_definition(self.batch, ["/no/such/program"], "missing", retryStrategy={
            "attempts": 4, "evaluateOnExit": [{"onReason": "CannotStartContainerError*", "action": "EXIT"},
                                              {"onExitCode": "*", "action": "RETRY"}]})
        job = self.end(self.submit(missing), "FAILED", "Task failed to start")
        self.assertEqual(len(job["attempts"]), 1)
        self.assertNotIn("exitCode", job["attempts"][0]["container"])
        self.assertTrue(job["attempts"][0]["container"]["reason"].startswith("CannotStartContainerError: "), job)

    def test_children_retry_for_themselves(self):
        definition = self.shell("[ $AWS_BATCH_JOB_ATTEMPT -gt $AWS_BATCH_JOB_ARRAY_INDEX ]", "patient",
                                retryStrategy={"attempts": 3})
        job_id = self.array(definition, 3)
        self.end(job_id, reason=None)
        for index in range(3):
            self.assertEqual(self.attempts(self.end(f"{job_id}:{index}")), [1] * index + [0])

    def test_a_terminated_job_is_not_retried(self):
        definition = self.shell("touch $0/stopped-runs; exec sleep 600", "stopped", retryStrategy={"attempts": 10})
        job_id = self.submit(definition)
        self.wait_for_file("stopped-runs")
        self.batch.terminate_job(jobId=job_id, reason="enough")
        self.assertEqual(len(self.end(job_id, "FAILED", "enough")["attempts"]), 1)

    def test_strategies_that_are_none(self):
        definition = self.shell("true", "strict")
        for strategy in ({}, {"attempts": 0}, {"attempts": 11}, {"evaluateOnExit": []},
                         {"attempts": 2, "evaluateOnExit": [{"onExitCode": "x", "action": "EXIT"}]},
                         {"attempts": 2, "evaluateOnExit": [{"onExitCode": "1", "action": "MAYBE"}]},
                         {"attempts": 2, "evaluateOnExit": [{"onExitCode": "1", "action": "EXIT"}] * 6}):
            with self.subTest(strategy):
                self.refused(".", self.submit, definition=definition, retryStrategy=strategy)


class Timeouts(Base):
    def test_an_attempt_that_takes_too_long(self):
        # AWS allows no timeout below a minute, so this takes one. A retry rule does not help, a signal is heeded.
        polite = self.shell("trap 'echo asked to stop; exit 0' TERM; sleep 600 & wait", "polite",
                            timeout={"attemptDurationSeconds": 60}, retryStrategy={"attempts": 3})
        quick = self.shell("true", "in-time", timeout={"attemptDurationSeconds": 60})
        array = self.array(polite, 2)
        alone = self.submit(polite)
        in_time = self.array(quick, 3)
        self.refused("(?i)timeout|60", self.submit, definition=quick, timeout={"attemptDurationSeconds": 59})
        self.end(in_time, reason=None)
        for job_id in (alone, f"{array}:0", f"{array}:1"):
            job = self.end(job_id, "FAILED", "Job attempt duration exceeded timeout", seconds=100)
            self.assertEqual(len(job["attempts"]), 1)
            self.assertEqual(job["attempts"][0]["statusReason"], "Job attempt duration exceeded timeout")
            took = job["stoppedAt"] - job["startedAt"]
            self.assertTrue(60_000 <= took < 75_000, took)
        self.end(array, "FAILED", "Array Child Job failed")


class CommandLine(Base):
    """The AWS CLI's shorthand syntax and its own pagination."""

    def aws(self, *arguments):
        output = self.server.aws("batch", *arguments, "--output", "json").stdout
        return json.loads(output) if output.strip() else None

    def test_arrays_and_dependencies(self):
        self.shell("[ $AWS_BATCH_JOB_ARRAY_INDEX != 1 ]", "cli")
        submit = ("submit-job", "--job-queue", "queue", "--job-definition", "cli")
        first = self.aws(*submit, "--job-name", "first", "--array-properties", "size=3")["jobId"]
        second = self.aws(*submit, "--job-name", "second", "--array-properties", "size=3",
                          "--depends-on", f"jobId={first},type=N_TO_N")["jobId"]
        third = self.aws(*submit, "--job-name", "third", "--array-properties", "size=2", "--retry-strategy",
                         "attempts=2,evaluateOnExit=[{onExitCode=1,action=EXIT}]",
                         "--depends-on", "type=SEQUENTIAL")["jobId"]
        self.end(first, "FAILED", "Array Child Job failed")
        self.end(second, "FAILED", "Array Child Job failed")
        self.end(third, "FAILED", "Array Child Job failed")
        jobs = self.aws("describe-jobs", "--jobs", f"{second}:1", f"{third}:1")["jobs"]
        self.assertEqual([(job["statusReason"], len(job["attempts"])) for job in jobs],
                         [("Dependent Job failed", 0), (EXITED, 1)])
        listed = self.aws("list-jobs", "--array-job-id", first, "--job-status", "SUCCEEDED", "--page-size", "1")
        self.assertEqual([job["jobId"] for job in listed["jobSummaryList"]], [f"{first}:0", f"{first}:2"])
        listed = self.aws("list-jobs", "--array-job-id", first, "--job-status", "SUCCEEDED", "--max-items", "1")
        self.assertEqual(len(listed["jobSummaryList"]), 1)
        self.assertTrue(listed["NextToken"])

    def test_stopping(self):
        definition = self.shell("exec sleep 600", "cli-long")
        job_id = self.array(definition, WIDTH + 2)
        wait_until(lambda: self.summary(job_id).get("RUNNING") == WIDTH, "the first children run")
        self.aws("cancel-job", "--job-id", f"{job_id}:{WIDTH + 1}", "--reason", "not this")
        self.aws("terminate-job", "--job-id", job_id, "--reason", "enough")
        self.end(job_id, "FAILED", "enough")
        self.end(f"{job_id}:{WIDTH + 1}", "FAILED", "not this")
        self.end(f"{job_id}:0", "FAILED", "enough")
        self.assertEqual(self.summary(job_id), {"FAILED": WIDTH + 2})


del Base

if __name__ == "__main__":
    unittest.main(verbosity=2)
