"""Without this: a kill, a loss of power or a bad disk at one particular write of the commit path loses a job
that was promised, runs one twice, or leaves counts that are wrong.

The real program lives through a small piece of work again and again. Each time the next call that changes a
file is the one that goes wrong; then the engine is started again and everything it ever promised is checked.

SEED=n repeats the choices of a run. CRASHES=n is how many calls of the commit path are tried in each test
(60; 0: every call with every fault, some minutes).
"""

import collections
import contextlib
import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from botocore.config import Config  # noqa: E402
from botocore.exceptions import BotoCoreError, ClientError  # noqa: E402

from batch_setup import make_definition, make_queue  # noqa: E402
from disk_faults import (DEADLY, DIE_AFTER, DIE_BEFORE, DIE_WITHIN, ERROR, NAMES, POWER_LOSS,  # noqa: E402
                         SHORT_WRITE, DiskFaults)
from millrace_server import MillraceServer, wait_until  # noqa: E402

CRASHES = int(os.environ.get("CRASHES", "60"))
CHILDREN = 3
SCRIPT = r"""
echo "$AWS_BATCH_JOB_ID $AWS_BATCH_JOB_ATTEMPT" >>"$1/journal"
[ "$2" = long ] || exit 0
exec sleep 600
"""


class Died(Exception):
    """The engine gave no answer."""


class Refused(Exception):
    """The engine said that nothing was changed."""


def final(job):
    return job["status"] in ("SUCCEEDED", "FAILED")


class World:
    """An engine that may die at any call, and what it has promised."""

    def __init__(self, server, seed):
        self.server = server
        self.random = random.Random(seed)
        server.own_environment = {}
        self.faults = DiskFaults(os.path.join(server.folder, "faults"), server.data)
        server.own_environment = self.faults.environment
        self.jobs = {}        # acknowledged: id -> name
        self.size = {}        # of acknowledged arrays, by id
        self.reason = {}      # acknowledged terminations
        self.ended = {}       # id -> how a job looked when it was first seen at its end
        self.refused = set()  # names of jobs that the engine said it did not take
        self.unanswered = 0
        self.power_lost = False
        self.number = 0

    def start(self):
        self.server.start()
        if not self.faults.get("attached"):
            raise AssertionError("libdisk_faults.so was not loaded")
        self.batch = self.server.boto3("batch", config=Config(
            retries={"max_attempts": 0}, connect_timeout=5, read_timeout=20))

    def prepare(self):
        self.start()
        self.queue = make_queue(self.batch)
        self.definition = make_definition(self.batch, ["sh", "-c", SCRIPT, "sh", self.server.folder, "Ref::kind"],
                                          parameters={"kind": "short"})

    def call(self, operation, **arguments):
        try:
            return getattr(self.batch, operation)(**arguments)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                raise
            raise Refused(str(error)) from None
        except BotoCoreError:
            raise Died() from None

    def submit(self, **more):
        self.number += 1
        name = f"job-{self.number}"
        try:
            job_id = self.call("submit_job", jobName=name, jobQueue=self.queue, jobDefinition=self.definition,
                               **more)["jobId"]
        except Refused as refusal:
            if "Nothing was changed" in str(refusal):
                self.refused.add(name)
            else:
                self.unanswered += 1
            raise
        except Died:
            self.unanswered += 1
            raise
        self.jobs[job_id] = name
        if "arrayProperties" in more:
            self.size[job_id] = more["arrayProperties"]["size"]
        return job_id

    def describe(self, ids):
        ids = list(ids)
        return {job["jobId"]: job for start in range(0, len(ids), 100)
                for job in self.call("describe_jobs", jobs=ids[start:start + 100])["jobs"]}

    def work(self):
        """Everything that commits: submissions, arrays, dependencies, starts, ends, terminations, tags."""
        first = self.submit()
        self.submit(arrayProperties={"size": CHILDREN}, dependsOn=[{"jobId": first}])
        long = self.submit(parameters={"kind": "long"})
        self.call("tag_resource", resourceArn=self.describe([long])[long]["jobArn"], tags={"take": str(self.number)})
        reason = f"enough of {long}"
        self.call("terminate_job", jobId=long, reason=reason)
        self.reason[long] = reason

    def settle(self, stop=lambda: False):
        """Until every promised job has ended, or `stop`."""
        def ended():
            for job_id, job in self.describe(set(self.jobs) - set(self.ended)).items():
                if final(job):
                    self.ended[job_id] = job
            return stop() or len(self.ended) == len(self.jobs)
        wait_until(ended, "every promised job ends", every=0.01)

    def end_strays(self):
        """Long jobs whose submission or termination had no answer."""
        for job in self.live():
            if job["jobId"] not in self.reason:
                job = self.describe([job["jobId"]])[job["jobId"]]
                if job["parameters"]["kind"] == "long":
                    self.call("terminate_job", jobId=job["jobId"], reason="end of test")

    def live(self):
        return [job for status in ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
                for job in self.call("list_jobs", jobQueue=self.queue, jobStatus=status)["jobSummaryList"]]


