"""Without this: a queue shares its machine in another way than its policy says, a job waits and nobody can say
why, a licence is used twice, or rules do not hear of jobs."""

import json
import os
import subprocess
import sys
import unittest
import urllib.request
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from botocore.auth import SigV4Auth  # noqa: E402
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.credentials import Credentials  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

from batch_setup import make_definition, make_queue, wait_for_job  # noqa: E402
from millrace_server import MillraceServer, wait_until  # noqa: E402

warnings.simplefilter("ignore", ResourceWarning)  # botocore leaves its sockets to the collector


class Scheduling(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(MillraceServer(["--runtime", "process", "--vcpus", "2"]))
        cls.batch = cls.server.boto3("batch")
        make_queue(cls.batch)
        make_definition(cls.batch, ["sleep", "0.1"], "short")
        make_definition(cls.batch, ["sleep", "600"], "long")

    def call(self, operation, **body):
        """An operation that is younger than Debian's botocore."""
        request = AWSRequest("POST", f"{self.server.endpoint}/v1/{operation.lower()}", data=json.dumps(body),
                             headers={"Content-Type": "application/json"})
        keys = Credentials(self.server.environment["AWS_ACCESS_KEY_ID"],
                           self.server.environment["AWS_SECRET_ACCESS_KEY"])
        SigV4Auth(keys, "batch", "us-east-1").add_auth(request)
        with urllib.request.urlopen(urllib.request.Request(
                request.url, request.body, dict(request.headers), method="POST")) as answer:
            return json.load(answer)

    def submit(self, name, definition="short", queue="queue", **more):
        return self.batch.submit_job(jobName=name, jobQueue=queue, jobDefinition=definition, **more)["jobId"]

    def why(self, job, *more):
        done = subprocess.run([self.server.binary, "why", job, "--data", self.server.data, *more],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        return done

    def end(self, *jobs):
        for job in jobs:
            self.batch.terminate_job(jobId=job, reason="over")
        for job in jobs:
            wait_for_job(self.batch, job)

    def test_shares_get_what_their_weights_say(self):
        arn = self.batch.create_scheduling_policy(name="fair", fairsharePolicy={
            "shareDecaySeconds": 600, "shareDistribution": [{"shareIdentifier": "heavy", "weightFactor": 0.25}]})["arn"]
        with self.assertRaisesRegex(ClientError, "shareIdentifier is required|not found|FAIR"):
            self.batch.create_job_queue(jobQueueName="no", priority=1, schedulingPolicyArn=arn + "x",
                                        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "queue-environment"}])
        self.batch.create_job_queue(jobQueueName="fair", priority=1, schedulingPolicyArn=arn,
                                    computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "queue-environment"}])
        with self.assertRaisesRegex(ClientError, "shareIdentifier is required"):
            self.submit("x", queue="fair")
        with self.assertRaisesRegex(ClientError, "can onlybe submitted to job queue with fair share"):
            self.submit("x", shareIdentifier="light")
        blockers = [self.submit("blocker", "long") for _ in range(2)]
        for share in ("light", "heavy"):
            for _ in range(60):
                self.submit(share, queue="fair", shareIdentifier=share)
        front = self.call("GetJobQueueSnapshot", jobQueue="fair")["frontOfQueue"]["jobs"]
        self.assertEqual(len(front), 100)
        self.end(*blockers)

        def ended():
            jobs = [job for page in self.batch.get_paginator("list_jobs").paginate(
                jobQueue="fair", jobStatus="SUCCEEDED") for job in page["jobSummaryList"]]
            return jobs if len(jobs) >= 60 else None

        jobs = sorted(wait_until(ended, "60 jobs have ended"), key=lambda job: job["startedAt"])[:60]
        heavy = sum(job["jobName"] == "heavy" for job in jobs)
        self.assertGreater(heavy, 38, "four fifths of 60 are 48")
        policy = self.batch.describe_scheduling_policies(arns=[arn])["schedulingPolicies"][0]
        self.assertEqual(policy["fairsharePolicy"]["shareDecaySeconds"], 600)
        self.assertIn(arn, [each["arn"] for each in self.batch.list_scheduling_policies()["schedulingPolicies"]])

    def test_a_waiting_job_says_why_and_what_would_start_it(self):
        running = [self.submit("runs", "long", timeout={"attemptDurationSeconds": 900}) for _ in range(2)]
        for job in running:
            wait_for_job(self.batch, job, ("RUNNING",))
        first, second = self.submit("first"), self.submit("second")
        try:
            reason = self.batch.describe_jobs(jobs=[second])["jobs"][0]["statusReason"]
            self.assertRegex(reason, f"^Waits behind 1 job of queue. The first, {first}, waits: Needs 1 vCPUs and "
                                     "64 MiB; queue-environment has 0 of 2 free.$")
            said = self.why(first)
            self.assertEqual(said.returncode, 0, said.stderr)
            self.assertRegex(said.stdout, r"position +1, with 0 before it")
            self.assertRegex(said.stdout, f"to start it +Stop job {running[0]}, which holds 1 vCPUs and 64 MiB")
            self.assertRegex(said.stdout, r"starts +\S+ +in 15m\d\ds at the latest, by timeouts")
            answer = json.loads(self.why(second, "--json").stdout)
            self.assertEqual(answer["ahead"], 1)
            self.assertEqual({each["jobId"] for each in answer["running"]}, set(running))
            said = self.why(running[0])
            self.assertEqual(said.returncode, 1)
            self.assertIn("it does not wait", said.stdout)
            said = self.why("nothing")
            self.assertEqual(said.returncode, 1)
            self.assertIn("Job nothing not found", said.stderr)
        finally:
            self.end(*running)
        wait_for_job(self.batch, second)

    def test_licences_are_taken_and_come_back(self):
        self.call("CreateConsumableResource", consumableResourceName="licence", totalQuantity=1)
        needs = {"consumableResourceProperties": {"consumableResourceList": [
            {"consumableResource": "licence", "quantity": 1}]}}
        self.call("RegisterJobDefinition", jobDefinitionName="licensed", type="container", **needs,
                  containerProperties={"image": "x", "command": ["sleep", "600"], "resourceRequirements": [
                      {"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]})
        one, two = self.submit("one", "licensed"), self.submit("two", "licensed")
        wait_for_job(self.batch, one, ("RUNNING",))
        try:
            self.assertEqual(self.batch.describe_jobs(jobs=[two])["jobs"][0]["statusReason"],
                             "Needs 1 of licence, of which 0 of 1 are free.")
            self.assertEqual(self.call("DescribeConsumableResource", consumableResource="licence")["inUseQuantity"], 1)
            users = self.call("ListJobsByConsumableResource", consumableResource="licence")["jobs"]
            self.assertEqual([user["jobStatus"] for user in users], ["RUNNING", "RUNNABLE"])
            self.end(one)
            wait_for_job(self.batch, two, ("RUNNING",))
            # The licence is held across a crash of the engine.
            self.server.kill()
            self.server.start()
            type(self).batch = self.server.boto3("batch")
            self.assertEqual(self.call("DescribeConsumableResource", consumableResource="licence")["availableQuantity"], 0)
        finally:
            self.end(two)
        self.assertEqual(self.call("DescribeConsumableResource", consumableResource="licence")["availableQuantity"], 1)

    def test_rules_hear_of_every_change(self):
        events, logs = self.server.boto3("events"), self.server.boto3("logs")
        logs.create_log_group(logGroupName="/jobs")
        events.put_rule(Name="jobs", EventPattern=json.dumps(
            {"source": ["aws.batch"], "detail-type": ["Batch Job State Change"], "detail": {"jobName": ["heard"]}}))
        events.put_targets(Rule="jobs", Targets=[
            {"Id": "log", "Arn": "arn:aws:logs:us-east-1:123456789012:log-group:/jobs"}])
        job = self.submit("heard")
        wait_for_job(self.batch, job)

        def heard():
            found = logs.filter_log_events(logGroupName="/jobs")["events"]
            return [json.loads(event["message"]) for event in found] if len(found) >= 4 else None

        seen = wait_until(heard, "four changes are in the log group")
        self.assertEqual({event["detail"]["status"] for event in seen},
                         {"RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"})
        arn = seen[0]["resources"][0]
        self.assertTrue(arn.endswith(f":job/{job}"), arn)
        self.assertEqual(seen[0]["detail"]["tags"]["resourceArn"], arn)
        events.remove_targets(Rule="jobs", Ids=["log"])
        events.delete_rule(Name="jobs")


if __name__ == "__main__":
    unittest.main(verbosity=2)
