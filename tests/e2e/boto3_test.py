"""Without this: a change breaks what boto3 users do from the first job definition to the last log line."""

import json
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from millrace_server import MillraceServer  # noqa: E402


def wait_for(batch, job_id, statuses, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        job = batch.describe_jobs(jobs=[job_id])["jobs"][0]
        if job["status"] in statuses:
            return job
        if time.monotonic() > deadline:
            raise AssertionError(f"{job_id} is {job['status']}: {job.get('statusReason')}")
        time.sleep(0.05)  # DescribeJobs is the only way a client has to wait


def prepare(batch, command):
    environment = batch.create_compute_environment(
        computeEnvironmentName="ce", type="UNMANAGED", state="ENABLED")["computeEnvironmentArn"]
    while batch.describe_compute_environments(
            computeEnvironments=[environment])["computeEnvironments"][0]["status"] != "VALID":
        time.sleep(0.05)
    queue = batch.create_job_queue(
        jobQueueName="queue", state="ENABLED", priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": environment}])["jobQueueArn"]
    definition = batch.register_job_definition(
        jobDefinitionName="definition", type="container",
        containerProperties={"image": "millrace", "command": command,
                             "resourceRequirements": [{"type": "VCPU", "value": "1"},
                                                      {"type": "MEMORY", "value": "64"}]})
    return queue, definition["jobDefinitionArn"]


class Boto3(unittest.TestCase):
    def test_a_job_from_definition_to_log(self):
        with MillraceServer(["--runtime", "process"]) as server:
            batch, logs = server.boto3("batch"), server.boto3("logs")
            queue, definition = prepare(batch, ["sh", "-c", "echo hello; echo $AWS_BATCH_JOB_ID; echo err >&2"])
            job_id = batch.submit_job(jobName="job", jobQueue=queue, jobDefinition=definition)["jobId"]
            job = wait_for(batch, job_id, {"SUCCEEDED", "FAILED"})
            self.assertEqual(job["status"], "SUCCEEDED", json.dumps(job, default=str))
            stream = job["container"]["logStreamName"]
            self.assertTrue(stream.startswith("definition/default/"))
            events = logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=stream,
                                         startFromHead=True)["events"]
            messages = [event["message"] for event in events]
            self.assertEqual(sorted(messages), sorted(["hello", job_id, "err"]))
            self.assertLess(messages.index("hello"), messages.index(job_id))
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName="/aws/batch/job",
                                                                     filterPattern="hello")
            self.assertEqual(sum(len(page["events"]) for page in pages), 1)

    def test_a_running_job_is_terminated(self):
        with MillraceServer(["--runtime", "process"]) as server:
            batch = server.boto3("batch")
            queue, definition = prepare(batch, ["sleep", "600"])
            job_id = batch.submit_job(jobName="long", jobQueue=queue, jobDefinition=definition)["jobId"]
            wait_for(batch, job_id, {"RUNNING"})
            batch.terminate_job(jobId=job_id, reason="enough")
            job = wait_for(batch, job_id, {"SUCCEEDED", "FAILED"})
            self.assertEqual((job["status"], job["statusReason"]), ("FAILED", "enough"))


if __name__ == "__main__":
    unittest.main()
