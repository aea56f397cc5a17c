"""Without this: an upload, an event or a clock does not start the job that it should, or starts it twice."""

import datetime
import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.request
import unittest
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import botocore.config  # noqa: E402
import botocore.exceptions  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

from batch_setup import make_definition, make_queue, wait_for_job  # noqa: E402
from millrace_server import MillraceServer, wait_until  # noqa: E402

warnings.simplefilter("ignore", ResourceWarning)  # botocore leaves its sockets to the collector


def all_jobs(batch, queue):
    return [job for page in batch.get_paginator("list_jobs").paginate(
        jobQueue=queue, filters=[{"name": "AFTER_CREATED_AT", "values": ["0"]}]) for job in page["jobSummaryList"]]


def run_millrace(server, *arguments):
    return subprocess.run([server.binary, *arguments, "--data", server.data], env=server.environment,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


class Events(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(MillraceServer())
        cls.batch = cls.server.boto3("batch")
        cls.events = cls.server.boto3("events")
        cls.logs = cls.server.boto3("logs")
        cls.queue = make_queue(cls.batch)
        make_definition(cls.batch, ["true"], "nothing")

    def target(self, name, definition="nothing", **more):
        return {"Id": "job", "Arn": self.queue, "RoleArn": "arn:aws:iam::123456789012:role/events",
                "BatchParameters": {"JobDefinition": definition, "JobName": name}, **more}

    def jobs(self, name):
        return [job for job in all_jobs(self.batch, self.queue) if job["jobName"] == name]

    def test_an_event_starts_a_job_with_parameters(self):
        make_definition(self.batch, ["sh", "-c", "echo $0 $1 $PLACE", "Ref::a", "Ref::b"], "speaks",
                        parameters={"a": "-", "b": "-"})
        self.events.put_rule(Name="speaks", EventPattern=json.dumps({"detail": {"state": ["ready"]}}))
        answer = self.events.put_targets(Rule="speaks", Targets=[self.target("speaks", "speaks", InputTransformer={
            "InputPathsMap": {"a": "$.detail.a", "b": "$.detail.list[1]"},
            "InputTemplate": '{"Parameters": {"a": <a>, "b": <b>}, "ContainerOverrides": '
                             '{"Environment": [{"Name": "PLACE", "Value": "<a>!"}]}}'})])
        self.assertEqual(answer["FailedEntryCount"], 0)
        answer = self.events.put_events(Entries=[
            {"Source": "test", "DetailType": "t", "Detail": json.dumps({"state": "ready", "a": "x", "list": ["n", "y"]})},
            {"Source": "test", "DetailType": "t", "Detail": json.dumps({"state": "not ready"})},
            {"Source": "test", "DetailType": "t", "Detail": "no JSON"},
            {"Source": "test", "DetailType": "t", "Detail": "{}", "EventBusName": "missing"},
            {"Source": "aws.s3", "DetailType": "t", "Detail": "{}"}])
        self.assertEqual(answer["FailedEntryCount"], 3)
        self.assertEqual([entry.get("ErrorCode") for entry in answer["Entries"]],
                         [None, None, "MalformedDetail", "ResourceNotFoundException", "NotAuthorizedForSource"])
        job = wait_until(lambda: self.jobs("speaks"), "the job is there")
        job = wait_for_job(self.batch, job[0]["jobId"])
        self.assertEqual(job["status"], "SUCCEEDED", job)
        events = self.logs.get_log_events(logGroupName="/aws/batch/job",
                                          logStreamName=job["container"]["logStreamName"])["events"]
        self.assertEqual([event["message"] for event in events], ["x y x!"])
        self.assertEqual(len(self.jobs("speaks")), 1)

    def test_array_and_retries_of_the_target(self):
        target = self.target("array")
        target["BatchParameters"].update(ArrayProperties={"Size": 3}, RetryStrategy={"Attempts": 2})
        self.events.put_rule(Name="array", EventPattern=json.dumps({"source": ["array"]}))
        self.events.put_targets(Rule="array", Targets=[target])
        self.events.put_events(Entries=[{"Source": "array", "DetailType": "t", "Detail": "{}"}])
        summary = wait_until(lambda: self.jobs("array"), "the job is there")[0]
        job = wait_for_job(self.batch, summary["jobId"])
        self.assertEqual((job["arrayProperties"]["size"], job["retryStrategy"]["attempts"]), (3, 2))

    def test_rules_targets_and_buses_are_what_was_put(self):
        events = self.events
        bus = events.create_event_bus(Name="own", Tags=[{"Key": "a", "Value": "b"}])["EventBusArn"]
        rule = events.put_rule(Name="r", EventBusName="own", EventPattern='{"source":["s"]}', Description="d",
                               Tags=[{"Key": "k", "Value": "v"}])["RuleArn"]
        self.assertEqual(rule, "arn:aws:events:us-east-1:123456789012:rule/own/r")
        target = {"Id": "t", "Arn": "arn:aws:logs:us-east-1:123456789012:log-group:/events", "InputPath": "$.detail"}
        events.put_targets(Rule="r", EventBusName="own", Targets=[target])
        described = events.describe_rule(Name="r", EventBusName=bus)
        self.assertEqual({k: described[k] for k in ("Name", "Arn", "EventPattern", "State", "Description", "EventBusName")},
                         {"Name": "r", "Arn": rule, "EventPattern": '{"source":["s"]}', "State": "ENABLED",
                          "Description": "d", "EventBusName": "own"})
        self.assertEqual(events.list_targets_by_rule(Rule="r", EventBusName="own")["Targets"], [target])
        self.assertEqual(events.list_rule_names_by_target(TargetArn=target["Arn"], EventBusName="own")["RuleNames"], ["r"])
        self.assertEqual(events.list_tags_for_resource(ResourceARN=rule)["Tags"], [{"Key": "k", "Value": "v"}])
        events.disable_rule(Name="r", EventBusName="own")
        self.assertEqual(events.list_rules(EventBusName="own")["Rules"][0]["State"], "DISABLED")
        with self.assertRaises(ClientError) as caught:
            events.delete_rule(Name="r", EventBusName="own")
        self.assertEqual(caught.exception.response["Error"]["Message"], "Rule can't be deleted since it has targets.")
        with self.assertRaises(ClientError) as caught:
            events.put_rule(Name="clock", EventBusName="own", ScheduleExpression="rate(1 minute)")
        self.assertIn("only on the default event bus", str(caught.exception))
        events.remove_targets(Rule="r", EventBusName="own", Ids=["t"])
        events.delete_rule(Name="r", EventBusName="own")
        events.delete_event_bus(Name="own")
        with self.assertRaises(ClientError) as caught:
            events.describe_event_bus(Name="own")
        self.assertEqual(caught.exception.response["Error"],
                         {"Code": "ResourceNotFoundException", "Message": "Event bus own does not exist."})
        with self.assertRaises(ClientError) as caught:
            events.put_rule(Name="bad", EventPattern='{"source":[{"prefix":5}]}')
        self.assertEqual(caught.exception.response["Error"]["Code"], "InvalidEventPatternException")

    def test_a_pattern_is_tested(self):
        event = {"id": "1", "source": "s", "detail-type": "t", "account": "1", "time": "2026-11-21T00:00:00Z",
                 "region": "us-east-1", "resources": [], "detail": {"n": 5}}
        for pattern, result in (({"detail": {"n": [{"numeric": [">", 4]}]}}, True), ({"source": ["x"]}, False)):
            answer = self.events.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event))
            self.assertEqual(answer["Result"], result)

    def test_events_reach_log_groups(self):
        self.logs.create_log_group(logGroupName="/events")
        self.events.put_rule(Name="log", EventPattern='{"source":["log"]}')
        self.events.put_targets(Rule="log", Targets=[
            {"Id": "l", "Arn": "arn:aws:logs:us-east-1:123456789012:log-group:/events", "InputPath": "$.detail"}])
        self.events.put_events(Entries=[{"Source": "log", "DetailType": "t", "Detail": '{"hello":"world"}'}])
        found = wait_until(lambda: self.logs.filter_log_events(logGroupName="/events")["events"], "a log event")
        self.assertEqual([event["message"] for event in found], ['{"hello":"world"}'])


