"""Without this: `millrace copy` loses objects, deletes what it should not, or says that it did what it did not."""

import csv
import fcntl
import json
import os
import pty
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from batch_setup import make_definition, make_queue, wait_for_job  # noqa: E402
from meddling_proxy import MeddlingProxy, error  # noqa: E402
from millrace_server import MillraceServer, wait_until  # noqa: E402

AWKWARD = ["a", "b c+d", "/e", "../f", "./g/.", "h//i", "ключ/ß", "#1?x=y", "%41", "&<>'\"", "trailing/", "tab\tline\nreturn\r", "k" * 500,
           "~", "[x]*?", "\U0001f600", "=", "a/b", "a-b", "a.b"]


class Copy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(MillraceServer())
        cls.s3 = cls.server.boto3("s3")

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="millrace-copy-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        name = "t-" + self.id().rsplit(".", 1)[1].replace("_", "-").lower()[:48].strip("-")
        self.a, self.b = name + "-a", name + "-b"
        for bucket in (self.a, self.b):
            self.s3.create_bucket(Bucket=bucket)

    def command(self, *words):
        return [self.server.binary, "copy", "--quiet", *words]

    def environment(self, endpoint=None, **variables):
        environment = {**self.server.environment, "XDG_STATE_HOME": self.folder + "/state", **variables}
        if endpoint:
            environment["AWS_ENDPOINT_URL"] = endpoint
        return environment

    def copy(self, *words, code=0, endpoint=None, **variables):
        """Runs it; gives the JSON result."""
        done = subprocess.run(self.command(*words), env=self.environment(endpoint, **variables), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=180)
        self.assertEqual(done.returncode, code, done.stdout[-2000:] + done.stderr[-2000:])
        self.stderr, lines = done.stderr, done.stdout.splitlines()
        result = json.loads(lines[-1]) if lines and lines[-1].startswith('{"job"') else None
        if result:
            self.assertEqual(result["exit_code"], code)
        return result

    def put(self, bucket, key, body=b"x", **more):
        self.s3.put_object(Bucket=bucket, Key=key, Body=body, **more)

    def keys(self, bucket, prefix=""):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [o["Key"] for page in pages for o in page.get("Contents", [])]

    def body(self, bucket, key):
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def csv(self, text, name="list.csv"):
        path = f"{self.folder}/{name}"
        with open(path, "wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
        return path

    def report(self, name="report.csv"):
        with open(f"{self.folder}/{name}", newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    # Without this keys are read as paths or URLs, and other objects are copied than those that were named.
    def test_every_key_arrives_as_it_is_with_one_request_each(self):
        for key in AWKWARD:
            self.put(self.a, "x/" + key, key.encode())
        self.put(self.a, "x/marker/", b"")
        self.put(self.a, "xy", b"not below x/")
        with MeddlingProxy(self.server.endpoint) as proxy:
            result = self.copy(f"s3://{self.a}/x", f"s3://{self.b}/y", endpoint=proxy.endpoint)
            self.assertEqual(len(proxy.copies()), len(AWKWARD))
            self.assertLessEqual(result["counts"]["requests"], len(AWKWARD) + 4)
        self.assertEqual(result["counts"]["copied"], len(AWKWARD))
        self.assertEqual(self.keys(self.b), sorted(("y/" + key for key in AWKWARD), key=str.encode))
        for key in AWKWARD:
            self.assertEqual(self.body(self.b, "y/" + key), key.encode())
        result = self.copy(f"s3://{self.a}/x/", f"s3://{self.b}/y/", "--delete")
        self.assertEqual((result["counts"]["copied"], result["counts"]["skipped"], result["counts"]["requests"]), (0, len(AWKWARD), 2))
        self.copy(f"s3://{self.a}/x/", f"s3://{self.b}/y/", "--markers")
        self.assertIn("y/marker/", self.keys(self.b))

    # Without this metadata and tags are there or not depending on how large an object is.
    def test_everything_is_kept_on_both_sides_of_the_multipart_line(self):
        for key, size in (("small", 10), ("large", 7 << 20)):
            self.put(self.a, "x/" + key, b"d" * size, ContentType="text/x-y", CacheControl="no-cache", ContentLanguage="de",
                     ContentEncoding="gzip", Metadata={"who": "me", "note": "a b"}, Tagging="one=1&two=a%20b", StorageClass="STANDARD_IA",
                     ServerSideEncryption="AES256")
        result = self.copy(f"s3://{self.a}/x/", f"s3://{self.b}/y/", "--multipart-threshold", "5M", "--verify", "--keep-encryption",
                           "--report", self.folder + "/report.csv")
        self.assertEqual(result["counts"]["copied"], 2)
        for key in ("small", "large"):
            with self.subTest(key):
                head = self.s3.head_object(Bucket=self.b, Key="y/" + key)
                self.assertEqual((head["ContentType"], head["CacheControl"], head["ContentLanguage"], head["ContentEncoding"], head["StorageClass"]),
                                 ("text/x-y", "no-cache", "de", "gzip", "STANDARD_IA"))
                self.assertEqual((head["Metadata"], head.get("ServerSideEncryption")), ({"who": "me", "note": "a b"}, "AES256"))
                tags = self.s3.get_object_tagging(Bucket=self.b, Key="y/" + key)["TagSet"]
                self.assertEqual({tag["Key"]: tag["Value"] for tag in tags}, {"one": "1", "two": "a b"})
        self.assertEqual(self.s3.head_object(Bucket=self.b, Key="y/large")["ETag"][-3:], '-2"', "it went in parts")
        lines = {line["source"].rsplit("/", 1)[1]: line for line in self.report() if line["action"] == "copied"}
        self.assertIn("verified by etag", lines["small"]["reason"])
        self.assertIn("verified by ", lines["large"]["reason"])
        self.assertNotEqual(lines["large"]["checksum"], "")

    # Without this the comparison is another one than that of `aws s3 sync`, or content that differs is never seen.
    def test_comparison(self):
        self.put(self.a, "x/same", b"11")
        self.put(self.b, "y/same", b"22")  # newer, same size, other content
        self.put(self.b, "y/older", b"33")
        self.put(self.b, "y/longer", b"444")
        self.put(self.a, "x/longer", b"4444")
        wait_until(lambda: self.put(self.a, "x/older", b"55") or self.s3.head_object(Bucket=self.a, Key="x/older")["LastModified"] >
                   self.s3.head_object(Bucket=self.b, Key="y/older")["LastModified"], "a later second")
        where = (f"s3://{self.a}/x/", f"s3://{self.b}/y/")
        self.assertEqual(self.copy(*where, "--size-only", "--dry-run")["counts"]["would_copy"], 1)
        self.assertEqual(self.copy(*where, "--dry-run")["counts"]["would_copy"], 2)
        self.assertEqual(self.copy(*where, "--checksum", "--dry-run")["counts"]["would_copy"], 3)
        self.assertEqual(self.body(self.b, "y/older"), b"33", "a dry run changes nothing")
        self.assertEqual(self.copy(*where)["counts"]["copied"], 2)
        self.assertEqual(self.body(self.b, "y/same"), b"22")
        self.assertEqual(self.copy(*where, "--checksum")["counts"]["copied"], 1)
        self.assertEqual(self.body(self.b, "y/same"), b"11")
        # In parts and at once: other ETags, the same checksum of the whole.
        self.put(self.a, "x/parts", b"p" * (6 << 20))
        self.copy(*where, "--multipart-threshold", "5M")
        self.assertEqual(self.copy(*where, "--checksum")["counts"]["skipped"], 4)

    # Without this a typing mistake empties a bucket.
    def test_what_may_be_deleted(self):
        where = (f"s3://{self.a}/x/", f"s3://{self.b}/y/", "--delete")
        for i in range(30):
            self.put(self.b, f"y/extra-{i}")
        self.put(self.b, "y/keep.log")
        self.put(self.b, "y/marker/", b"")
        self.put(self.b, "yes", b"beside the prefix")
        everything = self.keys(self.b)
        result = self.copy(f"s3://{self.a}/wrong/", f"s3://{self.b}/y/", "--delete", code=1)
        self.assertEqual(result["failed"][0]["code"], "NoSuchPrefix")
        self.copy(f"s3://{self.a}/wrong/", f"s3://{self.b}/y/", "--resume", code=1)
        self.put(self.a, "x/empty/", b"")
        self.assertEqual(self.copy(*where, code=1)["failed"][0]["code"], "EmptySource")
        self.put(self.a, "x/one")
        result = self.copy(*where, "--max-delete", "29", code=3)
        self.assertEqual(result["failed"][0]["code"], "TooManyDeletes")
        self.assertEqual(self.keys(self.b), sorted([*everything, "y/one"], key=str.encode))
        self.assertEqual(self.copy(*where, "--dry-run", "--exclude", "*.log")["counts"]["would_delete"], 30)
        self.copy(*where, "--max-delete", "50%", "--exclude", "*.log", code=3)
        with MeddlingProxy(self.server.endpoint) as proxy:
            result = self.copy(*where, "--exclude", "*.log", endpoint=proxy.endpoint)
            self.assertEqual(len([r for r in proxy.requests if "delete" in r.query]), 1, "one request for all")
        self.assertEqual(result["counts"]["deleted"], 30)
        self.assertEqual(self.keys(self.b), ["y/keep.log", "y/marker/", "y/one", "yes"])
        self.s3.delete_object(Bucket=self.a, Key="x/one")
        self.copy(*where, "--allow-empty-source")
        self.assertEqual(self.keys(self.b), ["y/marker/", "yes"])

    # Without this a source that may not be listed looks empty, and everything at the destination goes.
    def test_what_cannot_be_read_deletes_nothing(self):
        self.put(self.a, "x/one")
        self.put(self.a, "x/two", b"22")
        self.put(self.b, "y/extra")
        where = (f"s3://{self.a}/x/", f"s3://{self.b}/y/", "--delete")
        for what, answer, code in ((lambda r: r.is_list and r.path == f"/{self.a}", error(403, "AccessDenied"), 1),
                                   (lambda r: r.is_list and r.path == f"/{self.b}", error(403, "AccessDenied"), 1),
                                   (lambda r: r.is_copy and r.path.endswith("two"), error(403, "AccessDenied"), 3),
                                   (lambda r: r.is_list, (200, b"<html>a portal</html>"), 1),
                                   (lambda r: r.is_list, (200, b""), 1)):
            with self.subTest(answer=answer), MeddlingProxy(self.server.endpoint, lambda r: answer if what(r) else None) as proxy:
                result = self.copy(*where, "--acl", "none", code=code, endpoint=proxy.endpoint)
                self.assertNotEqual(result["failed"], [])
                self.assertIn("y/extra", self.keys(self.b))
        self.copy(*where)
        self.assertEqual(self.keys(self.b), ["y/one", "y/two"])

    # Without this one bad row stops thousands, or is passed over; and the original's job definitions do not work.
    def test_lists(self):
        for key in ("p/1", "p/2", "q/3", "one", "deep/er/4"):
            self.put(self.a, key, key.encode())
        self.put(self.b, "p/extra")
        rows = (f"\ufeffsource,destination,delete\r\n s3://{self.a}/p/ , s3://{self.b}/p/,true\r\n\r\n# comment\r\n"
                f"s3://{self.a}/missing/,s3://{self.b}/m/\r\nnonsense\r\ns3://{self.a}/one,s3://{self.b}/copies/\r\n"
                f"s3://{self.a}/deep,s3://{self.b}/d\r\ns3://{self.a}/q/,s3://{self.a}/q/below/\r\n")
        result = self.copy("--manifest", self.csv(rows), "--report", self.folder + "/report.csv", code=3)
        self.assertEqual(self.keys(self.b), ["copies/one", "d/er/4", "p/1", "p/2"])
        self.assertEqual({(f["item"].split(":")[0], f["code"]) for f in result["failed"]},
                         {("row 5", "NoSuchPrefix"), ("row 6", "BadRow"), ("row 9", "Overlap")})
        self.assertEqual((result["counts"]["rows"], result["counts"]["rows_done"], result["counts"]["rows_failed"]), (6, 3, 3))
        rows = {line["row"]: line["action"] for line in self.report() if line["action"].startswith("row-")}
        self.assertEqual(rows, {"2": "row-done", "5": "row-failed", "6": "row-failed", "7": "row-done", "8": "row-done", "9": "row-failed"})

    def test_the_four_words_of_the_original(self):
        self.put(self.a, "x/1")
        self.put(self.b, "y/extra")
        self.put(self.a, "list.csv", f"from,to\ns3://{self.a}/x/,s3://{self.b}/y/,further,columns\n".encode())
        with MeddlingProxy(self.server.endpoint) as proxy:
            self.copy(self.a, "list.csv", "TRUE", "false", endpoint=proxy.endpoint)
            self.assertEqual({r.headers.get("x-amz-acl") for r in proxy.copies()}, {"bucket-owner-full-control"})
        self.assertEqual(self.keys(self.b), ["y/1", "y/extra"])
        self.copy(self.a, "list.csv", "True", "True")
        self.assertEqual(self.keys(self.b), ["y/1"])
        self.copy(self.a, "list.csv", "yes", "True", code=2)
        self.copy(self.a, "list.csv", "True", code=1)
        self.copy(self.a, "list.csv", "True", "True", "True", code=1)
        self.copy(self.a, "missing.csv", "True", "True", code=1)
        self.copy(code=2)

    # Without this a busy server ends the job, or the job makes it busier.
    def test_a_storm_of_503_and_dropped_connections(self):
        keys = [f"x/{i:04}" for i in range(300)]
        for key in keys:
            self.put(self.a, key, key.encode())
        chance = random.Random(1)
        lock = threading.Lock()

        def meddle(request):
            with lock:
                luck = chance.random()
            return error(503, "SlowDown") if luck < 0.3 else "drop" if luck < 0.34 else None

        with MeddlingProxy(self.server.endpoint, meddle) as proxy:
            result = self.copy(f"s3://{self.a}/x/", f"s3://{self.b}/x/", endpoint=proxy.endpoint)
        self.assertEqual(result["counts"]["copied"], 300)
        self.assertGreater(result["counts"]["throttled"], 50)
        self.assertEqual(self.keys(self.b), keys)

    # Without this a job whose server is gone hangs for hours, or ends as if all were well.
    def test_a_server_that_dies(self):
        keys = [f"x/{i:04}" for i in range(600)]
        self.fill(self.a, keys)
        words = (f"s3://{self.a}/x/", f"s3://{self.b}/x/", "--concurrency", "16", "--report", self.folder + "/report.csv")
        with MeddlingProxy(self.server.endpoint) as proxy:
            proxy.meddle = lambda request: "drop" if len(proxy.copies()) > 150 else None
            result = self.copy(*words, endpoint=proxy.endpoint, code=3)
            self.assertGreater(result["counts"]["copied"], 100)
            self.assertGreater(result["counts"]["failed"], 0)
            self.assertEqual(result["counts"]["rows_done"], 0)
            self.assertEqual({f["code"] for f in result["failed"] if " to " not in f["item"]}, {"Unavailable"})
            proxy.meddle = lambda request: None
            self.copy(*words, "--resume", endpoint=proxy.endpoint)
        self.assertEqual(self.keys(self.b), keys)

    # Without this half of an old and half of a new object is a copy, or a removed object a failure.
    def test_objects_that_change_or_go_while_they_are_copied(self):
        for key in ("change", "gone", "stays"):
            self.put(self.a, "x/" + key, b"old")
        done = set()

        def meddle(request):
            if request.is_copy and request.path.endswith("change") and "change" not in done:
                done.add("change")
                self.put(self.a, "x/change", b"newer")
            if request.is_copy and request.path.endswith("gone") and "gone" not in done:
                done.add("gone")
                self.s3.delete_object(Bucket=self.a, Key="x/gone")

        with MeddlingProxy(self.server.endpoint, meddle) as proxy:
            result = self.copy(f"s3://{self.a}/x/", f"s3://{self.b}/y/", "--report", self.folder + "/report.csv", endpoint=proxy.endpoint)
        self.assertEqual((result["counts"]["copied"], result["counts"]["vanished"]), (2, 1))
        self.assertEqual(self.body(self.b, "y/change"), b"newer")
        self.assertEqual(self.keys(self.b), ["y/change", "y/stays"])
        self.assertIn("vanished", {line["action"] for line in self.report()})

        def always(request):
            if request.is_copy:
                self.put(self.a, "x/change", str(random.random()).encode())

        with MeddlingProxy(self.server.endpoint, always) as proxy:
            self.put(self.a, "x/change", b"longer than before")
            result = self.copy(f"s3://{self.a}/x/", f"s3://{self.b}/y/", endpoint=proxy.endpoint, code=3)
        self.assertEqual(result["failed"][0]["code"], "PreconditionFailed")

    # Without this an archived object is missing at the destination and nobody knows.
    def test_archived_objects_are_named(self):
        self.put(self.a, "x/cold", b"1", StorageClass="DEEP_ARCHIVE")
        self.put(self.a, "x/warm", b"1", StorageClass="GLACIER_IR")
        self.put(self.b, "y/extra")
        result = self.copy(f"s3://{self.a}/x/", f"s3://{self.b}/y/", "--delete", code=3)
        self.assertEqual([(f["item"], f["code"]) for f in result["failed"]][0], (f"s3://{self.a}/x/cold", "InvalidObjectState"))
        self.assertEqual(self.keys(self.b), ["y/extra", "y/warm"])
        self.assertEqual(self.s3.head_object(Bucket=self.b, Key="y/warm")["StorageClass"], "GLACIER_IR")

    # Without this a run that was killed begins from nothing, or leaves out what was under way.
    def test_killed_runs_go_on(self):
        keys = [f"x/{i:05}" for i in range(3000)]
        self.fill(self.a, keys)
        words = (f"s3://{self.a}/x/", f"s3://{self.b}/x/", "--journal", self.folder + "/j", "--resume", "--max-requests-per-second", "800")
        marks = []
        with MeddlingProxy(self.server.endpoint) as proxy:
            for kill_at in (1200, 2200):
                reached = threading.Event()
                proxy.meddle = lambda r: reached.set() if len(proxy.copies()) >= kill_at else None
                process = subprocess.Popen(self.command(*words), env=self.environment(proxy.endpoint), stdout=subprocess.DEVNULL,
                                           stderr=subprocess.DEVNULL)
                self.assertTrue(reached.wait(60))
                process.kill()
                process.wait()
                with open(self.folder + "/j", encoding="utf-8") as file:
                    marks.append(json.loads(file.read().splitlines()[1])["ranges"][0]["after"])
            self.assertLess(len(self.keys(self.b)), len(keys))
            self.assertGreater(marks[0], "00100")
            self.assertGreater(marks[1], marks[0])
            self.copy(*words, "--delete", code=2, endpoint=proxy.endpoint)
            listed = len(proxy.lists())
            self.copy(*words, endpoint=proxy.endpoint)
            self.assertEqual({r.query.get("start-after") for r in proxy.lists()[listed:] if "continuation-token" not in r.query}, {"x/" + marks[1]})
            self.assertLess(len(proxy.copies()), len(keys) + 2 * 64 + 1, "only what was in flight is copied again")
        self.assertEqual(self.keys(self.b), keys)
        self.assertFalse(os.path.exists(self.folder + "/j"), "the next run begins anew")

    def run_until(self, proxy, words, is_enough, signal_number=signal.SIGKILL, then="drop"):
        """Runs a copy, and kills it when a request is enough; `then` is what becomes of that request."""
        begin, reached, dead = len(proxy.requests), threading.Event(), threading.Event()

        def meddle(request):
            if not dead.is_set() and (reached.is_set() or is_enough(proxy.requests[begin:])):
                reached.set()
                dead.wait(60)
                return then
            return None

        proxy.meddle = meddle
        process = subprocess.Popen(self.command(*words), env=self.environment(proxy.endpoint), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.assertTrue(reached.wait(60))
            process.send_signal(signal_number)
            if signal_number == signal.SIGKILL:
                process.wait(60)
        finally:
            dead.set()
            process.wait(60)
        proxy.meddle = lambda request: None

    def uploads(self, bucket):
        return [u["UploadId"] for u in self.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]

    # Without this each killed run leaves parts in the bucket that nobody sees and somebody pays for.
    def test_killed_uploads_go_on_and_leave_nothing(self):
        content = os.urandom(42 << 20)
        os.mkdir(self.folder + "/source")
        path = self.folder + "/source/large file"
        with open(path, "wb") as file:
            file.write(content)
        self.copy(self.folder + "/source", f"s3://{self.a}/x/")
        parts = lambda requests: [r for r in requests if r.method == "PUT" and "partNumber" in r.query]  # noqa: E731
        journal = ("--journal", self.folder + "/j")
        with MeddlingProxy(self.server.endpoint) as proxy:
            for name, words in (("upload", (self.folder + "/source", f"s3://{self.b}/upload/")),
                                ("copy", (f"s3://{self.a}/x/", f"s3://{self.b}/copy/", "--multipart-threshold", "5M")),
                                ("stream", (f"s3://{self.a}/x/", f"s3://{self.b}/stream/", "--source-endpoint", self.server.endpoint)),
                                ("one", (path, f"s3://{self.b}/one/"))):
                with self.subTest(name):
                    self.run_until(proxy, (*words, *journal), lambda requests: len(parts(requests)) > 5 if name == "copy" else len(parts(requests)) > 4)
                    wait_until(lambda: len(self.uploads(self.b)) == 1, "the upload is there, with what was on its way")
                    upload = self.uploads(self.b)[0]
                    there = lambda: len(self.s3.list_parts(Bucket=self.b, Key=name + "/large file", UploadId=upload).get("Parts", []))  # noqa: E731
                    wait_until(lambda: there() >= 1, "parts are there")
                    begin = len(proxy.requests)
                    self.assertEqual(self.copy(*words, *journal, "--resume", endpoint=proxy.endpoint)["counts"]["copied"], 1)
                    sent = parts(proxy.requests[begin:])
                    self.assertEqual({r.query["uploadId"] for r in sent}, {upload}, "the same upload goes on")
                    self.assertLess(len(sent), 9 if name == "copy" else 6)
                    self.assertEqual(self.body(self.b, name + "/large file"), content)
                    self.assertEqual(self.uploads(self.b), [])
            with self.subTest("the source is another one meanwhile"):
                words = (f"s3://{self.a}/x/", f"s3://{self.b}/changed/", "--multipart-threshold", "5M", *journal)
                self.run_until(proxy, words, lambda requests: len(parts(requests)) > 3)
                self.put(self.a, "x/large file", content[:20 << 20])
                self.copy(*words, "--resume")
                self.assertEqual((self.body(self.b, "changed/large file") == content[:20 << 20], self.uploads(self.b)), (True, []))
            with self.subTest("the source is gone, and the run begins anew"):
                words = (f"s3://{self.a}/x/", f"s3://{self.b}/gone/", "--multipart-threshold", "5M", *journal)
                self.run_until(proxy, words, lambda requests: len(parts(requests)) > 2)
                self.assertEqual(len(self.uploads(self.b)), 1)
                self.s3.delete_object(Bucket=self.a, Key="x/large file")
                self.put(self.a, "x/small")
                self.copy(*words)
                self.assertEqual(self.uploads(self.b), [])
            words = (path, f"s3://{self.b}/", *journal)
            with self.subTest("killed before the upload had a name"):
                self.run_until(proxy, words, lambda requests: any("uploads" in r.query for r in requests), then=None)
                wait_until(lambda: len(self.uploads(self.b)) == 1, "the server made it all the same")
                self.copy(path, f"s3://{self.b}/elsewhere", *journal, code=2)
                self.copy(*words, "--resume")
                self.assertEqual((self.body(self.b, "large file") == content, self.uploads(self.b)), (True, []))
            with self.subTest("stopped, without a journal"):
                self.s3.delete_object(Bucket=self.b, Key="large file")
                self.run_until(proxy, (path, f"s3://{self.b}/", "--journal", "none"), lambda requests: len(parts(requests)) > 2, signal.SIGTERM)
                self.assertEqual((self.keys(self.b, "large"), self.uploads(self.b)), ([], []))

    # Without this each killed run leaves a hidden file, as large as the object was.
    def test_killed_downloads_leave_nothing(self):
        self.put(self.a, "x/deep/large", b"d" * (40 << 20))
        self.put(self.a, "x/small", b"s")
        target = self.folder + "/target"
        hidden = lambda folder: [name for name in os.listdir(folder) if name.startswith(".")]  # noqa: E731
        for words, folder, done in (((f"s3://{self.a}/x/", target), target + "/deep", target + "/deep/large"),
                                    ((f"s3://{self.a}/x/deep/large", self.folder + "/one/"), self.folder + "/one", self.folder + "/one/large")):
            with MeddlingProxy(self.server.endpoint) as proxy:
                self.run_until(proxy, words, lambda requests: len([r for r in requests if "range" in r.headers]) > 4)
                self.assertEqual(len(hidden(folder)), 1)
                self.copy(*words, "--dry-run")
                self.assertEqual(len(hidden(folder)), 1)
                reached, go_on = threading.Event(), threading.Event()
                proxy.meddle = lambda r: (reached.set(), go_on.wait(60))[2:] or None if "range" in r.headers else None
                process = subprocess.Popen(self.command(*words, "--resume"), env=self.environment(proxy.endpoint), stdout=subprocess.DEVNULL)
                self.assertTrue(reached.wait(60))
                self.assertEqual(len(hidden(folder)), 1, "that of the killed run is gone, this one has its own")
                self.copy(words[0], folder if folder.endswith("one") else target, "--exclude", "*", "--journal", "none")
                self.assertEqual(len(hidden(folder)), 1, "what is being written stays")
                go_on.set()
                self.assertEqual(process.wait(60), 0)
                self.assertEqual((hidden(folder), os.path.getsize(done)), ([], 40 << 20))

    # Without this what failed is forgotten by the run that goes on.
    def test_failed_runs_go_on(self):
        keys = [f"x/{i:03}" for i in range(50)]
        self.fill(self.a, keys)
        self.put(self.a, "z")
        rows = self.csv(f"s3://{self.a}/x/,s3://{self.b}/x/\ns3://{self.a}/z,s3://{self.b}/z\n")
        report = ("--report", self.folder + "/report.csv")
        with MeddlingProxy(self.server.endpoint, lambda r: error(403, "AccessDenied") if r.is_copy and r.path[-2:] in ("07", "31") else None) as proxy:
            result = self.copy("--manifest", rows, *report, endpoint=proxy.endpoint, code=3)
            self.assertEqual((result["counts"]["copied"], result["counts"]["failed"], result["counts"]["rows_done"]), (49, 2, 1))
        with MeddlingProxy(self.server.endpoint) as proxy:
            result = self.copy("--manifest", rows, "--resume", *report, endpoint=proxy.endpoint)
            self.assertEqual((len(proxy.copies()), len(proxy.lists())), (2, 0))
            self.assertEqual((result["counts"]["copied"], result["counts"]["rows_done_before"]), (2, 1))
        self.assertEqual(self.keys(self.b), [*keys, "z"])
        self.assertEqual(len([line for line in self.report() if line["action"] == "copied"]), 51, "the report goes on, too")

    # Without this Batch's SIGTERM loses what was done, or is called a success.
    def test_stopped_runs_end_soon_and_go_on(self):
        keys = [f"x/{i:04}" for i in range(1500)]
        self.fill(self.a, keys)
        with MeddlingProxy(self.server.endpoint) as proxy:
            reached = threading.Event()
            proxy.meddle = lambda r: reached.set() if len(proxy.copies()) >= 200 else None
            process = subprocess.Popen(self.command(f"s3://{self.a}/x/", f"s3://{self.b}/x/", "--max-requests-per-second", "300"),
                                       env=self.environment(proxy.endpoint), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.assertTrue(reached.wait(60))
            process.send_signal(signal.SIGTERM)
            output, errors = process.communicate(timeout=20)
            self.assertEqual(process.returncode, 1, errors)
            result = json.loads(output.splitlines()[-1])
            self.assertIn("interrupted", result["error"])
            self.assertLess(result["counts"]["copied"], 1500)
            self.copy(f"s3://{self.a}/x/", f"s3://{self.b}/x/", "--resume", endpoint=proxy.endpoint)
            self.assertLess(len(proxy.copies()), 1500 + 65)
        self.assertEqual(self.keys(self.b), keys)

    # Without this array jobs copy things twice, or none of them copies some.
    def test_shards_share_rows_and_keys(self):
        keys = [f"x/{i:03}" for i in range(200)]
        self.fill(self.a, keys)
        self.put(self.b, "x/extra-1")
        self.put(self.b, "x/extra-2")
        with MeddlingProxy(self.server.endpoint) as proxy:
            counts = [self.copy(f"s3://{self.a}/x/", f"s3://{self.b}/x/", endpoint=proxy.endpoint,
                                AWS_BATCH_JOB_ARRAY_INDEX=str(i), AWS_BATCH_JOB_ARRAY_SIZE="3")["counts"] for i in range(3)]
            self.assertEqual(sorted(r.path for r in proxy.copies()), [f"/{self.b}/{key}" for key in keys])
        self.assertEqual(sum(c["copied"] for c in counts), 200)
        self.assertGreater(min(c["copied"] for c in counts), 30)
        self.s3.delete_object(Bucket=self.b, Key=keys[3])
        counts = [self.copy(f"s3://{self.a}/x/", f"s3://{self.b}/x/", "--delete", "--shard", f"{i}/3")["counts"] for i in range(3)]
        self.assertEqual([(c["copied"], c["deleted"]) for c in counts], [(1, 2), (0, 0), (0, 0)],
                         "one shard copies and deletes all of a row: nothing goes before everything was copied")
        self.assertEqual(self.keys(self.b), keys)
        rows = self.csv("".join(f"s3://{self.a}/{key},s3://{self.b}/rows/{key}\n" for key in keys))
        counts = [self.copy("--manifest", rows, "--shard", f"{i}/4")["counts"] for i in range(4)]
        self.assertEqual([c["copied"] for c in counts], [50] * 4)
        self.assertEqual(len(self.keys(self.b, "rows/")), 200)

    # Without this each shard lists everything, and whoever wants to know what an array did reads a hundred reports.
    def test_shards_that_meet_somewhere(self):
        keys = [f"x/{i % 7}/shot-{i:04}.exr" for i in range(1300)]
        self.fill(self.a, keys)
        self.put(self.a, "y/one")
        self.put(self.b, "y/extra")
        os.mkdir(self.folder + "/nothing")
        rows = self.csv(f"source,destination,delete\ns3://{self.a}/x/,s3://{self.b}/x/,\ns3://{self.a}/y/,s3://{self.b}/y/,true\n"
                        f"s3://{self.a}/none/,s3://{self.b}/none/,\n")
        for place in (f"s3://{self.a}/run-{{array}}/", self.folder + "/run-{array}"):
            with self.subTest(place), MeddlingProxy(self.server.endpoint) as proxy:
                for i in (2, 0, 1):
                    begin = len(proxy.requests)
                    result = self.copy("--manifest", rows, "--share", place, endpoint=proxy.endpoint, code=3 if i == 2 else 0,
                                       AWS_BATCH_JOB_ID=f"j:{i}", AWS_BATCH_JOB_ARRAY_INDEX=str(i), AWS_BATCH_JOB_ARRAY_SIZE="3")
                    begun = [r.query.get("start-after") for r in proxy.requests[begin:]
                             if r.is_list and r.path == f"/{self.b}" and r.query["prefix"] == "x/" and "continuation-token" not in r.query]
                    self.assertEqual((None in begun, len(begun) in (2, 3)), (i == 0, True), f"each lists its own ranges only: {begun}")
                    self.assertGreater(result["counts"]["copied"], 1300 / 3 / 2.5, "about a third each")
                copies = [r.path for r in proxy.copies()]
                self.assertEqual(sorted(copies), sorted([f"/{self.b}/{key}" for key in keys] + [f"/{self.b}/y/one"]))
                if place.startswith("s3"):
                    read = lambda name: self.body(self.a, "run-j/" + name).decode()  # noqa: E731
                else:
                    read = lambda name: open(f"{self.folder}/run-j/{name}", encoding="utf-8").read()  # noqa: E731, SIM115
                merged = json.loads(read("result.json"))
                self.assertEqual({k: merged["counts"][k] for k in ("rows", "rows_done", "rows_failed", "copied", "deleted", "failed")},
                                 {"rows": 3, "rows_done": 2, "rows_failed": 1, "copied": 1301, "deleted": 1, "failed": 0})
                self.assertEqual(([f["code"] for f in merged["failed"]], merged["shards"]), (["NoSuchPrefix"], 3))
                report = list(csv.DictReader(read("report.csv").splitlines()))
                self.assertEqual(len([line for line in report if line["action"] == "copied"]), 1301)
                totals = {line["row"]: (line["action"], line["reason"].split(";")[0]) for line in report if line["action"].startswith("row-")}
                self.assertEqual(totals["2"], ("row-done", "1300 copied, 0 skipped, 0 deleted, 0 failed"))
                self.assertEqual(totals["4"][0], "row-failed")
                self.copy("--merge-shards", place, "--report", self.folder + "/again.csv", "--result", self.folder + "/again.json",
                          code=merged["exit_code"], AWS_BATCH_JOB_ID="j:9")
                self.assertEqual(len(self.report("again.csv")), len(report))
                other = self.csv(f"s3://{self.a}/y/,s3://{self.b}/z/\n", "other.csv")
                self.copy("--manifest", other, "--share", place, "--shard", "0/3", code=2, AWS_BATCH_JOB_ID="j")
            self.copy(self.folder + "/nothing", f"s3://{self.b}/", "--delete", "--allow-empty-source", "--max-delete", "100%")
            self.put(self.b, "y/extra")

    # Without this nobody knows whether a copy hangs, or how long it will take.
    def test_progress(self):
        self.fill(self.a, [f"x/{i:04}" for i in range(2000)])
        # Slow enough to be watched; ended as soon as everything was seen.
        words = [self.server.binary, "copy", f"s3://{self.a}/x/", f"s3://{self.b}/x/", "--max-requests-per-second", "30"]
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        process = subprocess.Popen(words, env=self.environment(), stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        shown, seen = "", None
        bar = re.compile(r"\r(\[[#.]{24}\] \d+ of about 2\d\d\d copied, (\d+ min )?\d+ s left, [\d.]+ \w+/s, \d+ obj)")
        while True:
            try:
                shown += os.read(ours, 65536).decode()
            except OSError:  # nobody holds the other end any more
                break
            if not seen and (seen := bar.search(shown)):
                process.terminate()
        os.close(ours)
        code = process.wait(60)
        self.assertTrue(seen, shown)
        self.assertEqual(code, 1)
        self.assertIn("\rlisting: ", shown)
        lines = shown.split("\r")
        self.assertLess(max(len(line.removesuffix("\x1b[K")) for line in lines if line.startswith(("[", "listing"))), 80,
                        "a line that wraps cannot be taken back")
        self.assertTrue(any(line.startswith("\x1b[Kmillrace copy: interrupted") for line in lines), "the bar is taken back")
        words[3] = f"s3://{self.b}/y/"
        process = subprocess.Popen(words, env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        with process.stderr:
            progress = json.loads(process.stderr.readline())["progress"]
            process.terminate()
            process.stderr.read()
        self.assertEqual(process.wait(60), 1)
        self.assertGreater(progress["done"], 10)
        self.assertGreater(progress["objects_per_second"], 5)

    # Without this an array job of Batch ends with as many reports as it has children.
    def test_an_array_job_leaves_one_result(self):
        keys = [f"x/{i:04}" for i in range(1100)]
        self.fill(self.a, keys)
        self.put(self.a, "list.csv", f"s3://{self.a}/x/,s3://{self.b}/x/\n".encode())
        batch = self.server.boto3("batch")
        queue = make_queue(batch)
        definition = make_definition(batch, ["millrace", "copy", "--quiet", "--manifest", f"s3://{self.a}/list.csv", "--resume",
                                             "--share", f"s3://{self.a}/runs/{{array}}/"], "copy-array")
        job = batch.submit_job(jobName="copy", jobQueue=queue, jobDefinition=definition, arrayProperties={"size": 4})["jobId"]
        self.assertEqual(wait_for_job(batch, job, seconds=120)["status"], "SUCCEEDED")
        self.assertEqual(self.keys(self.b), keys)
        result = json.loads(self.body(self.a, f"runs/{job}/result.json"))
        self.assertEqual((result["status"], result["counts"]["copied"], result["counts"]["rows_done"], result["shards"]), ("succeeded", 1100, 1, 4))
        report = list(csv.DictReader(self.body(self.a, f"runs/{job}/report.csv").decode().splitlines()))
        self.assertEqual([(r["action"], r["reason"]) for r in report if r["action"] != "copied"],
                         [("row-done", "1100 copied, 0 skipped, 0 deleted, 0 failed")])
        self.assertEqual(len(report), 1101)
        self.assertEqual([key for key in self.keys(self.a, "runs/") if key.endswith(".journal")], [])

    # Without this a download is written outside its folder, or a second run downloads everything again.
    def test_folders(self):
        source = self.folder + "/source"
        for name in ("a.txt", "a/b.json", "a-b", "deep/er/still/x", "ключ ß", "empty"):
            os.makedirs(os.path.dirname(f"{source}/{name}"), exist_ok=True)
            with open(f"{source}/{name}", "w", encoding="utf-8") as file:
                file.write("" if name == "empty" else name)
            os.utime(f"{source}/{name}", (1_700_000_000, 1_700_000_000.25))
        with open(source + "/large", "wb") as file:
            file.write(os.urandom(20 << 20))
        os.utime(source + "/large", (1_700_000_000, 1_700_000_001))
        os.symlink("/nowhere", source + "/dangling")
        result = self.copy(source, f"s3://{self.a}/x/", code=3)
        self.assertEqual((result["counts"]["copied"], result["failed"][0]["code"]), (7, "NotFound"))
        os.unlink(source + "/dangling")
        self.assertEqual(self.copy(source, f"s3://{self.a}/x/")["counts"]["copied"], 0)
        self.assertEqual(self.s3.head_object(Bucket=self.a, Key="x/a/b.json")["ContentType"], "application/json")
        target = self.folder + "/target/new"
        self.assertEqual(self.copy(f"s3://{self.a}/x/", target, "--verify")["counts"]["copied"], 7)
        subprocess.run(["diff", "-r", source, target], check=True)
        self.assertEqual(self.copy(f"s3://{self.a}/x/", target)["counts"]["skipped"], 7)
        with open(target + "/extra", "w", encoding="utf-8") as file:
            file.write("x")
        with open(target + "/a.txt", "w", encoding="utf-8") as file:
            file.write("A.TXT")  # newer than what it came from, of its size
        result = self.copy(f"s3://{self.a}/x/", target, "--delete")
        self.assertEqual((result["counts"]["copied"], result["counts"]["deleted"]), (1, 1))
        subprocess.run(["diff", "-r", source, target], check=True)
        self.assertEqual(self.copy(target, self.folder + "/third")["counts"]["copied"], 7)
        subprocess.run(["diff", "-r", source, self.folder + "/third"], check=True)
        self.copy(source + "/a.txt", f"s3://{self.b}/one")
        self.copy(f"s3://{self.b}/one", self.folder + "/")
        self.copy(f"s3://{self.b}/one", self.folder + "/two")
        for name in ("one", "two"):
            with open(f"{self.folder}/{name}", encoding="utf-8") as file:
                self.assertEqual(file.read(), "a.txt")

    def test_keys_that_are_no_files(self):
        for key in ("../escape", "a//b", "./c", "d/../../e", "/f", "folder", "folder/below", "t/", "long/" + "n" * 300, "fine"):
            self.put(self.a, "x/" + key, b"1")
        target = self.folder + "/deep/target"
        os.makedirs(target)
        os.symlink(self.folder, target + "/link")
        self.put(self.a, "x/link/outside", b"1")
        result = self.copy(f"s3://{self.a}/x/", target, "--delete", code=3)
        codes = {f["item"].split("/x/", 1)[1]: f["code"] for f in result["failed"] if "/x/" in f["item"] and " to " not in f["item"]}
        self.assertEqual(len(codes), 9, codes)
        self.assertEqual({k: codes[k] for k in ("../escape", "a//b", "d/../../e", "t/")}, dict.fromkeys(("../escape", "a//b", "d/../../e", "t/"), "UnsafeKey"))
        self.assertEqual(codes["link/outside"], "KeyCollision")
        self.assertEqual(len({"folder", "folder/below"} & set(codes)), 1, "one of both; which one is chance")
        self.assertEqual(sorted(os.listdir(self.folder)), ["deep"] + (["state"] if os.path.exists(self.folder + "/state") else []))
        self.assertTrue(os.path.exists(target + "/fine"))

    # Without this objects cannot move between two services or accounts.
    def test_between_two_services(self):
        with MillraceServer() as other:
            there = other.boto3("s3")
            there.create_bucket(Bucket="there")
            for key, size in (("small", 5), ("large", 20 << 20)):
                self.put(self.a, "x/" + key, os.urandom(size), Metadata={"m": "1"}, Tagging="t=1", ContentType="a/b", StorageClass="STANDARD_IA")
            config = self.csv(f"[here]\naws_access_key_id={self.server.environment['AWS_ACCESS_KEY_ID']}\naws_secret_access_key="
                              f"{self.server.environment['AWS_SECRET_ACCESS_KEY']}\n[there]\naws_access_key_id={other.environment['AWS_ACCESS_KEY_ID']}\n"
                              f"aws_secret_access_key={other.environment['AWS_SECRET_ACCESS_KEY']}\n", "credentials")
            where = (f"s3://{self.a}/x/", "s3://there/y/", "--source-profile", "here", "--destination-profile", "there", "--source-endpoint",
                     self.server.endpoint, "--destination-endpoint", other.endpoint)
            result = self.copy(*where, "--verify", AWS_SHARED_CREDENTIALS_FILE=config)
            self.assertEqual(result["counts"]["copied"], 2)
            for key in ("small", "large"):
                head = there.head_object(Bucket="there", Key="y/" + key)
                self.assertEqual((head["Metadata"], head["ContentType"], head["StorageClass"]), ({"m": "1"}, "a/b", "STANDARD_IA"))
                self.assertEqual(there.get_object_tagging(Bucket="there", Key="y/" + key)["TagSet"], [{"Key": "t", "Value": "1"}])
                self.assertEqual(there.get_object(Bucket="there", Key="y/" + key)["Body"].read(), self.body(self.a, "x/" + key))
            self.assertEqual(self.copy(*where, AWS_SHARED_CREDENTIALS_FILE=config)["counts"]["skipped"], 2)

    # Without this nobody can act on what happened.
    def test_reports_in_a_bucket_and_plans(self):
        self.put(self.a, "x/1", b"111")
        self.put(self.b, "y/extra")
        where = (f"s3://{self.a}/x/", f"s3://{self.b}/y/", "--delete")
        self.copy(*where, "--plan", self.folder + "/plan.jsonl")
        with open(self.folder + "/plan.jsonl", encoding="utf-8") as file:
            plan = [json.loads(line) for line in file]
        self.assertEqual([(p["action"], p["destination"]) for p in plan][:2], [("copy", f"s3://{self.b}/y/1"), ("delete", f"s3://{self.b}/y/extra")])
        self.assertEqual(self.keys(self.b), ["y/extra"])
        self.s3.put_bucket_versioning(Bucket=self.b, VersioningConfiguration={"Status": "Enabled"})
        self.copy(*where, "--report", f"s3://{self.a}/reports/{{job}}.jsonl", "--result", f"s3://{self.a}/reports/{{job}}-{{attempt}}.json",
                  AWS_BATCH_JOB_ID="j:3")
        lines = [json.loads(line) for line in self.body(self.a, "reports/j-3.jsonl").splitlines()]
        copied = next(line for line in lines if line["action"] == "copied")
        self.assertEqual((copied["bytes"], copied["reason"]), (3, "new"))
        self.assertEqual(copied["version"], self.s3.head_object(Bucket=self.b, Key="y/1")["VersionId"])
        self.assertEqual([line["action"] for line in lines], ["copied", "deleted", "row-done"])
        self.assertEqual(json.loads(self.body(self.a, "reports/j-3-1.json"))["counts"]["deleted"], 1)
        self.copy(*where, "--result", "s3://there-is-none/r.json", code=1)

    # Without this the example does not do what its README says.
    def test_the_example(self):
        example = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/copy")
        environment = {**self.server.environment, "AWS_CLI": self.server.aws_command()[0]}
        done = subprocess.run([example + "/set-up"], env=environment, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.put("copy-example-archive", "dragon/too-much.blend")
        self.server.aws("s3", "cp", example + "/list.csv", "s3://copy-example/input/s3_batch_sync_input-list.csv")
        batch = self.server.boto3("batch")
        jobs = wait_until(lambda: [j for status in ("SUCCEEDED", "FAILED") for j in batch.list_jobs(jobQueue="copy", jobStatus=status)["jobSummaryList"]],
                          "the job of the list ends")
        log = subprocess.run([self.server.binary, "jobs", "--data", self.server.data, jobs[0]["jobId"], "--log"], capture_output=True, text=True, timeout=60).stdout
        self.assertEqual([(j["jobName"], j["status"]) for j in jobs], [("s3-batch-sync-eventbridge-invoked-job", "SUCCEEDED")], log)
        self.assertEqual(self.keys("copy-example-archive"),
                         ["dragon/shot-010.blend", "dragon/shot-020.blend", "dragon/textures/scale.png", "readme.txt"])
        report = self.body("copy-example", f"reports/{jobs[0]['jobId']}-1.csv").decode().splitlines()
        self.assertEqual(sorted(line["action"] for line in csv.DictReader(report)), ["copied"] * 4 + ["deleted"] + ["row-done"] * 2)
        self.assertEqual(json.loads(self.body("copy-example", f"reports/{jobs[0]['jobId']}-1.json"))["counts"]["deleted"], 1)
        self.assertEqual(self.keys("copy-example", "state/"), [], "done: nothing to go on with")

    def fill(self, bucket, keys):
        """Many objects, faster than one after the other: uploaded by the program itself."""
        folder = tempfile.mkdtemp(dir=self.folder)
        for key in keys:
            os.makedirs(os.path.dirname(f"{folder}/{key}"), exist_ok=True)
            with open(f"{folder}/{key}", "w", encoding="utf-8") as file:
                file.write(key)
        self.copy(folder, f"s3://{bucket}/")
        shutil.rmtree(folder)


if __name__ == "__main__":
    unittest.main()
