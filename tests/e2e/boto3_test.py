"""Without this: a change breaks what boto3 users do, from the first job definition to the last log line."""

import datetime
import io
import os
import sys
import unittest
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from boto3.s3.transfer import TransferConfig  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

from batch_setup import make_definition, make_queue, wait_for_job  # noqa: E402
from millrace_server import MillraceServer, wait_until  # noqa: E402

warnings.simplefilter("ignore", ResourceWarning)  # botocore leaves its sockets to the collector
LIVE = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")


class Batch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(MillraceServer(["--runtime", "process", "--vcpus", "2"]))
        cls.batch = cls.server.boto3("batch")
        cls.logs = cls.server.boto3("logs")
        cls.queue = make_queue(cls.batch)

    def submit(self, definition, name="job", **more):
        return self.batch.submit_job(jobName=name, jobQueue=self.queue, jobDefinition=definition,
                                     **more)["jobId"]

    def messages(self, job):
        answer = self.logs.get_log_events(logGroupName="/aws/batch/job",
                                          logStreamName=job["container"]["logStreamName"], startFromHead=True)
        return [event["message"] for event in answer["events"]]

    def test_a_job_from_definition_to_log(self):
        definition = make_definition(self.batch, ["sh", "-c", "echo $0 $PLACE; echo $AWS_BATCH_JOB_ID; echo err >&2",
                                                  "Ref::word"],
                                     parameters={"word": "default"}, tags={"team": "film"})
        job_id = self.submit(definition, parameters={"word": "hello"}, tags={"shot": "010"},
                             containerOverrides={"environment": [{"name": "PLACE", "value": "world"}]})
        job = wait_for_job(self.batch, job_id)
        self.assertEqual((job["status"], job["container"]["exitCode"]), ("SUCCEEDED", 0), job)
        self.assertTrue(job["container"]["logStreamName"].startswith("definition/default/"))
        messages = self.messages(job)
        self.assertEqual(sorted(messages), sorted(["hello world", job_id, "err"]))
        self.assertLess(messages.index("hello world"), messages.index(job_id))
        now = datetime.datetime.now().timestamp() * 1000
        self.assertTrue(now - 60_000 < job["createdAt"] <= job["startedAt"] <= job["stoppedAt"] <= now + 1000, job)
        pages = self.logs.get_paginator("filter_log_events").paginate(
            logGroupName="/aws/batch/job", filterPattern='"hello world"')
        self.assertEqual(sum(len(page["events"]) for page in pages), 1)
        streams = self.logs.describe_log_streams(logGroupName="/aws/batch/job",
                                                 logStreamNamePrefix="definition/default/")["logStreams"]
        self.assertIn(job["container"]["logStreamName"], [stream["logStreamName"] for stream in streams])

        # Tags of the definition, of the job, and changed ones.
        self.assertEqual(self.batch.list_tags_for_resource(resourceArn=definition)["tags"], {"team": "film"})
        self.batch.tag_resource(resourceArn=job["jobArn"], tags={"take": "2"})
        self.batch.untag_resource(resourceArn=job["jobArn"], tagKeys=["shot"])
        self.assertEqual(self.batch.list_tags_for_resource(resourceArn=job["jobArn"])["tags"], {"take": "2"})

        # A deregistered definition takes no more jobs.
        self.batch.deregister_job_definition(jobDefinition=definition)
        with self.assertRaises(ClientError) as caught:
            self.submit(definition)
        self.assertEqual(caught.exception.response["Error"]["Code"], "ClientException")
        inactive = self.batch.describe_job_definitions(jobDefinitions=[definition])["jobDefinitions"]
        self.assertEqual([d["status"] for d in inactive], ["INACTIVE"])

    def test_a_running_job_is_terminated(self):
        definition = make_definition(self.batch, ["sleep", "600"], "long")
        job_id = self.submit(definition)
        wait_for_job(self.batch, job_id, ["RUNNING"])
        self.batch.terminate_job(jobId=job_id, reason="enough")
        job = wait_for_job(self.batch, job_id)
        self.assertEqual((job["status"], job["statusReason"]), ("FAILED", "enough"))

    def test_a_waiting_job_is_cancelled(self):
        definition = make_definition(self.batch, ["sleep", "600"], "waiting")
        running = [self.submit(definition) for _ in range(2)]
        for job_id in running:
            wait_for_job(self.batch, job_id, ["RUNNING"])
        waiting = self.submit(definition)
        wait_for_job(self.batch, waiting, ["RUNNABLE"])
        self.batch.cancel_job(jobId=waiting, reason="not needed")
        job = wait_for_job(self.batch, waiting)
        self.assertEqual((job["status"], job["statusReason"]), ("FAILED", "not needed"))
        self.assertNotIn("startedAt", job)
        for job_id in running:
            self.batch.terminate_job(jobId=job_id, reason="end of test")
        for job_id in running:
            wait_for_job(self.batch, job_id)

    def test_a_failing_job_is_retried(self):
        definition = make_definition(self.batch, ["sh", "-c", "echo try $AWS_BATCH_JOB_ATTEMPT; exit 7"], "failing",
                                     retryStrategy={"attempts": 3})
        job = wait_for_job(self.batch, self.submit(definition))
        self.assertEqual(job["status"], "FAILED")
        self.assertEqual([attempt["container"]["exitCode"] for attempt in job["attempts"]], [7, 7, 7])
        streams = [attempt["container"]["logStreamName"] for attempt in job["attempts"]]
        self.assertEqual(len(set(streams)), 3)
        self.assertEqual(job["statusReason"], "Essential container in task exited")

    def test_an_array_job_and_what_waits_for_it(self):
        definition = make_definition(
            self.batch, ["sh", "-c", "echo $AWS_BATCH_JOB_ID $AWS_BATCH_JOB_ARRAY_INDEX of $AWS_BATCH_JOB_ARRAY_SIZE; "
                                     "[ \"$AWS_BATCH_JOB_ARRAY_INDEX\" != 3 ]"], "array")
        first = self.submit(definition, "first", arrayProperties={"size": 6})
        each = self.submit(definition, "each", arrayProperties={"size": 6},
                           dependsOn=[{"jobId": first, "type": "N_TO_N"}])
        after = self.submit(definition, "after", dependsOn=[{"jobId": first}])
        parent = wait_for_job(self.batch, first)
        self.assertEqual((parent["status"], parent["statusReason"]), ("FAILED", "Array Child Job failed"))
        self.assertEqual(parent["arrayProperties"]["size"], 6)
        summary = {k: v for k, v in parent["arrayProperties"]["statusSummary"].items() if v}
        self.assertEqual(summary, {"SUCCEEDED": 5, "FAILED": 1})
        child = self.batch.describe_jobs(jobs=[first + ":4"])["jobs"][0]
        self.assertEqual((child["jobId"], child["arrayProperties"]["index"]), (first + ":4", 4))
        self.assertEqual(self.messages(child), [f"{first}:4 4 of 6"])
        failed = self.batch.list_jobs(arrayJobId=first, jobStatus="FAILED")["jobSummaryList"]
        self.assertEqual([job["jobId"] for job in failed], [first + ":3"])
        pages = self.batch.get_paginator("list_jobs").paginate(arrayJobId=first, jobStatus="SUCCEEDED",
                                                               PaginationConfig={"PageSize": 2})
        self.assertEqual([job["arrayProperties"]["index"] for page in pages for job in page["jobSummaryList"]],
                         [0, 1, 2, 4, 5])
        self.assertEqual(wait_for_job(self.batch, after)["statusReason"], "Dependent Job failed")
        self.assertEqual(wait_for_job(self.batch, each)["status"], "FAILED")
        third = self.batch.describe_jobs(jobs=[each + ":3"])["jobs"][0]
        self.assertEqual(third["statusReason"], "Dependent Job failed")
        listed = self.batch.list_jobs(jobQueue=self.queue, jobStatus="FAILED")["jobSummaryList"]
        self.assertEqual([job["jobId"] for job in listed if ":" in job["jobId"]], [], "children are not listed")

    def test_the_timeout_of_a_submission_wins(self):
        definition = make_definition(self.batch, ["sleep", "600"], "timed",
                                     timeout={"attemptDurationSeconds": 60})
        job_id = self.submit(definition, timeout={"attemptDurationSeconds": 90})
        job = wait_for_job(self.batch, job_id, ["RUNNING"])
        self.assertEqual(job["timeout"], {"attemptDurationSeconds": 90})
        # That it ends is the engine tests' business: AWS allows no timeout below a minute.
        self.batch.terminate_job(jobId=job_id, reason="end of test")
        wait_for_job(self.batch, job_id)

    def test_lists_are_paged(self):
        definition = make_definition(self.batch, ["true"], "paged")
        ids = {self.submit(definition, f"paged-{number}") for number in range(25)}
        for job_id in ids:
            wait_for_job(self.batch, job_id)
        pages = list(self.batch.get_paginator("list_jobs").paginate(
            jobQueue=self.queue, filters=[{"name": "JOB_NAME", "values": ["paged-*"]}],
            PaginationConfig={"PageSize": 10}))
        self.assertGreaterEqual(len(pages), 3)
        self.assertEqual({job["jobId"] for page in pages for job in page["jobSummaryList"]}, ids)

    def test_queue_and_environment_come_and_go(self):
        queue = make_queue(self.batch, "brief")
        described = self.batch.describe_job_queues(jobQueues=["brief"])["jobQueues"][0]
        self.assertEqual((described["jobQueueArn"], described["state"]), (queue, "ENABLED"))
        environment = described["computeEnvironmentOrder"][0]["computeEnvironment"]
        with self.assertRaises(ClientError):  # still in use
            self.batch.delete_compute_environment(computeEnvironment=environment)
        with self.assertRaises(ClientError):  # still enabled
            self.batch.delete_job_queue(jobQueue=queue)
        self.batch.update_job_queue(jobQueue=queue, state="DISABLED", priority=5)
        definition = make_definition(self.batch, ["true"], "nowhere")
        with self.assertRaises(ClientError):  # takes no jobs
            self.batch.submit_job(jobName="job", jobQueue=queue, jobDefinition=definition)
        self.batch.delete_job_queue(jobQueue=queue)
        wait_until(lambda: all(q["status"] == "DELETED" for q in self.batch.describe_job_queues(
            jobQueues=["brief"])["jobQueues"]), "the queue is gone")
        self.batch.update_compute_environment(computeEnvironment=environment, state="DISABLED")
        self.batch.delete_compute_environment(computeEnvironment=environment)
        wait_until(lambda: not self.batch.describe_compute_environments(
            computeEnvironments=[environment])["computeEnvironments"], "the environment is gone")

    def test_another_image_says_how_to_run_it(self):
        with MillraceServer([]) as server:
            batch = server.boto3("batch")
            queue = make_queue(batch)
            definition = batch.register_job_definition(
                jobDefinitionName="other", type="container",
                containerProperties={"image": "python:3.12", "command": ["true"],
                                     "resourceRequirements": [{"type": "VCPU", "value": "1"},
                                                              {"type": "MEMORY", "value": "64"}]})
            job_id = batch.submit_job(jobName="job", jobQueue=queue,
                                      jobDefinition=definition["jobDefinitionArn"])["jobId"]
            job = wait_for_job(batch, job_id)
            self.assertEqual(job["status"], "FAILED")
            self.assertIn("CannotPullContainerError", job["attempts"][0]["container"]["reason"])
            self.assertIn("--runtime process", job["attempts"][0]["container"]["reason"])

    def test_a_job_uses_the_apis_itself(self):
        script = ("import boto3, os\n"
                  "url = os.environ['AWS_ENDPOINT_URL']\n"
                  "s3 = boto3.client('s3', endpoint_url=url)\n"
                  "s3.create_bucket(Bucket='from-a-job')\n"
                  "s3.put_object(Bucket='from-a-job', Key='key', Body=b'made by a job')\n"
                  "print(boto3.client('sts', endpoint_url=url).get_caller_identity()['Account'])\n")
        definition = make_definition(self.batch, ["/usr/bin/python3", "-c", script], "client")
        job = wait_for_job(self.batch, self.submit(definition))
        self.assertEqual(job["status"], "SUCCEEDED", self.messages(job))
        self.assertEqual(self.messages(job), ["123456789012"])
        body = self.server.boto3("s3").get_object(Bucket="from-a-job", Key="key")["Body"].read()
        self.assertEqual(body, b"made by a job")