class Uploads(unittest.TestCase):
    """The set-ups of the systems that Millrace replaces, as they are."""

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(MillraceServer())
        cls.batch = cls.server.boto3("batch")
        cls.events = cls.server.boto3("events")
        cls.queue = make_queue(cls.batch)
        for bucket in ("batch-sync", "s3-eventbridge-batch"):
            cls.server.boto3("s3").create_bucket(Bucket=bucket)

    def upload(self, size, url):
        path = os.path.join(self.server.folder, "upload")
        with open(path, "wb") as file:
            file.write(b"x" * size)
        self.server.aws("s3", "cp", path, url)

    def jobs(self, name):
        return [job for job in all_jobs(self.batch, self.queue) if job["jobName"] == name]

    def test_a_list_of_prefixes_starts_one_sync_job_whatever_its_size(self):
        make_definition(self.batch, ["sh", "-c", "echo $0 $1", "Ref::s3_bucket", "Ref::s3_key"], "sync",
                        parameters={"s3_bucket": "-", "s3_key": "-"})
        self.server.aws("events", "put-rule", "--name", "s3-batch-sync", "--event-pattern", json.dumps({
            "source": ["aws.s3"], "detail-type": ["AWS API Call via CloudTrail"],
            "detail": {"eventSource": ["s3.amazonaws.com"], "eventName": ["PutObject", "CompleteMultipartUpload"],
                       "requestParameters": {"bucketName": ["batch-sync"],
                                             "key": [{"prefix": "input/s3_batch_sync_input-"}]}}}))
        self.server.aws("events", "put-targets", "--rule", "s3-batch-sync", "--targets", json.dumps([{
            "Id": "queue", "Arn": self.queue, "RoleArn": "arn:aws:iam::123456789012:role/events",
            "BatchParameters": {"JobDefinition": "sync", "JobName": "s3-batch-sync-eventbridge-invoked-job",
                                "RetryStrategy": {"Attempts": 2}},
            "InputTransformer": {
                "InputPathsMap": {"S3BucketValue": "$.detail.requestParameters.bucketName",
                                  "S3KeyValue": "$.detail.requestParameters.key"},
                "InputTemplate": '{"Parameters" : {"s3_bucket": <S3BucketValue>, "s3_key": <S3KeyValue>}}'}}]))
        keys = ["input/s3_batch_sync_input-x.csv", "input/s3_batch_sync_input-large.csv"]
        self.upload(100, "s3://batch-sync/" + keys[0])
        self.upload(100, "s3://batch-sync/output/s3_batch_sync_input-x.csv")
        self.upload(20 << 20, "s3://batch-sync/" + keys[1])
        name = "s3-batch-sync-eventbridge-invoked-job"
        wait_until(lambda: len(self.jobs(name)) >= 2, "both uploads have their job")
        found = []
        for summary in self.jobs(name):
            job = wait_for_job(self.batch, summary["jobId"])
            self.assertEqual((job["status"], job["retryStrategy"]["attempts"]), ("SUCCEEDED", 2), job)
            self.assertEqual(job["parameters"]["s3_bucket"], "batch-sync")
            found.append(job["parameters"]["s3_key"])
        self.assertEqual(sorted(found), sorted(keys))

    def test_one_object_starts_the_load_and_nothing_else_does(self):
        make_definition(self.batch, ["true"], "load")
        self.events.put_rule(Name="S3-Source-Batch-Target", EventPattern=json.dumps({
            "source": ["aws.s3"], "detail-type": ["AWS API Call via CloudTrail"],
            "detail": {"eventSource": ["s3.amazonaws.com"], "eventName": ["PutObject"],
                       "requestParameters": {"bucketName": ["s3-eventbridge-batch"], "key": ["sample-data.txt"]}}}))
        self.events.put_targets(Rule="S3-Source-Batch-Target", Targets=[{
            "Id": "queue", "Arn": self.queue, "RoleArn": "arn:aws:iam::123456789012:role/events",
            "BatchParameters": {"JobDefinition": "load", "JobName": "BatchDBJobExecutedByCloudWatchRule",
                                "RetryStrategy": {"Attempts": 1}}}])
        self.upload(100, "s3://s3-eventbridge-batch/other.txt")
        self.upload(100, "s3://s3-eventbridge-batch/sample-data.txt")
        self.server.aws("s3", "rm", "s3://s3-eventbridge-batch/other.txt")
        # The native form of the same uploads, told apart by its size.
        self.events.put_rule(Name="native", EventPattern=json.dumps({
            "source": ["aws.s3"], "detail-type": ["Object Created"],
            "detail": {"bucket": {"name": ["s3-eventbridge-batch"]}, "object": {"key": ["last.txt"], "size": [7]}}}))
        self.events.put_targets(Rule="native", Targets=[{
            "Id": "queue", "Arn": self.queue, "BatchParameters": {"JobDefinition": "load", "JobName": "native"}}])
        self.upload(7, "s3://s3-eventbridge-batch/last.txt")
        wait_until(lambda: self.jobs("native"), "the last upload has its job")
        self.assertEqual(len(self.jobs("BatchDBJobExecutedByCloudWatchRule")), 1)
        self.assertEqual(len(self.jobs("native")), 1)


