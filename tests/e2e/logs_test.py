"""Without this: what users do with logs (groups, streams, put, get, filter, tail, retention, tags) breaks unseen in
boto3 or the AWS CLI, or lines of jobs are lost, doubled or out of order, also when engine or runner are killed."""

import collections
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import unittest
import urllib.parse
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from botocore.auth import SigV4Auth  # noqa: E402
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.credentials import Credentials  # noqa: E402
from botocore.eventstream import EventStreamBuffer  # noqa: E402

from batch_setup import make_definition, make_queue, wait_for_job  # noqa: E402
from millrace_server import MillraceServer, wait_until  # noqa: E402

warnings.simplefilter("ignore", ResourceWarning)  # botocore leaves its sockets to the collector
GROUP = "/aws/batch/job"


def now_ms():
    return int(time.time() * 1000)


def lines_by_stream(logs, group=GROUP, **more):
    """Every line of a group: {stream: [messages in the order of FilterLogEvents]}."""
    lines = collections.defaultdict(list)
    if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
        return lines  # made by its first line
    for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, **more):
        for event in page["events"]:
            lines[event["logStreamName"]].append(event["message"])
    return lines


def stream_of(job, attempt=None):
    return (job["container"] if attempt is None else job["attempts"][attempt]["container"])["logStreamName"]


