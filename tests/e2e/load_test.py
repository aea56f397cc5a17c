"""Without this: `millrace load` leaves a half table when it is killed, or the example of an upload that loads itself does not work."""

import json
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from millrace_server import MillraceServer, wait_until  # noqa: E402

EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "load")
SEED = int(os.environ.get("SEED", random.randrange(1 << 32)))


class PostgreSQL:
    """Debian's server on a free port of its own, which can be killed and started again."""

    def __init__(self):
        versions = "/usr/lib/postgresql"
        self.programs = f"{versions}/{max(os.listdir(versions), key=int)}/bin"
        self.folder = tempfile.mkdtemp(prefix="millrace-load-pg-")
        self.user = None
        if os.geteuid() == 0:  # the server refuses to be root
            entry = pwd.getpwnam("postgres")
            self.user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        subprocess.run([f"{self.programs}/initdb", "-D", self.folder + "/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
                       check=True, capture_output=True, cwd="/", **(self.user or {}))
        self.url = f"postgresql://postgres:pass%20word@127.0.0.1:{self.port}/postgres"
        self.process = None
        self.start()

    def start(self):
        with open(self.folder + ".log", "ab") as log:
            self.process = subprocess.Popen(
                [f"{self.programs}/postgres", "-D", self.folder + "/data", "-k", self.folder, "-c", "listen_addresses=127.0.0.1",
                 "-c", f"port={self.port}", "-c", "fsync=off", "-c", "shared_buffers=16MB"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **(self.user or {}))
        wait_until(lambda: self.ask("SELECT 1", check=False) == "1", "PostgreSQL answers")

    def kill(self):
        self.process.send_signal(signal.SIGQUIT)  # at once, as after a power cut: what follows is recovery
        self.process.wait()

    def ask(self, sql, check=True):
        done = subprocess.run([f"{self.programs}/psql", "-X", "-At", "-c", sql, self.url], capture_output=True, text=True)
        if check and done.returncode:
            raise AssertionError(done.stderr)
        return done.stdout.strip()

    def stop(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        os.unlink(self.folder + ".log")


class Load(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.database = PostgreSQL()
        cls.addClassCleanup(cls.database.stop)
        cls.binary = os.environ["MILLRACE_BINARY"]

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="millrace-load-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def load(self, *words, code=0, environment=None, **more):
        done = subprocess.run([self.binary, "load", *words], capture_output=True, text=True, timeout=120, env={**os.environ, **(environment or {})}, **more)
        self.assertEqual(done.returncode, code, done.stdout[-3000:] + done.stderr[-3000:])
        self.assertNotIn("pass%20word", done.stdout + done.stderr)
        self.assertNotIn("pass word", done.stdout + done.stderr)
        lines = done.stdout.splitlines()
        self.stderr = done.stderr
        return json.loads(lines[-1]) if lines and lines[-1].startswith('{"job"') else None

    # Without this the script of old runs half, or \copy is not understood.
    def test_the_original_script_is_one_transaction(self):
        database = ("--database", self.database.url)
        self.database.ask("DROP TABLE IF EXISTS persons")
        result = self.load(EXAMPLE + "/sample-data.txt", "--sql", EXAMPLE + "/rds-db-update.sql", *database)
        counts = [s["rows"] for s in result["targets"][0]["statements"] if s["statement"].startswith("SELECT")]
        self.assertEqual(counts, [[["0"]], [["50"]]])
        with open(self.folder + "/sample-data.txt", "w", encoding="utf-8") as file:
            file.write("0,a@b.c,NC,1,x\n0,a@b.c,NC,1,x\n")
        result = self.load(self.folder + "/sample-data.txt", "--sql", EXAMPLE + "/rds-db-update.sql", *database, code=1)
        self.assertIn("line 6", result["error"])
        self.assertEqual(self.database.ask("SELECT count(*) FROM persons"), "50")

    # Without this the embedded default, explanations and wrong usage go unnoticed.
    def test_a_file_into_the_default_database(self):
        with open(self.folder + "/people.csv", "w", encoding="utf-8") as file:
            file.write("id,zip\n1,02134\n")
        self.load("people.csv", "--table", "people", "--create", cwd=self.folder, environment={"DATABASE_URL": ""})
        shown = subprocess.run(["sqlite3", self.folder + "/load.db", "SELECT id, zip FROM people"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(shown, "1|02134\n")
        self.load("people.csv", "--table", "people", "--mode", "sideways", cwd=self.folder, code=2)
        self.load("people.csv", cwd=self.folder, code=2)
        self.load("nothing.csv", "--table", "people", cwd=self.folder, environment={"DATABASE_URL": ""}, code=1)

    # Without this every user of the machine reads the database's password in the list of processes.
    def test_no_password_stands_in_the_list_of_processes(self):
        end, start = os.pipe()
        url = self.database.url + "?password=pass%20word"
        for words in (["load", "-", "--table", "x", "--database", url], ["load", "-", "--table", "x", "--database=" + url]):
            job = subprocess.Popen([self.binary, *words], stdin=end, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                # Its connection tells that it got the whole URL.
                wait_until(lambda: self.database.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'millrace'") == "1",
                           "the job is connected")
                with open(f"/proc/{job.pid}/cmdline", "rb") as file:
                    shown = file.read()
                self.assertNotIn(b"pass%20word", shown)
                self.assertIn(b"postgresql://postgres:***@127.0.0.1:", shown)
                self.assertIn(b"password=***", shown)
            finally:
                job.kill()
                job.wait()
        os.close(end)
        os.close(start)

    # Without this a job or server that dies in a load leaves a table that is neither the old nor the new version.
    def test_fifty_loads_are_killed_and_the_table_is_always_whole(self):
        chance = random.Random(SEED)
        rows = 3000
        key = chance.choice(["", " PRIMARY KEY"])
        modes = ["replace", "upsert"] if key else ["replace"]
        self.database.ask("DROP TABLE IF EXISTS crash; CREATE TABLE crash(id int" + key + ", version int, filler text)")
        source, acknowledged, killed = self.folder + "/crash.csv", 0, 0
        with open(source, "w", encoding="utf-8") as file:
            file.write("id,version,filler\n" + "".join(f"{i},0,{'x' * 40}\n" for i in range(rows)))
        start = time.monotonic()
        self.load(source, "--table", "crash", "--database", self.database.url, "--quiet", "--dry-run")
        whole = time.monotonic() - start  # an optimised program on an idle machine is done five times as soon
        for version in range(1, 51):
            with open(source, "w", encoding="utf-8") as file:
                file.write("id,version,filler\n")
                file.writelines(f"{i},{version},{'x' * 40}\n" for i in range(rows))
            job = subprocess.Popen([self.binary, "load", source, "--table", "crash", "--mode", chance.choice(modes), "--database", self.database.url, "--quiet"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(chance.uniform(0, 1.3 * whole))  # the moment is what is random here
            server_dies = version % 10 == 0
            if server_dies:
                self.database.kill()
            else:
                job.kill()
            code = job.wait(timeout=60)
            if server_dies:
                self.database.start()
            if code == 0:
                acknowledged = version
            else:
                killed += 1
            # The server notices that the job is gone when it next reads from it.
            wait_until(lambda: self.database.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'millrace'") == "0",
                       "the killed job's transaction ends")
            count, least, most = self.database.ask("SELECT count(*), min(version), max(version) FROM crash").split("|")
            what = f"seed {SEED}, version {version}, exit {code}: {count} rows of {least} to {most}"
            self.assertEqual(least, most, what)
            if count == "0":
                self.assertEqual(acknowledged, 0, what)
                continue
            self.assertEqual(count, str(rows), what)
            self.assertGreaterEqual(int(most), acknowledged, what)
            # The ledger says what the table has: else a retry would do too much or too little.
            self.assertEqual(self.database.ask("SELECT count(*) FROM millrace_loads WHERE target = 'public.crash'"),
                             self.database.ask("SELECT count(DISTINCT version) FROM millrace_loads WHERE target = 'public.crash'"), what)
        self.assertGreater(killed, 5, f"seed {SEED}: nearly nothing was killed")


class Example(unittest.TestCase):
    # Without this an upload starts no job, or the job does not find object, secret and table.
    def test_an_upload_loads_itself(self):
        database = PostgreSQL()
        self.addCleanup(database.stop)
        with MillraceServer() as server:
            tools = tempfile.mkdtemp(prefix="millrace-tools-")
            self.addCleanup(shutil.rmtree, tools)
            os.symlink(os.path.abspath(server.binary), tools + "/millrace")
            environment = {**server.environment, "DATABASE_URL": database.url, "PATH": tools + ":" + os.environ["PATH"],
                           "AWS_CLI": server.aws_command()[0]}
            done = subprocess.run([EXAMPLE + "/set-up"], env=environment, capture_output=True, text=True, timeout=120)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            batch, s3, logs = server.boto3("batch"), server.boto3("s3"), server.boto3("logs")

            def ended_jobs():
                return batch.list_jobs(jobQueue="load", jobStatus="SUCCEEDED")["jobSummaryList"] + batch.list_jobs(jobQueue="load", jobStatus="FAILED")["jobSummaryList"]

            def log_of(job_id):
                job = batch.describe_jobs(jobs=[job_id])["jobs"][0]
                events = logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=job["container"]["logStreamName"], startFromHead=True)["events"]
                return job["status"], "\n".join(event["message"] for event in events)

            s3.upload_file(EXAMPLE + "/sample-data.txt", "load-example", "sample-data.txt")
            first = wait_until(lambda: ended_jobs(), "the first job ends")[0]["jobId"]
            status, log = log_of(first)
            self.assertEqual(status, "SUCCEEDED", log)
            self.assertIn("0 rows before", log)
            self.assertIn("50 rows after", log)
            self.assertNotIn("pass word", log)
            self.assertEqual(database.ask("SELECT count(*), min(address) <> '' FROM persons"), "50|t")

            # In parts: CompleteMultipartUpload and no PutObject.
            with open(EXAMPLE + "/sample-data.txt", "rb") as file:
                body = file.read() + b"50,last@example.net,ME,4101,1 New Street\n"
            upload = s3.create_multipart_upload(Bucket="load-example", Key="sample-data.txt")["UploadId"]
            part = s3.upload_part(Bucket="load-example", Key="sample-data.txt", UploadId=upload, PartNumber=1, Body=body)["ETag"]
            s3.complete_multipart_upload(Bucket="load-example", Key="sample-data.txt", UploadId=upload,
                                         MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
            second = wait_until(lambda: [j for j in ended_jobs() if j["jobId"] != first], "the second job ends")[0]["jobId"]
            status, log = log_of(second)
            self.assertEqual(status, "SUCCEEDED", log)
            self.assertIn("50 rows before", log)
            self.assertIn("51 rows after: 1 inserted", log)


if __name__ == "__main__":
    unittest.main(verbosity=2)