class BothForms(unittest.TestCase):
    """Every way to write or delete an object is an event in S3's own form and, where a trail looks, in CloudTrail's."""

    def test_writes_copies_and_deletions(self):
        with MillraceServer(("--runtime", "process", "--trail", "trailed,other*")) as server:
            s3, logs = server.boto3("s3"), server.boto3("logs")
            for bucket in ("trailed", "quiet"):
                s3.create_bucket(Bucket=bucket)
            logs.create_log_group(logGroupName="seen")
            # What people do for S3's own events on AWS, and what nobody would act on here.
            server.aws("s3api", "put-bucket-notification-configuration", "--bucket", "trailed",
                       "--notification-configuration", '{"EventBridgeConfiguration": {}}')
            with self.assertRaises(ClientError) as caught:
                s3.put_bucket_notification_configuration(Bucket="trailed", NotificationConfiguration={
                    "QueueConfigurations": [{"QueueArn": "arn:aws:sqs:us-east-1:123456789012:q",
                                             "Events": ["s3:ObjectCreated:*"]}]})
            self.assertEqual(caught.exception.response["Error"]["Code"], "InvalidArgument")
            server.aws("events", "put-rule", "--name", "all", "--event-pattern", '{"source":["aws.s3"]}')
            server.aws("events", "put-targets", "--rule", "all", "--targets", json.dumps([
                {"Id": "l", "Arn": "arn:aws:logs:us-east-1:123456789012:log-group:seen"}]))
            path = os.path.join(server.folder, "file")
            with open(path, "wb") as file:
                file.write(b"x" * (9 << 20))
            s3.put_object(Bucket="trailed", Key="one", Body=b"1")
            server.aws("s3", "cp", path, "s3://trailed/large")
            server.aws("s3", "cp", "s3://trailed/one", "s3://quiet/copy")
            server.aws("s3", "mv", "s3://quiet/copy", "s3://trailed/moved")
            server.aws("s3", "rm", "s3://trailed/one")

            def seen():
                found = [json.loads(event["message"]) for page in
                         logs.get_paginator("filter_log_events").paginate(logGroupName="seen")
                         for event in page["events"]]
                return found if len(found) == 10 else None
            native, trail = [], []
            for event in wait_until(seen, "both forms of all of it"):
                detail = event["detail"]
                if event["detail-type"] == "AWS API Call via CloudTrail":
                    trail.append((detail["eventName"], detail["requestParameters"]["key"]))
                else:
                    native.append((event["detail-type"], detail["reason"], detail["bucket"]["name"], detail["object"]["key"]))
            self.assertEqual(sorted(native), [
                ("Object Created", "CompleteMultipartUpload", "trailed", "large"),
                ("Object Created", "CopyObject", "quiet", "copy"),
                ("Object Created", "CopyObject", "trailed", "moved"),
                ("Object Created", "PutObject", "trailed", "one"),
                ("Object Deleted", "DeleteObject", "quiet", "copy"),
                ("Object Deleted", "DeleteObject", "trailed", "one")])
            self.assertEqual(sorted(trail), [("CompleteMultipartUpload", "large"), ("CopyObject", "moved"),
                                             ("DeleteObject", "one"), ("PutObject", "one")])


