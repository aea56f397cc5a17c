"""Without this: a report over thousands of repositories forgets some, counts some twice, or says that all is well when it is not."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from millrace_server import MillraceServer  # noqa: E402

BINARY = os.environ["MILLRACE_BINARY"]
LOCK = ["cloneUrl", "branch", "origin", "path", "team", "changeset", "publishUri", "row", "outcome", "step", "code", "reason", "build",
        "startedAt", "durationMs", "checkMs", "cloneMs", "buildMs", "snapshotMs", "inventoryMs", "publishMs", "attempts", "files",
        "treeBytes", "publishedBytes", "snapshotSha256", "logUri"]


def lock_row(row, outcome="published", minute=0, **more):
    values = {"cloneUrl": f"https://h/o/r{row}", "branch": "main", "origin": "h", "path": f"o/r{row}", "team": "t,\"x\"", "row": row,
              "outcome": outcome, "changeset": "%040x" % row, "startedAt": f"2026-11-22T10:{minute:02d}:00.000Z", "durationMs": 1500,
              "cloneMs": 900, "snapshotMs": 40, "attempts": 1, "files": 3, "treeBytes": 300, "publishedBytes": 2048 * row,
              "publishUri": f"s3://b/o/r{row}"}
    if outcome != "published":
        values.update(step="clone", code="network", reason="no\x1b[31m route <script>alert(1)</script>\nto host")
    values.update(more)
    return values


class Report(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="millrace-report-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.list = self.write("repos.csv", "cloneUrl,branch,origin,path,team\n" + "".join(
            f"https://h/o/r{i},,h,o/r{i},\"t,\"\"x\"\"\"\n" for i in range(1, 11)) + "https://h/o/r1,,h,o/r1,\"t,\"\"x\"\"\"\n")

    def write(self, name, content):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(content)
        return path

    def lock(self, name, rows):
        text = io.StringIO()
        writer = csv.DictWriter(text, LOCK, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return self.write(name, text.getvalue())

    def report(self, *words, code=0, **variables):
        done = subprocess.run([BINARY, "ingest", "report", *words], capture_output=True, text=True, timeout=120,
                              env={**os.environ, **variables})
        self.assertEqual(done.returncode, code, done.stdout[-3000:] + done.stderr[-2000:])
        self.stderr = done.stderr
        return done.stdout

    def partitions(self):
        self.lock("place/.ingest/runs/job-0/repos-lock-1-5.csv", [lock_row(i) for i in range(1, 6)])
        self.lock("place/.ingest/runs/job-1/repos-lock-6-10.csv",
                  [lock_row(6), lock_row(7, "failed"), lock_row(8, "unchanged", step="", code="", reason="")])
        self.lock("place/.ingest/runs/older-0/repos-lock-1-5.csv", [lock_row(2, "failed", minute=0, durationMs=1), lock_row(9)])
        self.write("place/h/o/r1/package-lock.json", "{}")
        return os.path.join(self.folder, "place")

    def test_every_row_is_accounted_for(self):
        """Would break: rows that no partition did would be missing from the report and from the exit code."""
        place = self.partitions()
        result = os.path.join(self.folder, "result.json")
        text = self.report(place, "--list", self.list, "--job", "job", "--result", result, code=3)
        self.assertIn("10 repositories: 6 published, 1 unchanged, 1 failed, 2 lost. 1 rows name one again.", text)
        self.assertRegex(text, r"(?m)^7 +h/o/r7 +failed +clone ")
        self.assertRegex(text, r"(?m)^9 +h/o/r9 +lost ")
        self.assertNotIn("\x1b", text)
        with open(result) as file:
            document = json.load(file)
        self.assertEqual(document["counts"], {"published": 6, "unchanged": 1, "failed": 1, "lost": 2})
        self.assertEqual([item["item"] for item in document["failed"]], ["h/o/r7", "h/o/r9", "h/o/r10"])
        rows = {row["path"]: row for row in json.loads(self.report(place, "--list", self.list, "--json", code=3))["repositories"]}
        self.assertEqual(len(rows), 10)
        self.assertEqual(rows["o/r9"]["outcome"], "published")  # by an older job
        self.assertEqual(rows["o/r2"]["outcome"], "published")  # the later outcome counts
        self.assertEqual(rows["o/r10"]["outcome"], "lost")
        rows = json.loads(self.report(place, "--list", self.list, "--since", "2027-01-01T00:00:00Z", "--json", code=3))
        self.assertEqual(rows["summary"]["lost"], 10)

    def test_exit_codes(self):
        """Would break: scripts could not tell that all is done from that some is."""
        place = self.partitions()
        self.lock("good/repos-lock.csv", [lock_row(i) for i in range(1, 11)])
        good = os.path.join(self.folder, "good")
        self.assertIn("10 repositories: 10 published.", self.report(good, "--list", self.list))
        self.report(place, "--list", self.list, "--max-failures", "2", code=3)
        self.report(place, "--list", self.list, "--max-failures", "1", code=1)
        self.report(place, "--list", self.list, "--max-failures", "10%", code=1)
        self.report(place, "--max-failures", "x", code=2)
        self.report(place, "--json", "--csv", code=2)
        self.report(code=2)
        self.report(os.path.join(self.folder, "nothing"), code=1)
        os.mkdir(os.path.join(self.folder, "empty"))
        self.report(os.path.join(self.folder, "empty"), code=1)
        self.report(place, "--job", "jo", code=1)  # no job of that name
        self.write("good/result.json", '{"job":"ingest","items":[{"outcome":')
        self.assertIn("cannot be read", self.report(good, code=3))

    def test_lock_and_page(self):
        """Would break: the merged lock would not be one; names of strangers would be code in the page."""
        place = self.partitions()
        page, lock = os.path.join(self.folder, "page.html"), os.path.join(self.folder, "repos-lock.csv")
        printed = self.report(place, "--list", self.list, "--csv", "--html", page, "--lock", lock, code=3)
        rows = list(csv.DictReader(io.StringIO(printed)))
        self.assertEqual([row["row"] for row in rows], [str(i) for i in range(1, 11)])
        self.assertEqual(rows[6]["team"], 't,"x"')
        self.assertEqual(rows[0]["changeset"], "%040x" % 1)
        self.assertEqual(rows[9]["outcome"], "lost")
        with open(lock, newline="") as file:
            self.assertEqual(file.read(), printed)
        self.assertEqual(self.report(lock, "--csv", code=3), printed)  # it can be read again
        with open(page, encoding="utf-8") as file:
            html = file.read()
        self.assertNotIn("<script>alert", html)
        self.assertNotIn("\x1b", html)
        self.assertIn("&lt;script&gt;alert(1)", html)
        self.assertIn("default-src 'none'", html)
        embedded = html.split('id="rows">', 1)[1].split("</script>", 1)[0]
        self.assertEqual(len(json.loads(embedded)), 10)

    def test_from_and_to_a_bucket(self):
        """Would break: the job that reports after an array job has nothing but a bucket."""
        with MillraceServer() as server:
            s3 = server.boto3("s3")
            s3.create_bucket(Bucket="mirror")
            place = self.partitions()
            for at, _, files in os.walk(place):
                for name in files:
                    path = os.path.join(at, name)
                    s3.upload_file(path, "mirror", "x/" + os.path.relpath(path, place))
            s3.upload_file(self.list, "mirror", "repos.csv")
            text = self.report("s3://mirror/x", "--list", "s3://mirror/repos.csv", "--html", "s3://mirror/report.html", "--result",
                               "s3://mirror/report.json", code=3, **server.environment)
            self.assertIn("7 published, 1 unchanged, 1 failed, 1 lost", text)
            page = s3.get_object(Bucket="mirror", Key="report.html")
            self.assertEqual(page["ContentType"], "text/html; charset=utf-8")
            self.assertIn(b"Ingest: 10 repositories", page["Body"].read())
            self.assertEqual(json.load(s3.get_object(Bucket="mirror", Key="report.json")["Body"])["status"], "partial")

    def test_of_a_real_run(self):
        """Would break: what runs leave and what reports read would drift apart."""
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com",
                       "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com", "HOME": self.folder}
        rows = ["cloneUrl,branch,origin,path"]
        for name in ("one", "two"):
            path = os.path.join(self.folder, name)
            self.write(name + "/file.c", "int main(void) { return 0; }\n")
            subprocess.run(f"git init -q -b main {path} && cd {path} && git add . && git commit -q -m x", shell=True, check=True,
                           env=environment)
            rows.append(f"file://{path},,local,{name}")
        rows.append(f"file://{self.folder}/none,,local,none")
        listed = self.write("real.csv", "\n".join(rows))
        out, result = os.path.join(self.folder, "out"), os.path.join(self.folder, "run.json")
        done = subprocess.run([BINARY, "ingest", "run", listed, "--publish", out, "--result", result, "--allow-local", "--quiet"],
                              env=environment, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        for place in (out, result):
            document = json.loads(self.report(place, "--list", listed, "--json", code=3))
            self.assertEqual([row["outcome"] for row in document["repositories"]], ["published", "published", "failed"], place)
            self.assertEqual(document["repositories"][0]["changeset"], subprocess.run(
                ["git", "-C", os.path.join(self.folder, "one"), "rev-parse", "HEAD"], capture_output=True, text=True,
                check=True).stdout.strip())


if __name__ == "__main__":
    unittest.main()
