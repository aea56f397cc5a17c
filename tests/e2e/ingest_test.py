"""Without this: repositories are lost between list and publication, or a night that failed looks like one that went well."""

import csv
import datetime
import http.server
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zipfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from batch_setup import wait_for_job  # noqa: E402
from git_server import GitServer  # noqa: E402
from millrace_server import MillraceServer, wait_until  # noqa: E402

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/ingest")
TOKEN = "geheimes-token-1"
FINE = {"published", "unchanged"}


class Bench(unittest.TestCase):
    """What all tests of this file need."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="millrace-ingest-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.git = self.enterContext(GitServer())
        self.binary = os.environ["MILLRACE_BINARY"]
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "GIT_", "PUBLISH_"))}
        self.environment["TMPDIR"] = self.folder

    def enterContext(self, manager):  # unittest has it from 3.11 on, under this name
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    def list_of(self, rows, header="cloneUrl,branch,origin,path", name="repos.csv"):
        path = f"{self.folder}/{name}"
        with open(path, "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header.split(","))
            writer.writerows(rows)
        with open(path, "rb+") as file:  # without the end of the last line
            file.seek(-1, os.SEEK_END)
            file.truncate()
        return path

    def ingest(self, *words, code=0, **variables):
        done = subprocess.run([self.binary, "ingest", *words], env={**self.environment, **variables}, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=180)
        self.assertEqual(done.returncode, code, done.stdout[-2000:] + done.stderr[-3000:])
        self.output = done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1]) if done.stdout.startswith("{") else None

    def outcomes(self, place):
        with open(place) as file:
            return {item["path"]: item for item in json.load(file)["items"]}


class Remotes(Bench):
    def test_http_and_ssh_with_credentials_and_without(self):
        git = self.git
        git.start_ssh()
        head = {name: git.make(f"acme/{name}", {"README": name, "src/main.c": "int main() { return 0; }\n"})
                for name in ("open", "private", "closed", "new-name", "busy", "ssh", "hanging", "in-url")}
        git.private["acme/private"] = ("me", TOKEN)
        git.private["acme/closed"] = ("other", "password")
        git.private["acme/in-url"] = ("you", TOKEN)
        git.moved["acme/old-name"] = "acme/new-name"
        git.busy["acme/busy"] = 2
        git.hanging.add("acme/hanging")
        git.make("acme/empty")
        rows = [[git.url(f"acme/{name}"), "", "127.0.0.1", f"acme/{name}"]
                for name in ("open", "private", "closed", "old-name", "busy", "hanging", "empty", "missing")]
        rows.append([git.ssh_url("acme/ssh"), "main", "127.0.0.1", "acme/ssh"])
        rows.append([git.url("acme/in-url").replace("//", f"//you:{TOKEN}@"), "", "127.0.0.1", "acme/in-url"])
        rows.append(["ext::sh -c touch% ran", "", "evil", "acme/ext"])
        rows.append([f"{git.root}/acme/open.git", "", "local", "acme/local"])
        result = f"{self.folder}/result.json"
        options = ["run", self.list_of(rows), "--publish", f"{self.folder}/out", "--result", result, "--clone-timeout", "12s", "--jobs", "4",
                   "--known-hosts", git.known_hosts]
        secrets = {"GIT_CREDENTIALS": f"http://me:{TOKEN}@127.0.0.1:{git.port}/acme/private.git", "GIT_SSH_CREDENTIALS": git.ssh_key}
        done = self.ingest(*options, code=3, **secrets)
        self.assertEqual(done["counts"]["published"], 6, done["failed"])
        found = self.outcomes(result)
        self.assertEqual({path.removeprefix("acme/"): item["code"] for path, item in found.items() if item["outcome"] != "published"},
                         {"closed": "denied", "hanging": "timeout", "empty": "empty", "missing": "not-found", "ext": "protocol", "local": "protocol"})
        for name in ("open", "private", "busy", "ssh", "in-url"):
            self.assertEqual(found[f"acme/{name}"]["changeset"], head[name])
        self.assertEqual(found["acme/old-name"]["changeset"], head["new-name"])
        self.assertEqual(found["acme/hanging"]["outcome"], "timed-out")
        self.assertEqual(found["acme/busy"]["attempts"], 3)

        # Nowhere is what nobody may read.
        for where, _, names in os.walk(f"{self.folder}"):
            for name in names:
                with open(os.path.join(where, name), "rb") as file:
                    content = file.read()
                if name.endswith(".zip"):
                    with zipfile.ZipFile(io.BytesIO(content)) as archive:
                        content = b"".join(archive.read(entry) for entry in archive.namelist())
                if name != "repos.csv":
                    self.assertNotIn(TOKEN.encode(), content, name)
        self.assertNotIn(TOKEN, self.output)

        # What has not changed is asked for once, and not cloned.
        git.requests.clear()
        changed = git.commit("acme/private", {"more": "x"})
        self.ingest(*options, code=3, **secrets)
        again = self.outcomes(result)
        self.assertEqual(again["acme/private"]["outcome"], "published", again["acme/private"])
        self.assertEqual(again["acme/private"]["changeset"], changed)
        for name in ("open", "busy", "ssh", "old-name", "in-url"):
            self.assertEqual(again[f"acme/{name}"]["outcome"], "unchanged", name)
        self.assertEqual(git.requests["acme/open"], 1)

    def test_what_trees_may_hold(self):
        self.git.make("acme/odd", {"out": ("link", "/etc/passwd"), "aux.txt": "x", "con": "y", b"n\xff\xfe": "z", "a b\nc": "line",
                                   "d" * 200 + "/" + "e" * 200: "deep", "run.sh": "#!/bin/sh\n"})
        path = self.list_of([[self.git.url("acme/odd"), "", "o", "acme/odd"]])
        self.ingest("run", path, "--publish", f"{self.folder}/out")
        (snapshot,) = [os.path.join(where, name) for where, _, names in os.walk(f"{self.folder}/out") for name in names
                       if name.endswith("-snapshot.tar.zst")]
        listing = subprocess.run(["sh", "-c", f"zstd -dc '{snapshot}' | tar -tv --quoting-style=escape"], capture_output=True, text=True, check=True).stdout
        self.assertIn("out -> /etc/passwd", listing)
        self.assertEqual(len(listing.splitlines()), 7)

    def test_submodules_and_lfs_by_flag(self):
        self.git.make("acme/part", {"inner": "inside"})
        bare = f"{self.git.root}/acme/whole.git"
        self.git.make("acme/whole", {"outer": "outside"})
        work = f"{self.folder}/work"
        self.git.git("clone", "-q", bare, work)
        self.git.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", self.git.url("acme/part"), "sub", folder=work)
        self.git.git("commit", "-qm", "sub", folder=work)
        self.git.git("push", "-q", "origin", "HEAD:main", folder=work)
        path = self.list_of([[self.git.url("acme/whole"), "", "o", "acme/whole"]])
        for flags, inside in ([], False), (["--submodules"], True):
            out = f"{self.folder}/out{len(flags)}"
            self.ingest("run", path, "--publish", out, *flags)
            (snapshot,) = [os.path.join(where, name) for where, _, names in os.walk(out) for name in names if name.endswith(".tar.zst")]
            listing = subprocess.run(["sh", "-c", f"zstd -dc '{snapshot}' | tar -t"], capture_output=True, text=True, check=True).stdout
            self.assertEqual("sub/inner" in listing, inside, listing)


class Publishing(Bench):
    def serve(self, login):
        stored, failures = {}, {"left": 2}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_PUT(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = 201
                if self.headers.get("Authorization") != login:
                    status = 401
                elif failures["left"] > 0:
                    failures["left"] -= 1
                    status = 503
                else:
                    stored[self.path] = body
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_address[1]}/repository/raw", stored

    def test_maven_layout_over_http_with_token_or_user(self):
        import base64
        import hashlib
        self.git.make("acme/one", {"a": "b"})
        path = self.list_of([[self.git.url("acme/one"), "", "github.com", "acme/one"]])
        for login, variables in ("Bearer " + TOKEN, {"PUBLISH_TOKEN": TOKEN}), \
                ("Basic " + base64.b64encode(f"me:{TOKEN}".encode()).decode(), {"PUBLISH_USER": "me", "PUBLISH_PASSWORD": TOKEN}):
            url, stored = self.serve(login)
            done = self.ingest("run", path, "--start", "1", "--end", "1", "--lock", f"{self.folder}/lock.csv", PUBLISH_URL=url, **variables)
            self.assertFalse(done["incremental"])
            (key,) = [name for name in stored if name.endswith("-snapshot.tar.zst")]
            parts = key.removeprefix("/repository/raw/").split("/")
            self.assertEqual(parts[:3], ["github.com", "acme", "one"])
            self.assertTrue(parts[4].startswith(f"one-{parts[3]}"))
            for algorithm in ("sha1", "md5", "sha256"):
                self.assertEqual(stored[f"{key}.{algorithm}"].decode(), hashlib.new(algorithm, stored[key]).hexdigest())
            (log,) = [name for name in stored if name.endswith(".zip")]
            self.assertRegex(log, r"^/repository/raw/io/moderne/ingest-log/1-1/\d{12}/ingest-log-cli-\d{12}-1-1\.zip$")
        self.ingest("run", path, "--publish", url, code=1)  # without a login: not even the logs can be uploaded

    def test_a_job_that_is_terminated_uploads_its_logs(self):
        self.git.make("acme/slow", {"a": "b"})
        path = self.list_of([[self.git.url("acme/slow"), "", "o", "acme/slow", f"touch {self.folder}/begun; echo building; sleep 1000"]],
                            "cloneUrl,branch,origin,path,build")
        process = subprocess.Popen([self.binary, "ingest", "run", path, "--publish", f"{self.folder}/out"], env=self.environment,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        wait_until(lambda: os.path.exists(f"{self.folder}/begun"), "the build runs")
        process.terminate()
        output, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 3, output)
        (log,) = [os.path.join(where, name) for where, _, names in os.walk(f"{self.folder}/out") for name in names if name.endswith(".zip")]
        with zipfile.ZipFile(log) as archive:
            self.assertIn("building", archive.read("000001-o_acme_slow.log").decode())

    def test_wrong_usage_is_2_and_a_missing_list_1(self):
        path = self.list_of([["https://h/x", "", "o", "x"]])
        self.ingest("run", path, code=2)
        self.ingest("run", path, "--publish", "ftp://x", code=2)
        self.ingest("run", path, "--publish", f"{self.folder}/out", "--start", "0", "--end", "5", code=2)
        self.ingest("run", path, "--publish", "https://me:pw@host/x", code=2)
        self.ingest("run", f"{self.folder}/none.csv", "--publish", f"{self.folder}/out", code=1)
        self.assertIn("does not exist", self.output)
        self.ingest("nonsense", code=2)


class Night(Bench):
    def test_the_schedule_ingests_forty_repositories(self):
        git = self.git
        git.start_ssh()
        seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
        rng = random.Random(seed)
        self.addCleanup(lambda: None if self._outcome.success else print("seed", seed))
        rows, expected = [], {}

        def row(name, url=None, branch="", outcome=FINE):
            rows.append([url or git.url(f"acme/{name}"), branch, "forge", f"acme/{name}", "team,\"red\"\nblue"])
            expected[f"acme/{name}"] = outcome

        for i in range(24):
            git.make(f"acme/r{i}", {f"src/f{j}.c": "int x;\n" * rng.randrange(1, 50) for j in range(rng.randrange(1, 8))})
            row(f"r{i}")
        for i in range(4):
            git.make(f"acme/ssh{i}", {"README.md": "# ssh"})
            row(f"ssh{i}", git.ssh_url(f"acme/ssh{i}"))
        for i in range(3):
            git.make(f"acme/private{i}", {"secret.py": "x = 1\n"})
            git.private[f"acme/private{i}"] = ("me", TOKEN)
            row(f"private{i}")
        git.make("acme/closed", {"a": "b"})
        git.private["acme/closed"] = ("nobody", "knows")
        row("closed", outcome={"failed"})
        git.make("acme/empty")
        row("empty", outcome={"failed"})
        git.make("acme/huge", {"blob": rng.randbytes(12 << 20), "text": "line\n" * 200_000})
        row("huge")
        git.make("acme/here", {"a": "b"})
        git.moved["acme/renamed"] = "acme/here"
        row("renamed")
        git.make("acme/broken", {"a": "b"})
        blob = git.git("--git-dir", f"{git.root}/acme/broken.git", "rev-parse", "HEAD:a")
        os.unlink(f"{git.root}/acme/broken.git/objects/{blob[:2]}/{blob[2:]}")
        row("broken", outcome={"failed"})
        git.hanging.add("acme/hanging")
        row("hanging", outcome={"timed-out"})
        row("missing", outcome={"failed"})
        git.make("acme/branches", {"a": "b"})
        row("branches", branch="no-such", outcome={"failed"})
        row("evil", "ext::sh -c touch% ran", outcome={"failed"})
        self.assertEqual(len(rows), 40)
        rng.shuffle(rows)

        server = self.enterContext(MillraceServer())
        batch, s3 = server.boto3("batch"), server.boto3("s3")
        due = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=20)
        subprocess.run([f"{EXAMPLES}/set-up", self.list_of(rows, "cloneUrl,branch,origin,path,notes")], check=True, timeout=120,
                       stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                       env={**server.environment, "AWS_CLI": "/usr/bin/aws", "SCHEDULE": f"at({due:%Y-%m-%dT%H:%M:%S})",
                            "GIT_CREDENTIALS": f"http://me:{TOKEN}@127.0.0.1:{git.port}", "GIT_SSH_CREDENTIALS": git.ssh_key})
        # The machine of the test: where the keys of SSH hosts are, and less patience.
        (definition,) = batch.describe_job_definitions(jobDefinitionName="ingest-processor", status="ACTIVE")["jobDefinitions"]
        container = definition["containerProperties"]
        container["command"] += ["--known-hosts", git.known_hosts, "--clone-timeout", "12s"]
        container["resourceRequirements"] = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "256"}]
        batch.register_job_definition(jobDefinitionName="ingest-processor", type="container", containerProperties=container,
                                      parameters=definition["parameters"],
                                      retryStrategy={"attempts": 2, "evaluateOnExit": definition["retryStrategy"]["evaluateOnExit"]})

        def chunk_jobs():
            return [job for status in ("SUCCEEDED", "FAILED") for job in batch.list_jobs(jobQueue="ingest", jobStatus=status)["jobSummaryList"]
                    if job["jobName"] == "ingest-chunk"]

        (chunk,) = wait_until(chunk_jobs, "the schedule has fired", 90)
        submitted = json.load(s3.get_object(Bucket="ingest-example", Key=f"results/submit-{chunk['jobId']}.json")["Body"])
        self.assertEqual(chunk["status"], "SUCCEEDED", submitted)
        self.assertEqual((submitted["rows"], submitted["partitions"]), (40, 4))
        (job,) = submitted["jobs"]
        array = wait_for_job(batch, job["jobId"], seconds=500)
        self.assertEqual(array["status"], "FAILED", "some repositories cannot be had, and the job must say so")

        # Every row has its outcome, by the report over all children.
        report = subprocess.run([self.binary, "ingest", "report", f"s3://ingest-example/results/{job['jobId']}/", "--list",
                                 "s3://ingest-example/repos.csv", "--csv"], env=server.environment, capture_output=True, text=True, timeout=60)
        found = {line["path"]: line for line in csv.DictReader(io.StringIO(report.stdout))}
        self.assertEqual(set(found), set(expected), report.stderr)
        for path, outcome in expected.items():
            self.assertIn(found[path]["outcome"], outcome, found[path])
        keys = [o["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket="ingest-example") for o in page.get("Contents", [])]
        self.assertEqual(sum(key.endswith("-snapshot.tar.zst") for key in keys), 33)
        self.assertTrue(any(key.startswith("published/.logs/") and key.endswith(".zip") for key in keys))
        for key in keys:
            if not key.endswith((".zip", ".zst", ".parquet")) and not key.startswith("published/.git"):
                self.assertNotIn(TOKEN.encode(), s3.get_object(Bucket="ingest-example", Key=key)["Body"].read(), key)

        # The same submission is found again; another night does only what has changed.
        shell = {**server.environment, "JOB_NAME": "again", "JOB_QUEUE": "ingest", "JOB_DEFINITION": "ingest-processor"}
        ids = set()
        for _ in range(2):
            done = subprocess.run([self.binary, "ingest", "submit", "s3://ingest-example/repos.csv", "--partition-size", "20"], env=shell,
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            ids.add(json.loads(done.stdout.splitlines()[-1])["jobs"][0]["jobId"])
        self.assertEqual(len(ids), 1)
        (second,) = ids
        wait_for_job(batch, second, seconds=500)
        counts = {}
        for index in range(2):
            result = json.load(s3.get_object(Bucket="ingest-example", Key=f"results/{second}/result-{index}.json")["Body"])
            for item in result["items"]:
                counts[item["outcome"]] = counts.get(item["outcome"], 0) + 1
        self.assertEqual(counts["unchanged"], 33)
        self.assertNotIn("published", counts)


if __name__ == "__main__":
    unittest.main()