class Schedules(unittest.TestCase):
    def test_the_scheduler_submits_by_the_universal_target(self):
        with MillraceServer() as server:
            batch = server.boto3("batch")
            queue = make_queue(batch)
            definition = make_definition(batch, ["sh", "-c", "echo $0", "Ref::at"], "chunk", parameters={"at": "-"})
            scheduler = server.boto3("scheduler")
            scheduler.create_schedule_group(Name="nightly", Tags=[{"Key": "a", "Value": "b"}])
            arn = scheduler.create_schedule(
                Name="ingest-daily-trigger", GroupName="nightly", ScheduleExpression="rate(12 hours)",
                FlexibleTimeWindow={"Mode": "OFF"},
                Target={"Arn": "arn:aws:scheduler:::aws-sdk:batch:submitJob",
                        "RoleArn": "arn:aws:iam::123456789012:role/scheduler",
                        "Input": json.dumps({"JobDefinition": definition, "JobName": "ingest", "JobQueue": queue,
                                             "Parameters": {"at": "<aws.scheduler.scheduled-time>"}})})["ScheduleArn"]
            self.assertEqual(arn, "arn:aws:scheduler:us-east-1:123456789012:schedule/nightly/ingest-daily-trigger")
            summary = wait_until(lambda: all_jobs(batch, queue), "the first firing has its job")
            job = wait_for_job(batch, summary[0]["jobId"])
            self.assertEqual((job["jobName"], job["status"]), ("ingest", "SUCCEEDED"))
            self.assertRegex(job["parameters"]["at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
            schedule = scheduler.get_schedule(Name="ingest-daily-trigger", GroupName="nightly")
            self.assertEqual((schedule["State"], schedule["ScheduleExpressionTimezone"]), ("ENABLED", "UTC"))
            self.assertEqual(schedule["Target"]["RetryPolicy"],
                             {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185})
            listed = scheduler.list_schedules(GroupName="nightly", NamePrefix="ingest")["Schedules"]
            self.assertEqual([entry["Arn"] for entry in listed], [arn])
            with self.assertRaises(ClientError) as caught:
                scheduler.create_schedule(Name="bad", ScheduleExpression="rate(10 years)",
                                          FlexibleTimeWindow={"Mode": "OFF"}, Target=schedule["Target"])
            self.assertEqual(caught.exception.response["Error"]["Message"], "Invalid Schedule Expression rate(10 years).")
            server.kill()
            server.start()
            scheduler, batch = server.boto3("scheduler"), server.boto3("batch")
            self.assertEqual(len(all_jobs(batch, queue)), 1)
            scheduler.delete_schedule_group(Name="nightly")
            with self.assertRaises(ClientError) as caught:
                scheduler.get_schedule(Name="ingest-daily-trigger", GroupName="nightly")
            self.assertEqual(caught.exception.response["Error"]["Code"], "ResourceNotFoundException")

    def test_a_firing_missed_while_nothing_ran_is_made_up_for_once(self):
        with MillraceServer() as server:
            batch = server.boto3("batch")
            queue = make_queue(batch)
            definition = make_definition(batch, ["true"], "once")
            due = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(seconds=2)
            server.boto3("scheduler").create_schedule(
                Name="once", ScheduleExpression=f"at({due:%Y-%m-%dT%H:%M:%S})", FlexibleTimeWindow={"Mode": "OFF"},
                Target={"Arn": "arn:aws:scheduler:::aws-sdk:batch:submitJob",
                        "RoleArn": "arn:aws:iam::123456789012:role/s",
                        "Input": json.dumps({"JobDefinition": definition, "JobName": "once", "JobQueue": queue})})
            server.kill()
            wait_until(lambda: datetime.datetime.now(datetime.timezone.utc) > due, "its time is over")
            for _ in range(2):
                server.start()
                batch = server.boto3("batch")
                wait_until(lambda: all_jobs(batch, queue), "the job is there")
                # Who is answered is answered after what was due.
                (rule,) = json.loads(run_millrace(server, "rules", "--json").stdout)["rules"]
                self.assertEqual(rule["matched"], 1)
                self.assertEqual([job["jobName"] for job in all_jobs(batch, queue)], ["once"])
                server.kill()

    def test_rules_have_schedules(self):
        with MillraceServer() as server:
            events = server.boto3("events")
            rule = events.put_rule(Name="nightly", ScheduleExpression="cron(0 2 * * ? *)")
            self.assertEqual(events.describe_rule(Name="nightly")["ScheduleExpression"], "cron(0 2 * * ? *)")
            self.assertEqual(rule["RuleArn"], "arn:aws:events:us-east-1:123456789012:rule/nightly")
            server.aws("scheduler", "create-schedule", "--name", "ingest-daily-trigger",
                       "--schedule-expression", "cron(0 0 * * ? *)", "--flexible-time-window", "Mode=OFF", "--target",
                       json.dumps({"Arn": "arn:aws:scheduler:::aws-sdk:batch:submitJob",
                                   "RoleArn": "arn:aws:iam::123456789012:role/scheduler",
                                   "Input": json.dumps({"JobDefinition": "chunk", "JobName": "chunk",
                                                        "JobQueue": "ingest"})}))
            listed = json.loads(run_millrace(server, "rules", "--json").stdout)["rules"]
            midnight = next(rule for rule in listed if rule["name"] == "default/ingest-daily-trigger")["next"]
            self.assertEqual(midnight % 86_400_000, 0)
            self.assertLessEqual(midnight / 1000 - time.time(), 86_400)
            # The other two that its documentation names, and a staggered one of every five days.
            for number, (expression, hours) in enumerate((("cron(0 */6 * * ? *)", 6), ("rate(12 hours)", 12),
                                                          ("cron(30 4 */5 * ? *)", 5 * 24 + 1))):
                server.boto3("scheduler").create_schedule(
                    Name=f"s{number}", ScheduleExpression=expression, FlexibleTimeWindow={"Mode": "OFF"}, State="ENABLED",
                    StartDate=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=1),
                    Target={"Arn": "arn:aws:scheduler:::aws-sdk:batch:submitJob",
                            "RoleArn": "arn:aws:iam::123456789012:role/scheduler",
                            "Input": '{"JobDefinition": "chunk", "JobName": "chunk", "JobQueue": "ingest"}'})
                shown = run_millrace(server, "rules", "describe", f"schedule:default/s{number}", "--json")
                wait = json.loads(shown.stdout)["next"] / 1000 - time.time()
                self.assertTrue(0 < wait <= hours * 3600 + 60, (expression, wait))
            rules = run_millrace(server, "rules", "--json")
            self.assertRegex(json.dumps(json.loads(rules.stdout)["rules"][0]["next"]), r"^\d+$")
            with self.assertRaises(ClientError) as caught:
                events.put_rule(Name="bad", ScheduleExpression="rate(1 minutes)")
            self.assertEqual(caught.exception.response["Error"]["Message"], "Parameter ScheduleExpression is not valid.")


class Commands(unittest.TestCase):
    """What became of an event, and why, is told without reading databases."""

    def test_what_cannot_be_delivered_goes_to_a_bucket(self):
        with MillraceServer() as server:
            s3, events = server.boto3("s3"), server.boto3("events")
            s3.create_bucket(Bucket="letters")
            events.put_rule(Name="broken", EventPattern='{"source":["test"]}')
            events.put_targets(Rule="broken", Targets=[{
                "Id": "job", "Arn": make_queue(server.boto3("batch")),
                "BatchParameters": {"JobDefinition": "d", "JobName": "j"},
                "DeadLetterConfig": {"Arn": "arn:aws:s3:::letters/from/broken"},
                "InputTransformer": {"InputPathsMap": {"d": "$.detail"}, "InputTemplate": '{"Parameters": {"d": "<d>"}}'}}])
            events.put_events(Entries=[{"Source": "test", "DetailType": "t", "Detail": '{"n":5}'}])
            found = wait_until(lambda: s3.list_objects_v2(Bucket="letters").get("Contents"), "a dead letter")
            self.assertEqual(len(found), 1)
            self.assertTrue(found[0]["Key"].startswith("from/broken/"), found)
            letter = json.loads(s3.get_object(Bucket="letters", Key=found[0]["Key"])["Body"].read())
            self.assertEqual((letter["EVENT"]["detail"], letter["ERROR_CODE"]), ({"n": 5}, "INVALID_INPUT"))
            self.assertIn("not valid JSON", letter["ERROR_MESSAGE"])

    def test_tail_why_test_and_rules(self):
        with MillraceServer() as server:
            batch = server.boto3("batch")
            queue = make_queue(batch)
            make_definition(batch, ["true"], "nothing")
            events = server.boto3("events")
            target = {"Id": "job", "Arn": queue, "BatchParameters": {"JobDefinition": "nothing", "JobName": "j"}}
            events.put_rule(Name="good", EventPattern='{"detail":{"n":[{"numeric":[">",4]}]}}')
            events.put_targets(Rule="good", Targets=[target])
            events.put_rule(Name="broken", EventPattern='{"source":["test"]}')
            events.put_targets(Rule="broken", Targets=[{**target, "InputTransformer": {
                "InputPathsMap": {"d": "$.detail"}, "InputTemplate": '{"Parameters": {"d": "<d>"}}'}}])
            events.put_rule(Name="lost", EventPattern='{"source":["test"]}')
            events.put_targets(Rule="lost", Targets=[{**target, "BatchParameters": {
                "JobDefinition": "missing", "JobName": "j"}, "DeadLetterConfig": {
                    "Arn": "arn:aws:logs:us-east-1:123456789012:log-group:dead"}}])
            ids = [entry["EventId"] for entry in events.put_events(Entries=[
                {"Source": "test", "DetailType": "t", "Detail": '{"n":5}'},
                {"Source": "other", "DetailType": "t", "Detail": '{"n":3}'}])["Entries"]]

            def ended():
                rules = {rule["name"]: rule for rule in json.loads(run_millrace(server, "rules", "--json").stdout)["rules"]}
                done = sum(rule["delivered"] + rule["dead"] for rule in rules.values())
                return rules if done == 3 else None
            rules = wait_until(ended, "all three deliveries have ended")
            self.assertEqual([(rules[name]["matched"], rules[name]["delivered"], rules[name]["dead"])
                              for name in ("good", "broken", "lost")], [(1, 1, 0), (1, 0, 1), (1, 0, 1)])
            self.assertIn("not valid JSON", rules["broken"]["problem"])
            self.assertIn("JobDefinition name missing does not exist", rules["lost"]["problem"])
            lines = run_millrace(server, "events", "tail").stdout.splitlines()
            first = next(line for line in lines if ids[0] in line)
            self.assertIn("good: job ", first)
            self.assertIn("lost: NOT DELIVERED", first)
            self.assertIn("no rule matched", next(line for line in lines if ids[1] in line))

            why = run_millrace(server, "events", "why", ids[1], "good")
            self.assertEqual(why.returncode, 1)
            self.assertIn("detail.n", why.stdout)
            self.assertIn("3", why.stdout)
            why = run_millrace(server, "events", "why", ids[0], "good")
            self.assertEqual((why.returncode, why.stdout.splitlines()[0]), (0, "it matches"))
            self.assertIn("job ", why.stdout)
            self.assertEqual(run_millrace(server, "events", "why", ids[0], "missing").returncode, 1)

            path = os.path.join(server.folder, "event.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump({"source": "test", "detail": {"n": 6}}, file)
            test = run_millrace(server, "events", "test", "good", path)
            self.assertEqual(test.returncode, 0)
            submit = json.loads(test.stdout.split("SubmitJob ")[1])
            self.assertEqual((submit["jobName"], submit["jobDefinition"]), ("j", "nothing"))
            self.assertIn("NOTHING CAN BE DELIVERED", run_millrace(server, "events", "test", "broken", path).stdout)
            self.assertEqual(len(all_jobs(batch, queue)), 1)

            described = run_millrace(server, "rules", "describe", "lost")
            self.assertEqual(described.returncode, 0, described.stderr)
            self.assertIn("1 matched, 0 delivered, 1 failed, 1 dead", described.stdout)
            self.assertIn(f"(event {ids[0]})", described.stdout)
            self.assertIn('{"source":["test"]}', described.stdout)
            self.assertEqual(json.loads(run_millrace(server, "rules", "describe", "good", "--json").stdout)["delivered"], 1)
            missing = run_millrace(server, "rules", "describe", "missing")
            self.assertEqual(missing.returncode, 1)
            self.assertIn("there are broken, good, lost", missing.stderr)

            # The dead letter has the event and the reason.
            letters = wait_until(lambda: server.boto3("logs").filter_log_events(logGroupName="dead")["events"],
                                 "a dead letter")
            letter = json.loads(letters[0]["message"])
            self.assertEqual((letter["EVENT"]["id"], letter["ERROR_CODE"]), (ids[0], "NO_RESOURCE"))
            with urllib.request.urlopen(server.endpoint + "/metrics", timeout=20) as answer:
                metrics = answer.read().decode()
            self.assertIn('millrace_events_delivered_total{owner="rule:default/good"} 1\n', metrics)
            self.assertIn('millrace_events_dead_total{owner="rule:default/lost"} 1\n', metrics)
            # All of it is still known after a crash.
            server.kill()
            server.start()
            lines = run_millrace(server, "events", "tail").stdout.splitlines()
            self.assertIn("good: job ", next(line for line in lines if ids[0] in line))


class Destinations(unittest.TestCase):
    def test_oauth_tokens_are_kept_and_the_rate_is(self):
        """One token serves every call until the API refuses it, and the API is called as often as it may."""
        import http.server
        asked, calls, revoked = [], [], threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, answer = 200, b""
                if self.path == "/token?scope=all":
                    asked.append((self.headers["Content-Type"], body))
                    answer = json.dumps({"access_token": f"token-{len(asked)}", "token_type": "Bearer",
                                         "expires_in": 3600}).encode()
                else:
                    bearer = self.headers["Authorization"]
                    if revoked.is_set() and bearer == "Bearer token-1":
                        status = 401
                    calls.append((status, bearer, json.loads(body)["n"], time.monotonic()))
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        target = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=target.serve_forever, daemon=True).start()
        self.addCleanup(target.shutdown)
        base = f"http://127.0.0.1:{target.server_address[1]}"
        with MillraceServer() as server:
            events = server.boto3("events")
            connection = events.create_connection(
                Name="c", AuthorizationType="OAUTH_CLIENT_CREDENTIALS",
                AuthParameters={"OAuthParameters": {
                    "ClientParameters": {"ClientID": "me", "ClientSecret": "s&cret"}, "HttpMethod": "POST",
                    "AuthorizationEndpoint": base + "/token", "OAuthHttpParameters": {
                        "QueryStringParameters": [{"Key": "scope", "Value": "all"}]}}})
            destination = events.create_api_destination(
                Name="d", ConnectionArn=connection["ConnectionArn"], HttpMethod="POST", InvocationEndpoint=base + "/",
                InvocationRateLimitPerSecond=3)["ApiDestinationArn"]
            events.put_rule(Name="hook", EventPattern='{"source":["test"]}')
            events.put_targets(Rule="hook", Targets=[{"Id": "t", "Arn": destination, "InputPath": "$.detail"}])

            def send(numbers):
                events.put_events(Entries=[{"Source": "test", "DetailType": "t", "Detail": json.dumps({"n": n})}
                                           for n in numbers])
            began = time.monotonic()
            send(range(8))
            wait_until(lambda: len(calls) == 8, "all calls")
            self.assertEqual(sorted(call[2] for call in calls), list(range(8)))
            self.assertEqual({call[1] for call in calls}, {"Bearer token-1"})
            # 8 calls at 3 a second: the last two wait for the second after the next.
            self.assertGreater(max(call[3] for call in calls) - began, 1)
            self.assertEqual(asked, [("application/x-www-form-urlencoded",
                                      "grant_type=client_credentials&client_id=me&client_secret=s%26cret")])
            revoked.set()
            send([8])
            wait_until(lambda: len(calls) == 10, "the call and its second try")
            self.assertEqual([call[:3] for call in calls[8:]], [(401, "Bearer token-1", 8), (200, "Bearer token-2", 8)])
            self.assertNotIn("s&cret", json.dumps(events.describe_connection(Name="c"), default=str))

    def test_an_api_destination_is_called_until_it_answers(self):
        import http.server
        calls = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                calls.append((self.path, self.headers["X-Key"], self.headers["X-Extra"], body))
                self.send_response(503 if len(calls) == 1 else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        target = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=target.serve_forever, daemon=True).start()
        self.addCleanup(target.shutdown)
        with MillraceServer() as server:
            events = server.boto3("events")
            connection = events.create_connection(
                Name="c", AuthorizationType="API_KEY",
                AuthParameters={"ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "hidden-value"}})
            self.assertEqual(connection["ConnectionState"], "AUTHORIZED")
            self.assertNotIn("hidden-value", json.dumps(events.describe_connection(Name="c"), default=str))
            destination = events.create_api_destination(
                Name="d", ConnectionArn=connection["ConnectionArn"], HttpMethod="POST",
                InvocationEndpoint=f"http://127.0.0.1:{target.server_address[1]}/hook/*")["ApiDestinationArn"]
            events.put_rule(Name="hook", EventPattern='{"source":["test"]}')
            events.put_targets(Rule="hook", Targets=[{
                "Id": "t", "Arn": destination, "InputPath": "$.detail",
                "HttpParameters": {"PathParameterValues": ["a b"], "HeaderParameters": {"X-Extra": "yes"},
                                   "QueryStringParameters": {"q": "1"}}}])
            events.put_events(Entries=[{"Source": "test", "DetailType": "t", "Detail": '{"n":5}'}])
            wait_until(lambda: len(calls) == 2, "the call and its second try")
            self.assertEqual(calls[0], ("/hook/a%20b?q=1", "hidden-value", "yes", '{"n":5}'))
            self.assertEqual(calls[1], calls[0])

            def counted():
                rule = json.loads(run_millrace(server, "rules", "--json").stdout)["rules"][0]
                return (rule["delivered"], rule["failed"], rule["dead"]) == (1, 1, 0)
            wait_until(counted, "the failure and the delivery are counted")


class Watch(unittest.TestCase):
    def test_a_bucket_elsewhere_starts_jobs_once(self):
        with MillraceServer() as here, MillraceServer() as elsewhere:
            queue = make_queue(here.boto3("batch"))
            make_definition(here.boto3("batch"), ["true"], "nothing")
            events = here.boto3("events")
            events.put_rule(Name="r", EventPattern=json.dumps({
                "source": ["aws.s3"], "detail": {"eventName": ["PutObject", "CompleteMultipartUpload"],
                                                 "requestParameters": {"key": [{"prefix": "in/"}]}}}))
            events.put_targets(Rule="r", Targets=[{
                "Id": "job", "Arn": queue, "BatchParameters": {"JobDefinition": "nothing", "JobName": "j"},
                "InputTransformer": {"InputPathsMap": {"k": "$.detail.requestParameters.key"},
                                     "InputTemplate": '{"Parameters": {"k": <k>}}'}}])
            s3 = elsewhere.boto3("s3")
            s3.create_bucket(Bucket="assets")
            s3.put_object(Bucket="assets", Key="in/old", Body=b"x")

            def look():
                done = subprocess.run([here.binary, "watch", "s3://assets/in/", "--once", "--data", here.data],
                                      env={**elsewhere.environment, "AWS_ENDPOINT_URL": elsewhere.endpoint},
                                      capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stderr)
                return done.stdout.splitlines()
            self.assertEqual(look(), [])
            s3.put_object(Bucket="assets", Key="in/new \u00fc", Body=b"x")
            s3.put_object(Bucket="assets", Key="out/new", Body=b"x")
            s3.delete_object(Bucket="assets", Key="in/old")
            self.assertEqual(look(), ["PutObject s3://assets/in/new \u00fc", "DeleteObject s3://assets/in/old"])
            here.kill()
            here.start()
            self.assertEqual(look(), [])
            batch = here.boto3("batch")
            wait_until(lambda: all_jobs(batch, queue), "the job is there")
            keys = [batch.describe_jobs(jobs=[job["jobId"]])["jobs"][0]["parameters"]["k"]
                    for job in all_jobs(batch, queue)]
            self.assertEqual(keys, ["in/new \u00fc"])


class Archives(unittest.TestCase):
    def test_an_archive_is_replayed(self):
        with MillraceServer() as server:
            events, logs = server.boto3("events"), server.boto3("logs")
            bus = events.describe_event_bus()["Arn"]
            archive = events.create_archive(ArchiveName="a", EventSourceArn=bus,
                                            EventPattern='{"source":["kept"]}')["ArchiveArn"]
            start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
            events.put_events(Entries=[{"Source": source, "DetailType": "t", "Detail": "{}"}
                                       for source in ("kept", "other", "kept")])
            self.assertEqual(events.describe_archive(ArchiveName="a")["EventCount"], 2)
            logs.create_log_group(logGroupName="/replayed")
            events.put_rule(Name="r", EventPattern='{"replay-name":["again"]}')
            events.put_targets(Rule="r", Targets=[
                {"Id": "l", "Arn": "arn:aws:logs:us-east-1:123456789012:log-group:/replayed"}])
            events.start_replay(ReplayName="again", EventSourceArn=archive, Destination={"Arn": bus},
                                EventStartTime=start, EventEndTime=start + datetime.timedelta(minutes=5))
            wait_until(lambda: events.describe_replay(ReplayName="again")["State"] == "COMPLETED", "the replay ends")
            found = wait_until(lambda: (lambda e: e if len(e) == 2 else None)(
                logs.filter_log_events(logGroupName="/replayed")["events"]), "both events again")
            self.assertEqual({json.loads(event["message"])["replay-name"] for event in found}, {"again"})
            with self.assertRaises(ClientError) as caught:
                events.start_replay(ReplayName="again", EventSourceArn=archive, Destination={"Arn": bus},
                                    EventStartTime=start, EventEndTime=start + datetime.timedelta(minutes=5))
            self.assertEqual(caught.exception.response["Error"]["Message"], "Replay again already exists.")


class Crash(unittest.TestCase):
    def test_kill_between_an_upload_and_its_job_makes_one_job(self):
        """The engine is killed right after each upload was answered."""
        with MillraceServer() as server:
            queue = make_queue(server.boto3("batch"))
            make_definition(server.boto3("batch"), ["true"], "nothing")
            server.boto3("s3").create_bucket(Bucket="uploads")
            events = server.boto3("events")
            events.put_rule(Name="r", EventPattern='{"source":["aws.s3"],"detail-type":["Object Created"]}')
            events.put_targets(Rule="r", Targets=[{
                "Id": "job", "Arn": queue, "BatchParameters": {"JobDefinition": "nothing", "JobName": "j"},
                "InputTransformer": {"InputPathsMap": {"k": "$.detail.object.key"},
                                     "InputTemplate": '{"Parameters": {"k": <k>}}'}}])
            keys = []
            for life in range(6):
                s3 = server.boto3("s3")
                for i in range(3):
                    keys.append(f"{life}-{i}")
                    s3.put_object(Bucket="uploads", Key=keys[-1], Body=b"x")
                server.kill()
                server.start()
            batch = server.boto3("batch")
            wait_until(lambda: len(all_jobs(batch, queue)) >= len(keys), "every upload has its job")
            found = [batch.describe_jobs(jobs=[job["jobId"]])["jobs"][0]["parameters"]["k"]
                     for job in all_jobs(batch, queue)]
            self.assertEqual(sorted(found), sorted(keys))

    def test_kill_at_any_time_makes_one_job_for_each_event(self):
        """Events and uploads come in all the time, the engine is killed at random times: one job for each that was
        answered, at most one for the others."""
        seed = random.randrange(1 << 30)
        print(f"seed {seed}", file=sys.stderr)
        dice = random.Random(seed)
        with MillraceServer() as server:
            queue = make_queue(server.boto3("batch"))
            make_definition(server.boto3("batch"), ["true"], "nothing")
            server.boto3("s3").create_bucket(Bucket="uploads")
            events = server.boto3("events")
            transformer = {"InputPathsMap": {"n": "$.detail.n", "k": "$.detail.object.key"},
                           "InputTemplate": '{"Parameters": {"n": "<n><k>"}}'}
            target = {"Id": "job", "Arn": queue, "BatchParameters": {"JobDefinition": "nothing", "JobName": "j"},
                      "InputTransformer": transformer}
            for name, pattern in (("sent", '{"source":["test"]}'),
                                  ("uploaded", '{"source":["aws.s3"],"detail-type":["Object Created"]}')):
                events.put_rule(Name=name, EventPattern=pattern)
                events.put_targets(Rule=name, Targets=[target])
            tried, answered, numbers = set(), set(), itertools.count()
            quick = botocore.config.Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=20)

            def send(stop):
                events, s3 = server.boto3("events", config=quick), server.boto3("s3", config=quick)
                try:
                    while not stop.is_set():
                        sent = [f"e{next(numbers)}" for _ in range(5)]
                        tried.update(sent)
                        answer = events.put_events(Entries=[{"Source": "test", "DetailType": "t",
                                                             "Detail": json.dumps({"n": n})} for n in sent])
                        self.assertEqual(answer["FailedEntryCount"], 0)
                        answered.update(sent)
                        key = f"k{next(numbers)}"
                        tried.add(key)
                        s3.put_object(Bucket="uploads", Key=key, Body=b"x")
                        answered.add(key)
                except (botocore.exceptions.BotoCoreError, ClientError):
                    pass  # killed

            for _ in range(8):
                stop = threading.Event()
                sender = threading.Thread(target=send, args=(stop,))
                sender.start()
                stop.wait(dice.uniform(0.05, 0.5))
                server.kill()
                stop.set()
                sender.join()
                server.start()
            batch = server.boto3("batch")
            self.assertGreater(len(answered), 50)
            wait_until(lambda: len(all_jobs(batch, queue)) >= len(answered), "everything answered has its job")
            ids = [job["jobId"] for job in all_jobs(batch, queue)]
            found = [job["parameters"]["n"] for i in range(0, len(ids), 100)
                     for job in batch.describe_jobs(jobs=ids[i:i + 100])["jobs"]]
            self.assertEqual(len(found), len(set(found)), "two jobs for one event")
            self.assertEqual(answered - set(found), set(), "an event that was answered has no job")
            self.assertEqual(set(found) - tried, set())


    def test_what_jobs_tell_survives_a_crash(self):
        """Each job that succeeds starts one other, whenever the engine is killed."""
        seed = random.randrange(1 << 30)
        print(f"seed {seed}", file=sys.stderr)
        dice = random.Random(seed)
        with MillraceServer() as server:
            batch = server.boto3("batch")
            queue = make_queue(batch)
            make_definition(batch, ["true"], "nothing")
            events = server.boto3("events")
            events.put_rule(Name="chain", EventPattern=json.dumps({
                "source": ["aws.batch"], "detail-type": ["Batch Job State Change"],
                "detail": {"status": ["SUCCEEDED"], "jobName": ["first"]}}))
            events.put_targets(Rule="chain", Targets=[{
                "Id": "job", "Arn": queue, "BatchParameters": {"JobDefinition": "nothing", "JobName": "second"},
                "InputTransformer": {"InputPathsMap": {"id": "$.detail.jobId"},
                                     "InputTemplate": '{"Parameters": {"id": <id>}}'}}])
            first = []
            for _ in range(10):
                batch = server.boto3("batch")
                for _ in range(8):
                    first.append(batch.submit_job(jobName="first", jobQueue=queue, jobDefinition="nothing")["jobId"])
                time.sleep(dice.uniform(0, 0.1))  # of the moment of the kill
                server.kill()
                server.start()
            batch = server.boto3("batch")

            def second():
                found = [job["jobId"] for job in all_jobs(batch, queue) if job["jobName"] == "second"]
                return found if len(found) >= len(first) else None
            ids = wait_until(second, "every job has its follower")
            told = [job["parameters"]["id"] for i in range(0, len(ids), 100)
                    for job in batch.describe_jobs(jobs=ids[i:i + 100])["jobs"]]
            self.assertEqual(sorted(told), sorted(first))


if __name__ == "__main__":
    unittest.main(verbosity=2)