class Events(unittest.TestCase):
    """Groups, streams and events by boto3."""

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(MillraceServer())
        cls.logs = cls.server.boto3("logs")

    def group(self, name, *streams, **more):
        self.logs.create_log_group(logGroupName=name, **more)
        for stream in streams:
            self.logs.create_log_stream(logGroupName=name, logStreamName=stream)
        return name

    def put(self, group, stream, *messages, at=None):
        at = at or now_ms()
        return self.logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[
            {"timestamp": at + i, "message": message} for i, message in enumerate(messages)])

    def filtered(self, group, pattern, **more):
        return [event["message"] for event in self.logs.filter_log_events(
            logGroupName=group, filterPattern=pattern, **more)["events"]]

    def test_get_follows_its_tokens_both_ways(self):
        group = self.group("tokens", "s")
        self.put(group, "s", *(str(i) for i in range(25)))
        where = {"logGroupName": group, "logStreamName": "s", "limit": 10}
        newest = self.logs.get_log_events(**where)
        self.assertEqual([e["message"] for e in newest["events"]], [str(i) for i in range(15, 25)])
        older = self.logs.get_log_events(**where, nextToken=newest["nextBackwardToken"])
        self.assertEqual([e["message"] for e in older["events"]], [str(i) for i in range(5, 15)])
        end = self.logs.get_log_events(**where, nextToken=newest["nextForwardToken"], startFromHead=True)
        self.assertEqual((end["events"], end["nextForwardToken"]), ([], newest["nextForwardToken"]))
        # What comes later is found by the token that was the end.
        self.put(group, "s", "later", at=now_ms() + 1000)
        later = self.logs.get_log_events(**where, nextToken=end["nextForwardToken"], startFromHead=True)
        self.assertEqual([e["message"] for e in later["events"]], ["later"])
        seen, token = [], {}
        while True:
            page = self.logs.get_log_events(**where, startFromHead=True, **token)
            seen += [e["message"] for e in page["events"]]
            if token == {"nextToken": page["nextForwardToken"]}:
                break
            token = {"nextToken": page["nextForwardToken"]}
        self.assertEqual(seen, [str(i) for i in range(25)] + ["later"])
        with self.assertRaisesRegex(self.logs.exceptions.InvalidParameterException, "nextToken is invalid"):
            self.logs.get_log_events(**where, nextToken="f/nonsense")

    def test_filter_speaks_the_whole_syntax(self):
        group = self.group("patterns", "a", "b")
        access = '10.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534'
        document = json.dumps({"level": "ERROR", "ms": 50.5, "user": {"ids": [1, 2]}, "ok": False, "gone": None})
        self.put(group, "a", "[ERROR 419] MISSING ARGUMENTS", access)
        self.put(group, "b", document, "all fine")
        for pattern, found in [
                ("ERROR", ["[ERROR 419] MISSING ARGUMENTS", document]),
                ("ERROR -ARGUMENTS", [document]),
                ("?fine ?MISSING", ["[ERROR 419] MISSING ARGUMENTS", "all fine"]),
                ('"all fine"', ["all fine"]),
                (r"%ERROR \d{3}|^all%", ["[ERROR 419] MISSING ARGUMENTS", "all fine"]),
                ('{ $.level = "ERR*" && ($.ms > 50 || $.ms IS NULL) }', [document]),
                ("{ $.user.ids[1] = 2 && $.ok IS FALSE && $.gone IS NULL && $.none NOT EXISTS }", [document]),
                ("{ $.user.ids[*] = 3 }", []),
                ("[ip = 10.*, ..., status = 4* && status != 400, bytes > 1e3]", [access])]:
            self.assertEqual(self.filtered(group, pattern), found, pattern)
        self.assertEqual(self.filtered(group, "", logStreamNamePrefix="b"), [document, "all fine"])
        self.assertEqual(self.filtered(group, "", logStreamNames=["a"], limit=1), ["[ERROR 419] MISSING ARGUMENTS"])
        for bad in ("{ $.a = 1", "a(b", "%(a)%", "[a, ..., b, ...]"):
            with self.assertRaises(self.logs.exceptions.InvalidParameterException, msg=bad):
                self.filtered(group, bad)
        tested = self.logs.test_metric_filter(filterPattern="[ip, ..., status, bytes]",
                                              logEventMessages=["short", access])["matches"]
        self.assertEqual([(m["eventNumber"], m["extractedValues"]["$status"]) for m in tested], [(1, "404")])

    def test_put_refuses_and_rejects(self):
        group = self.group("rejections", "s")
        day = 24 * 3600 * 1000
        refused = self.logs.exceptions.InvalidParameterException
        with self.assertRaisesRegex(refused, "chronological order"):
            self.logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[
                {"timestamp": now_ms(), "message": "b"}, {"timestamp": now_ms() - 1000, "message": "a"}])
        with self.assertRaisesRegex(refused, "24 hours"):
            self.logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[
                {"timestamp": now_ms() - day - 1000, "message": "a"}, {"timestamp": now_ms(), "message": "b"}])
        with self.assertRaisesRegex(refused, "less than or equal to 10000"):
            self.put(group, "s", *["x"] * 10001)
        with self.assertRaisesRegex(refused, "exceeds limit of 1048576"):
            self.put(group, "s", *["x" * 1000] * 1100)
        answer = self.put(group, "s", "too new", at=now_ms() + 3 * 3600 * 1000)
        self.assertEqual(answer["rejectedLogEventsInfo"], {"tooNewLogEventStartIndex": 0})
        answer = self.put(group, "s", "too old", at=now_ms() - 15 * day)
        self.assertEqual(answer["rejectedLogEventsInfo"], {"tooOldLogEventEndIndex": 1})
        self.logs.put_retention_policy(logGroupName=group, retentionInDays=3)
        answer = self.put(group, "s", "expired", at=now_ms() - 4 * day)
        self.assertEqual(answer["rejectedLogEventsInfo"], {"expiredLogEventEndIndex": 1})
        self.assertEqual(self.filtered(group, ""), [])
        # A token of old days is ignored, and one is still given.
        answer = self.logs.put_log_events(logGroupName=group, logStreamName="s", sequenceToken="4959",
                                          logEvents=[{"timestamp": now_ms(), "message": "taken"}])
        self.assertIn("nextSequenceToken", answer)
        self.assertEqual(self.filtered(group, ""), ["taken"])
        with self.assertRaisesRegex(self.logs.exceptions.ResourceNotFoundException, "log stream does not exist"):
            self.put(group, "none", "x")

    def test_streams_in_order_of_their_last_event(self):
        group = self.group("streams", *(f"s{i}" for i in range(7)))
        for i in (3, 1, 5):
            self.put(group, f"s{i}", "x", at=now_ms() + 1000 * i)
        pages = self.logs.get_paginator("describe_log_streams").paginate(
            logGroupName=group, orderBy="LastEventTime", descending=True, PaginationConfig={"PageSize": 2})
        names = [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
        self.assertEqual((names[:3], len(names), len(set(names))), (["s5", "s3", "s1"], 7, 7))
        with self.assertRaisesRegex(self.logs.exceptions.InvalidParameterException, "Cannot order by LastEventTime"):
            self.logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", logStreamNamePrefix="s")

    def test_settings_of_groups(self):
        """What Terraform and CDK do with a log group."""
        group = self.group("settings", tags={"team": "render"})
        found = self.logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]
        self.assertNotIn("retentionInDays", found)
        with self.assertRaisesRegex(self.logs.exceptions.InvalidParameterException, "enum value set"):
            self.logs.put_retention_policy(logGroupName=group, retentionInDays=2)
        self.logs.put_retention_policy(logGroupName=group, retentionInDays=30)
        arn = found["arn"].removesuffix(":*")
        self.logs.tag_resource(resourceArn=arn, tags={"shot": "010"})
        self.logs.tag_log_group(logGroupName=group, tags={"old": "way"})
        self.assertEqual(self.logs.list_tags_for_resource(resourceArn=arn)["tags"],
                         {"team": "render", "shot": "010", "old": "way"})
        self.logs.untag_resource(resourceArn=arn, tagKeys=["team"])
        self.logs.untag_log_group(logGroupName=group, tags=["old"])
        self.assertEqual(self.logs.list_tags_log_group(logGroupName=group)["tags"], {"shot": "010"})
        self.logs.put_metric_filter(logGroupName=group, filterName="errors", filterPattern="ERROR",
                                    metricTransformations=[{"metricName": "Errors", "metricNamespace": "Jobs",
                                                            "metricValue": "1"}])
        self.logs.put_resource_policy(policyName="p", policyDocument='{"Version":"2012-10-17","Statement":[]}')
        self.server.stop()
        self.server.start()
        type(self).logs = self.server.boto3("logs")
        found = self.logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]
        self.assertEqual((found["retentionInDays"], found["metricFilterCount"]), (30, 1))
        self.assertEqual(self.logs.describe_metric_filters(logGroupName=group)["metricFilters"][0]["filterPattern"],
                         "ERROR")
        self.assertEqual(self.logs.describe_resource_policies()["resourcePolicies"][0]["policyName"], "p")
        self.assertEqual(self.logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"], [])
        self.logs.delete_metric_filter(logGroupName=group, filterName="errors")
        self.logs.delete_resource_policy(policyName="p")
        self.logs.delete_retention_policy(logGroupName=group)
        self.assertNotIn("retentionInDays",
                         self.logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0])
        self.logs.delete_log_group(logGroupName=group)
        self.assertEqual(self.logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"], [])
        with self.assertRaises(self.logs.exceptions.ResourceNotFoundException):
            self.logs.delete_log_group(logGroupName=group)


class Jobs(unittest.TestCase):
    """What jobs print."""

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(MillraceServer(["--runtime", "process", "--vcpus", "64"]))
        cls.batch = cls.server.boto3("batch")
        make_queue(cls.batch)

    def submit(self, name, script, **more):
        make_definition(self.batch, ["sh", "-c", script], name, **more.pop("definition", {}))
        return self.batch.submit_job(jobName=name, jobQueue="queue", jobDefinition=name, **more)["jobId"]

    def gated(self, name, script):
        """A job that waits for its gate between the lines of `script`."""
        gate = os.path.join(self.server.folder, f"gate-{name}")
        job = self.submit(name, script.replace("GATE", f"while [ ! -e {gate} ]; do sleep 0.02; done"))

        def open_gate():
            with open(gate, "w"):
                pass
        return job, open_gate

    def live_tail(self, **body):
        """The events of a StartLiveTail, which Debian's botocore does not know: (type, payload) by its frame reader."""
        request = AWSRequest("POST", self.server.endpoint + "/", data=json.dumps(body),
                             headers={"Content-Type": "application/x-amz-json-1.1",
                                      "X-Amz-Target": "Logs_20140328.StartLiveTail"})
        keys = self.server.environment
        SigV4Auth(Credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"]), "logs",
                  keys["AWS_REGION"]).add_auth(request)
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.server.endpoint).netloc, timeout=60)
        self.addCleanup(connection.close)
        connection.request("POST", "/", request.body, dict(request.headers))
        answer = connection.getresponse()
        self.assertEqual((answer.status, answer.getheader("Content-Type")),
                         (200, "application/vnd.amazon.eventstream"))
        buffer = EventStreamBuffer()
        while True:
            piece = answer.read1(65536)
            if not piece:
                return
            buffer.add_data(piece)
            for event in buffer:
                kind = event.headers.get(":event-type") or event.headers[":exception-type"]
                yield kind, json.loads(event.payload)

    def test_a_live_tail_shows_a_running_job(self):
        logs = self.server.boto3("logs")
        job, open_gate = self.gated("talker", "echo before; GATE; echo hello; echo other; echo hello again")
        wait_until(lambda: "before" in sum(lines_by_stream(logs, logStreamNamePrefix="talker/").values(), []),
                   "the job runs")
        arn = logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"][0]["arn"].removesuffix(":*")
        events = self.live_tail(logGroupIdentifiers=[arn], logStreamNamePrefixes=["talker/"],
                                logEventFilterPattern="hello")
        self.assertEqual(next(events), ("initial-response", {}))
        kind, start = next(events)
        self.assertEqual((kind, start["logGroupIdentifiers"], start["logEventFilterPattern"]),
                         ("sessionStart", [arn], "hello"))
        kind, update = next(events)
        self.assertEqual((kind, update), ("sessionUpdate",
                                          {"sessionMetadata": {"sampled": False}, "sessionResults": []}))
        open_gate()
        seen = []
        while len(seen) < 2:
            seen += next(events)[1]["sessionResults"]
        self.assertEqual([event["message"] for event in seen], ["hello", "hello again"])
        self.assertEqual(seen[0]["logStreamName"], stream_of(wait_for_job(self.batch, job)))
        self.assertEqual(seen[0]["logGroupIdentifier"], arn)
        events.close()

    def test_the_cli_tails_with_a_pattern(self):
        self.submit("json", """echo '{"level": "warn", "n": 1}'; echo '{"level": "info", "n": 2}'; echo plain""")
        logs = self.server.boto3("logs")
        wait_until(lambda: "plain" in sum(lines_by_stream(logs, logStreamNamePrefix="json/").values(), []), "printed")
        shown = self.server.aws("logs", "tail", GROUP, "--log-stream-name-prefix", "json/", "--format", "short",
                                "--filter-pattern", '{ $.level = "warn" && $.n < 2 }').stdout
        self.assertEqual(shown.strip().split(" ", 1)[1], '{"level": "warn", "n": 1}')

    def test_every_line_of_many_jobs_once_and_in_order(self):
        job = self.submit("many", "seq 100", arrayProperties={"size": 300})
        self.assertEqual(wait_for_job(self.batch, job, seconds=200)["status"], "SUCCEEDED")
        lines = lines_by_stream(self.server.boto3("logs"), logStreamNamePrefix="many/")
        wanted = [str(n) for n in range(1, 101)]
        self.assertEqual((len(lines), [s for s, seen in lines.items() if seen != wanted]), (300, []))

    def assert_counts_up(self, lines, total=None):
        """1, 2, 3 … without a gap, none twice; up to `total`."""
        self.assertEqual(lines, [str(n) for n in range(1, len(lines) + 1)])
        if total is not None:
            self.assertEqual(len(lines), total)

    def test_killing_the_engine_loses_no_line(self):
        job = self.submit("steady", "n=0; while [ $n -lt 30000 ]; do n=$((n+1)); echo $n; done; sleep 0.2",
                          arrayProperties={"size": 4})
        logs = self.server.boto3("logs")
        for wanted in (1, 5000, 10000):
            wait_until(lambda: sum(map(len, lines_by_stream(logs, logStreamNamePrefix="steady/").values())) > wanted,
                       "the jobs print")
            seen = lines_by_stream(logs, logStreamNamePrefix="steady/")
            self.server.kill()
            self.server.start()
            type(self).batch, logs = self.server.boto3("batch"), self.server.boto3("logs")
            after = lines_by_stream(logs, logStreamNamePrefix="steady/")
            for stream, lines in seen.items():
                self.assert_counts_up(after[stream])
                self.assertGreaterEqual(len(after[stream]), len(lines))
        self.assertEqual(wait_for_job(self.batch, job, seconds=200)["status"], "SUCCEEDED")
        lines = lines_by_stream(logs, logStreamNamePrefix="steady/")
        self.assertEqual(len(lines), 4)
        for each in lines.values():
            self.assert_counts_up(each, 30000)

    def test_killing_the_runner_loses_nothing_that_was_seen(self):
        """What a reader saw, and all that ended jobs printed, is there after kill -9 of runner and engine."""
        logs = self.server.boto3("logs")
        ended = [self.submit(f"ended{i}", "seq 1000") for i in range(3)]
        for job in ended:
            self.assertEqual(wait_for_job(self.batch, job)["status"], "SUCCEEDED")
        running = self.submit("running", "n=0; while :; do n=$((n+1)); echo $n; "
                                         "[ $((n % 200)) -gt 0 ] || sleep 0.01; done",
                              retryStrategy={"attempts": 1})
        seen = []
        wait_until(lambda: len(seen) > 2000 or seen.extend(
            sum(lines_by_stream(logs, logStreamNamePrefix="running/", limit=10000).values(), [])[len(seen):]),
            "the job prints")
        os.kill(self.server.runner_pid(), signal.SIGKILL)
        self.server.kill()
        self.server.start()
        type(self).batch, logs = self.server.boto3("batch"), self.server.boto3("logs")
        self.assertEqual(wait_for_job(self.batch, running)["status"], "FAILED")
        (after,) = lines_by_stream(logs, logStreamNamePrefix="running/").values()
        self.assert_counts_up(after)
        self.assertGreaterEqual(len(after), len(seen))
        for i in range(3):
            (lines,) = lines_by_stream(logs, logStreamNamePrefix=f"ended{i}/").values()
            self.assert_counts_up(lines, 1000)


if __name__ == "__main__":
    unittest.main(verbosity=2)