class CommitCrash(unittest.TestCase):
    def setUp(self):
        self.seed = int(os.environ.get("SEED", random.randrange(1 << 31)))
        print(f"SEED={self.seed}", flush=True)

    @contextlib.contextmanager
    def world(self):
        server = MillraceServer(["--runtime", "process", "--vcpus", "4"])
        try:
            yield World(server, self.seed)
        finally:
            server.__exit__()

    # ---- what must be true ----

    def check_restarted(self, world):
        """All that was promised is there, and what had ended has not changed."""
        found = world.describe(world.jobs)
        self.assertEqual(set(world.jobs) - set(found), set(), "acknowledged jobs are lost")
        for job_id, job in found.items():
            self.assertEqual(job["jobName"], world.jobs[job_id])
            if job_id in world.size:
                self.assertEqual(job["arrayProperties"]["size"], world.size[job_id])
                self.assertLessEqual(sum(job["arrayProperties"]["statusSummary"].values()), world.size[job_id])
            if job_id in world.ended:
                job["arrayProperties"] = {**job.get("arrayProperties", {}), "statusSummaryLastUpdatedAt": 0}
                before = dict(world.ended[job_id])
                before["arrayProperties"] = {**before.get("arrayProperties", {}), "statusSummaryLastUpdatedAt": 0}
                self.assertEqual(self.plain(job), self.plain(before), f"{job_id} changed after its end")

    @staticmethod
    def plain(job):
        return json.loads(json.dumps({k: v for k, v in job.items() if k != "tags"}, sort_keys=True, default=str))

    def check_ended(self, world):
        """Every job ended as it should, and ran once."""
        world.end_strays()
        world.settle()
        wait_until(lambda: not world.live(), "jobs that nobody was promised end too", every=0.02)
        runs = collections.Counter()
        path = os.path.join(world.server.folder, "journal")
        with contextlib.suppress(FileNotFoundError), open(path) as journal:
            runs.update(tuple(line.split()) for line in journal)
        self.assertEqual([run for run, times in runs.items() if times > 1], [], "attempts that ran twice")
        for job_id, job in world.describe(world.jobs).items():
            children = [job]
            if job_id in world.size:
                size = world.size[job_id]
                self.assertEqual(sum(job["arrayProperties"]["statusSummary"].values()), size, job)
                children = list(world.describe(f"{job_id}:{i}" for i in range(size)).values())
                self.assertEqual(len(children), size)
                states = collections.Counter(child["status"] for child in children)
                self.assertEqual({k: v for k, v in job["arrayProperties"]["statusSummary"].items() if v}, states)
                self.assertEqual(job["status"] == "SUCCEEDED", states["SUCCEEDED"] == size)
            for child in children:
                self.check_end(world, child, runs)
        known = {job["jobId"] for status in ("SUCCEEDED", "FAILED")
                 for page in world.batch.get_paginator("list_jobs").paginate(jobQueue=world.queue, jobStatus=status)
                 for job in page["jobSummaryList"]}
        self.assertEqual({job_id.split(":")[0] for job_id, _ in runs} - known, set(), "something ran that is no job")
        names = {job["jobName"] for job in world.describe(known).values()}
        self.assertEqual(names & world.refused, set(), "jobs that the engine said it did not take")
        self.assertLessEqual(len(known), len(world.jobs) + world.unanswered, "jobs that nobody asked for")

    def check_end(self, world, job, runs):
        job_id = job["jobId"]
        what = (job["status"], job.get("statusReason"))
        if job_id in world.reason:
            self.assertEqual(what, ("FAILED", world.reason[job_id]), job_id)
            return
        if world.power_lost and (what[1] or "").startswith(("Host EC2 (instance", "Dependent Job failed")):
            self.assertEqual(what[0], "FAILED")
            return
        if what in (("FAILED", "end of test"), ("FAILED", f"enough of {job_id}")):  # nobody was told
            return
        self.assertEqual(what, ("SUCCEEDED", "Essential container in task exited"), job_id)
        self.assertEqual(len(job["attempts"]), 1, job_id)
        self.assertEqual(runs[job_id, "1"], 1, f"{job_id} SUCCEEDED and ran {runs[job_id, '1']} times")

    # ---- crashes ----

    def crash_once(self, world, fault, at):
        """False: the work has fewer than `at` calls."""
        world.faults.arm(fault, at, seed=world.random.choice((0, world.random.randrange(1, 1 << 30))))
        try:
            world.work()
            world.settle(stop=lambda: world.faults.get("fired"))
        except Died:
            pass
        if not world.faults.get("fired"):
            world.faults.disarm()
            return False
        world.server.process.wait(timeout=20)
        if fault == POWER_LOSS:
            world.power_lost = True
            pid = world.server.runner_pid()
            if pid:
                os.kill(pid, signal.SIGKILL)
        what = f"{NAMES[fault]} call {at} ({world.faults.what()})"
        world.faults.disarm()
        try:
            world.start()
            self.check_restarted(world)
            world.end_strays()
        except BaseException:
            print(f"after {what}\n" + "".join(world.server.output[-20:]), flush=True)
            raise
        return True

    def calls_of_the_work(self, world):
        world.faults.arm(DIE_BEFORE, 0)
        world.work()
        world.settle()
        return world.faults.get("calls")

    def plan(self, world, calls, faults):
        """(fault, call): every pair, or as many as CRASHES allows, spread over the whole path."""
        everything = [(fault, at) for at in range(1, calls + 1) for fault in faults]
        if CRASHES == 0 or len(everything) <= CRASHES:
            return everything
        chosen = [(world.random.choice(faults), 1 + (i * calls) // CRASHES + world.random.randrange(
            max(1, calls // CRASHES))) for i in range(CRASHES)]
        return [(fault, min(at, calls)) for fault, at in chosen]

    def test_a_kill_at_each_call_of_the_commit_path(self):
        with self.world() as world:
            world.prepare()
            calls = self.calls_of_the_work(world)
            self.assertGreater(calls, 30)
            plan = self.plan(world, calls, (DIE_BEFORE, DIE_AFTER, DIE_WITHIN))
            crashes = sum(self.crash_once(world, fault, at) for fault, at in plan)
            print(f"{calls} calls in the work, {crashes} kills, {len(world.jobs)} jobs", flush=True)
            self.assertGreater(crashes, len(plan) // 2)
            self.check_ended(world)

    def test_a_loss_of_power_at_each_call_of_the_commit_path(self):
        # SIGKILL leaves what was written in the page cache: it does not show a missing fsync. This does.
        with self.world() as world:
            world.prepare()
            calls = self.calls_of_the_work(world)
            plan = self.plan(world, calls, (POWER_LOSS,))
            crashes = sum(self.crash_once(world, fault, at) for fault, at in plan)
            print(f"{calls} calls in the work, {crashes} losses of power, {len(world.jobs)} jobs", flush=True)
            self.assertGreater(crashes, len(plan) // 2)
            self.check_ended(world)

    def test_a_kill_at_calls_of_a_stop_and_of_the_start_after_it(self):
        # A stop writes the log back into the database; a start after a kill reads the log again.
        with self.world() as world:
            world.prepare()
            at, stop = 1, True
            ends = {True: 0, False: 0}
            while any(count == 0 for count in ends.values()):
                fault = world.random.choice(DEADLY[:3])
                if stop:
                    world.work()
                    world.settle()
                    world.faults.arm(fault, at)
                    world.server.process.send_signal(signal.SIGTERM)
                    world.server.process.wait(timeout=20)
                else:
                    world.server.kill()
                    world.faults.arm(fault, at)
                    with contextlib.suppress(RuntimeError):
                        world.start()
                    if world.server.process.poll() is None:  # the start had fewer calls
                        world.server.kill()
                if not world.faults.get("fired"):
                    ends[stop] = at
                world.faults.disarm()
                world.start()
                self.check_restarted(world)
                world.end_strays()
                # Each round leaves more pages to write back than the one before, so the last steps are longer.
                at += 1 if at < 24 else at // 6
                if ends[stop]:
                    stop, at = not stop, 1
                self.assertLess(at, 2000)
            print(f"{ends[True] - 1} calls in a stop, {ends[False] - 1} in a start", flush=True)
            self.assertGreater(ends[True], 3)
            self.check_ended(world)

    def test_a_kill_at_each_call_of_the_first_start(self):
        # A half-made database must be finished or made anew, not refused.
        at, fired = 1, True
        while fired:
            with self.world() as world:
                world.faults.arm(DEADLY[at % 3], at)
                try:
                    world.start()
                except (RuntimeError, AssertionError, subprocess.CalledProcessError):  # at `millrace env`: just after
                    world.server.process.wait(timeout=20)
                fired = world.faults.get("fired")
                what = f"{NAMES[DEADLY[at % 3]]} call {at} ({world.faults.what()})"
                world.faults.disarm()
                if fired:
                    with self.subTest(what):
                        world.server.environment = None
                        world.prepare()
                        world.work()
                        world.settle()
                        self.check_ended(world)
            at += 1 if CRASHES == 0 else max(1, 300 // CRASHES)
            self.assertLess(at, 500)
        print(f"about {at} calls in the first start", flush=True)
        self.assertGreater(at, 10)

    # ---- a disk with errors ----

    def test_an_error_at_each_call_of_the_commit_path(self):
        with self.world() as world:
            world.prepare()
            calls = self.calls_of_the_work(world)
            plan = self.plan(world, calls, ((ERROR, errno.ENOSPC), (ERROR, errno.EIO), (SHORT_WRITE, errno.ENOSPC)))
            errors = refusals = 0
            for (fault, number), at in plan:
                repeat = world.random.choice((1, 1, 2, 6))
                killed = world.random.random() < 0.5
                world.faults.arm(fault, at, error=number, repeat=repeat)
                try:
                    world.work()
                except Refused:
                    refusals += 1
                if not killed:
                    wait_until(lambda: world.faults.get("calls") >= at + repeat - 1 or self.quiet(world),
                               "the errors are over")
                errors += world.faults.get("fired") > 0
                what = f"{NAMES[fault]} call {at} of {calls} ({world.faults.what()}), {os.strerror(number)}, {repeat} times"
                world.faults.disarm()
                try:
                    self.assertIsNone(world.server.process.poll(), "the engine ended")
                    if killed:  # at once: what was refused may not come back from the log
                        world.server.kill()
                        world.start()
                    self.check_restarted(world)
                    world.end_strays()
                    # The disk is good again: everything goes on by itself.
                    wait_until(lambda: self.takes_jobs(world), "the engine takes jobs again")
                except BaseException:
                    print(f"after {what}\n" + "".join(world.server.output[-20:]), flush=True)
                    raise
            print(f"{calls} calls in the work, {errors} errors, {refusals} refused", flush=True)
            self.assertGreater(errors, len(plan) // 2)
            self.assertGreater(refusals, 0)
            self.check_ended(world)

    def quiet(self, world):
        before = world.faults.get("calls")
        time.sleep(0.7)  # the engine tries a bad disk again within half a second
        return world.faults.get("calls") == before

    def takes_jobs(self, world):
        try:
            return world.submit()
        except Refused:
            return None


if __name__ == "__main__":
    unittest.main(verbosity=2)