class S3(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(MillraceServer())
        cls.s3 = cls.server.boto3("s3")
        cls.s3.create_bucket(Bucket="bucket")

    def test_objects_and_their_metadata(self):
        key = "a folder/été + 100% ünï?&=#.txt"
        put = self.s3.put_object(Bucket="bucket", Key=key, Body=b"0123456789", ContentType="text/x-test",
                                 Metadata={"shot": "010"})
        head = self.s3.head_object(Bucket="bucket", Key=key)
        self.assertEqual((head["ContentLength"], head["ContentType"], head["Metadata"], head["ETag"]),
                         (10, "text/x-test", {"shot": "010"}, put["ETag"]))
        self.assertEqual(self.s3.get_object(Bucket="bucket", Key=key, Range="bytes=3-5")["Body"].read(), b"345")
        self.assertEqual(self.s3.get_object(Bucket="bucket", Key=key, Range="bytes=-2")["Body"].read(), b"89")
        with self.assertRaises(ClientError) as caught:
            self.s3.get_object(Bucket="bucket", Key=key, Range="bytes=10-")
        self.assertEqual(caught.exception.response["Error"]["Code"], "InvalidRange")
        listed = self.s3.list_objects_v2(Bucket="bucket", Prefix="a folder/", Delimiter="/")
        self.assertEqual([entry["Key"] for entry in listed["Contents"]], [key])
        self.s3.delete_object(Bucket="bucket", Key=key)
        with self.assertRaises(ClientError) as caught:
            self.s3.get_object(Bucket="bucket", Key=key)
        self.assertEqual(caught.exception.response["Error"]["Code"], "NoSuchKey")

    def test_a_large_object_in_parts(self):
        body = os.urandom(20 << 20)
        self.s3.upload_fileobj(io.BytesIO(body), "bucket", "large",
                               Config=TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20))
        self.assertRegex(self.s3.head_object(Bucket="bucket", Key="large")["ETag"], '^"[0-9a-f]{32}-3"$')
        back = io.BytesIO()
        self.s3.download_fileobj("bucket", "large", back)
        self.assertEqual(back.getvalue(), body)

    def test_lists_are_paged(self):
        for number in range(25):
            self.s3.put_object(Bucket="bucket", Key=f"paged/{number:02}", Body=b"")
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket="bucket", Prefix="paged/", PaginationConfig={"PageSize": 10})
        self.assertEqual([entry["Key"] for page in pages for entry in page["Contents"]],
                         [f"paged/{number:02}" for number in range(25)])


if __name__ == "__main__":
    unittest.main(verbosity=2)
