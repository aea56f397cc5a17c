"""Without this: `millrace doctor` says that all is well where jobs will fail, or sends people looking in the wrong place."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from millrace_server import MillraceServer  # noqa: E402

BINARY = os.environ["MILLRACE_BINARY"]


class LateServer(BaseHTTPRequestHandler):
    """Its clock is an hour behind; it wants a login that it never gets."""

    def do_GET(self):
        self.send_response_only(401)
        self.send_header("Date", "Sun, 22 Nov 2015 00:00:00 GMT")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET
    do_POST = do_GET

    def log_message(self, *_):
        pass


class Doctor(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="millrace-doctor-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.environment = {"PATH": os.environ["PATH"], "HOME": self.folder, "TMPDIR": self.folder, "LC_ALL": "C.UTF-8",
                            "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull,
                            "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        for name in ("MILLRACE_DUCKDB", "ASAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]

    def doctor(self, *words, code=0, **variables):
        """Runs it; gives name -> check."""
        done = subprocess.run([BINARY, "doctor", "--json", *words], env={**self.environment, **variables}, capture_output=True,
                              text=True, timeout=120)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        document = json.loads(done.stdout)
        self.assertEqual(document["exit_code"], code)
        for check in document["checks"]:
            self.assertIn(check["state"], ("ok", "warning", "broken", "skipped"))
            self.assertNotIn("\n", check["what"])
            if check["state"] in ("warning", "broken"):
                self.assertTrue(check.get("mend"), check)
        return {check["name"]: check for check in document["checks"]}

    def test_a_machine_that_is_fit(self):
        """Would break: a fresh machine without engine and credentials would be called broken."""
        checks = self.doctor()
        for name in ("cpu", "memory", "disk work", "disk data", "files", "processes", "tool git"):
            self.assertIn(checks[name]["state"], ("ok", "warning"), checks[name])
        self.assertEqual(checks["network"]["state"], "skipped")
        self.assertEqual(checks["data"]["state"], "skipped")
        self.assertEqual(checks["credentials"]["state"], "warning")
        self.doctor("--strict", code=3)
        self.assertEqual(os.listdir(self.folder), [])  # nothing is left of the probes
        printed = subprocess.run([BINARY, "doctor"], env=self.environment, capture_output=True, text=True, timeout=120)
        self.assertEqual(printed.returncode, 0)
        self.assertRegex(printed.stdout, r"(?m)^(ok|warning) +memory +\S+")
        self.assertRegex(printed.stdout, r"(?m)^ +-> set AWS_ACCESS_KEY_ID")
        wrong = subprocess.run([BINARY, "doctor", "--no-such"], env=self.environment, capture_output=True, timeout=120)
        self.assertEqual(wrong.returncode, 2)

    def test_what_is_missing(self):
        """Would break: a run on a machine without git, disk or rights would fail repository by repository instead of at once."""
        path = os.path.join(self.folder, "repos.csv")
        with open(path, "w") as file:
            file.write("cloneUrl,origin,path\nhttps://h/a,h,a\nhttps://h/a,h,a\n,h,b\n")
        os.mkdir(os.path.join(self.folder, "bin"))
        checks = self.doctor("--list", path, "--work", "/proc/nothing", code=1, PATH=os.path.join(self.folder, "bin"))
        for name in ("tool git", "list", "disk work"):
            self.assertEqual(checks[name]["state"], "broken", checks[name])
        self.assertIn("line 4", checks["list"]["what"])
        self.assertIn("1 of them again", checks["list"]["what"])
        self.assertEqual(checks["tool ctags"]["state"], "warning")
        self.assertIn("universal-ctags", checks["tool ctags"]["mend"])
        checks = self.doctor("--list", os.path.join(self.folder, "none.csv"), "--s3", "http://x", code=1,
                             AWS_CA_BUNDLE="/none.pem")
        for name in ("list", "s3 http://x", "ca"):
            self.assertEqual(checks[name]["state"], "broken", checks[name])

    def test_servers_that_do_not_work(self):
        """Would break: a clock that is wrong, a port that is closed and a login that is refused would look alike."""
        server = HTTPServer(("127.0.0.1", 0), LateServer)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        keys = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hidden-secret"}
        checks = self.doctor("--endpoint", url, "--publish", url + "/maven", code=1, **keys)
        self.assertEqual(checks["network"]["state"], "ok")
        for name in ("clock", "credentials", "publish"):
            self.assertEqual(checks[name]["state"], "broken", checks[name])
        self.assertIn("ahead of the server's", checks["clock"]["what"])
        self.assertNotIn("hidden-secret", json.dumps(checks))
        closed = HTTPServer(("127.0.0.1", 0), LateServer)
        port = closed.server_port
        closed.server_close()
        checks = self.doctor("--endpoint", f"http://127.0.0.1:{port}", "--database",
                             f"postgresql://u:hidden-secret@127.0.0.1:{port}/d", code=1)
        self.assertIn("nothing listens there", checks["network"]["mend"])
        self.assertEqual(checks["database"]["state"], "broken")
        self.assertNotIn("hidden-secret", json.dumps(checks))

    def test_an_engine_and_its_folder(self):
        """Would break: a damaged database would be found by the engine in the middle of the night."""
        with MillraceServer() as server:
            server.boto3("s3").create_bucket(Bucket="there")
            environment = {name: value for name, value in server.environment.items() if name.startswith("AWS_")}
            checks = self.doctor("--data", server.data, "--s3", "s3://there/prefix", **environment)
            for name in ("network", "clock", "credentials", "s3 s3://there/prefix", "data"):
                self.assertEqual(checks[name]["state"], "ok", checks[name])
            self.assertIn("an engine runs at " + server.endpoint, checks["data"]["what"])
            self.assertIn("arn:aws:", checks["credentials"]["what"])
            self.assertEqual(server.boto3("s3").list_objects_v2(Bucket="there")["KeyCount"], 0)
            checks = self.doctor("--data", server.data, "--s3", "s3://not-there", code=1, **environment)
            self.assertIn("make the bucket", checks["s3 s3://not-there"]["mend"])
            checks = self.doctor("--endpoint", server.endpoint, code=1,
                                 **{**environment, "AWS_SECRET_ACCESS_KEY": "another"})
            self.assertIn("secret key", checks["credentials"]["mend"])
            server.stop()
            checks = self.doctor("--data", server.data)
            self.assertIn("no engine runs", checks["data"]["what"])
            self.assertEqual(checks["data state.db"]["state"], "ok", checks)
            state = os.path.join(server.data, "state.db")
            with sqlite3.connect(state) as database:  # what is in the log would hide the damage
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.close()
            with open(state, "r+b") as file:
                size = os.path.getsize(state)
                for at in range(4096, size, 4096):
                    file.seek(at)
                    file.write(b"\xff" * 512)
            self.assertEqual(self.doctor("--data", server.data, code=1)["data state.db"]["state"], "broken")

    def test_before_a_run(self):
        """Would break: the original's variables would be ignored, and a run that was to check only would publish."""
        path = os.path.join(self.folder, "repos.csv")
        with open(path, "w") as file:
            file.write(f"cloneUrl,origin,path\nfile://{self.folder}/none,local,none\n")
        words = [BINARY, "ingest", "run", path, "--publish", os.path.join(self.folder, "out"), "--quiet"]
        done = subprocess.run(words, env={**self.environment, "DIAGNOSE": "true"}, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"(?m)^ok +list +\S+: 1 rows of 1 origins")
        self.assertFalse(os.path.exists(os.path.join(self.folder, "out")))
        done = subprocess.run(words, env={**self.environment, "DIAGNOSE_ON_START": "true"}, capture_output=True, text=True,
                              timeout=120)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertRegex(done.stderr, r"(?m)^ok +list ")
        os.remove(path)
        done = subprocess.run(words, env={**self.environment, "DIAGNOSE": "true"}, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 1, done.stderr)


if __name__ == "__main__":
    unittest.main()
