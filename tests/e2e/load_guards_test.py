"""Without this: `millrace load` takes half an archive for a whole one, another version than the event's, a server that is not the right one, or shows a password."""

import bz2
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from load_test import PostgreSQL  # noqa: E402
from millrace_server import MillraceServer, wait_until  # noqa: E402

PASSWORD = "hush/9:@x"
QUOTED = "hush%2F9%3A%40x"


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.binary = os.environ["MILLRACE_BINARY"]
        cls.database = PostgreSQL()
        cls.addClassCleanup(cls.database.stop)
        cls.database.url = cls.database.url.replace("pass%20word", QUOTED)

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="millrace-load-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.database.ask("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        self.environment = {"DATABASE_URL": self.database.url}

    def load(self, *words, code=0, **environment):
        done = subprocess.run([self.binary, "load", *words], capture_output=True, text=True, timeout=120, cwd=self.folder,
                              env={**os.environ, **self.environment, **environment})
        self.assertEqual(done.returncode, code, done.stdout[-3000:] + done.stderr[-3000:])
        for secret in (PASSWORD, QUOTED):
            self.assertNotIn(secret, done.stdout + done.stderr)
        self.output = done.stdout + done.stderr
        lines = done.stdout.splitlines()
        return json.loads(lines[-1]) if lines and lines[-1].startswith('{"job"') else None

    def file(self, name, content):
        with open(os.path.join(self.folder, name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return os.path.join(self.folder, name)


class Files(Base):
    # Without this an upload that broke off replaces a table by its first half.
    def test_archives_load_whole_or_not_at_all(self):
        rows = "id,name\n" + "".join(f"{i},name {i * 7919 % 10007}\n" for i in range(60000))
        plain = self.file("plain.csv", rows)
        zstd = subprocess.run(["zstd", "-q", "-c", plain], capture_output=True, check=True).stdout
        for ending, packed in {"gz": gzip.compress(rows.encode()), "zst": zstd, "bz2": bz2.compress(rows.encode())}.items():
            with self.subTest(ending):
                self.database.ask("DROP TABLE IF EXISTS t; CREATE TABLE t(id bigint, name text); INSERT INTO t VALUES (-1, 'old')")
                for name, cut in {"end": packed[:-1], "half": packed[: len(packed) // 2], "head": packed[:6]}.items():
                    result = self.load(self.file(f"{name}.csv.{ending}", cut), "--table", "t", code=1)
                    self.assertRegex(result["error"], "cut off|damaged", name)
                middle = len(packed) // 2
                bent = packed[:middle] + bytes([packed[middle] ^ 0xFF]) + packed[middle + 1:]
                if ending != "zst":  # whose checksum is optional
                    self.load(self.file(f"bent.csv.{ending}", bent), "--table", "t", code=1)
                self.assertEqual(self.database.ask("SELECT id FROM t"), "-1")
                self.load(self.file(f"whole.csv.{ending}", packed), "--table", "t")
                self.assertEqual(self.database.ask("SELECT count(*), sum(id) FROM t"), "60000|1799970000")
                # Two archives behind each other are one file, as with gzip's and bzip2's own programs.
                self.load(self.file(f"two.csv.{ending}", packed + {"gz": gzip.compress, "bz2": bz2.compress}.get(ending, lambda b: subprocess.run(
                    ["zstd", "-q", "-c"], input=b, capture_output=True, check=True).stdout)(b"70000,last\n")), "--table", "t")
                self.assertEqual(self.database.ask("SELECT count(*) FROM t"), "60001")

    # Without this a trial changes what it was to leave alone.
    def test_a_dry_run_leaves_nothing(self):
        self.database.ask("CREATE TABLE t(id bigint PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'old')")
        new = self.file("new.csv", "id,name\n1,new\n2,two\n")
        before = self.database.ask("SELECT relname, relfilenode FROM pg_class ORDER BY 1")
        result = self.load(new, "--table", "t", "--dry-run")
        self.assertEqual(result["targets"][0]["rows_after"], 2)
        self.load(new, "--table", "made", "--create", "--dry-run")
        self.load(self.file("wide.csv", "id,name,more\n1,a,b\n"), "--table", "t", "--evolve", "--dry-run")
        self.load(new, "--table", "t", "--explain")
        self.assertEqual(self.database.ask("SELECT relname, relfilenode FROM pg_class ORDER BY 1"), before)
        self.assertEqual(self.database.ask("SELECT * FROM t"), "1|old")
        for ending in ("db", "duckdb"):
            place = os.path.join(self.folder, "t." + ending)
            self.load(new, "--table", "t", "--create", "--dry-run", DATABASE_URL=place)
            self.load(new, "--table", "t", code=1, DATABASE_URL=place)  # there is no table
            self.assertIn("there is no table", self.output)
        self.load(new, "--table", "t")
        self.assertEqual(self.database.ask("SELECT count(*) FROM t"), "2")

    # Without this nobody knows which row broke a constraint, or the exit code says that all is well.
    def test_constraints_name_their_row(self):
        self.database.ask("CREATE TABLE parent(id bigint PRIMARY KEY); INSERT INTO parent VALUES (1);"
                          "CREATE TABLE t(id bigint PRIMARY KEY, parent bigint REFERENCES parent, n int CHECK (n > 0), code text UNIQUE);"
                          "INSERT INTO t VALUES (1, 1, 1, 'a')")
        for mode in ("replace", "append", "upsert"):
            for row, expected in {"7,1,-5,z": "n_check.*Failing row contains \\(7, 1, -5, z\\)",
                                  "8,99,1,z": "parent.*Key \\(parent\\)=\\(99\\) is not present",
                                  "9,1,1,b": "Key \\(code\\)=\\(b\\) already exists"}.items():
                with self.subTest(mode=mode, row=row):
                    result = self.load(self.file("f.csv", "id,parent,n,code\n5,1,1,b\n" + row + "\n"), "--table", "t", "--mode", mode, code=1)
                    self.assertEqual(result["status"], "failed")
                    self.assertRegex(result["error"], expected)
                    self.assertEqual(self.database.ask("SELECT * FROM t"), "1|1|1|a")
        # The rows of one that is loaded do not hide that the other is not.
        good, bad = os.path.join(self.folder, "good.db"), self.database.url
        result = self.load(self.file("f.csv", "id,parent,n,code\n7,1,-5,z\n"), "--table", "t", "--create", "--database", good, "--database", bad, code=3)
        self.assertEqual([t["status"] for t in result["targets"]], ["loaded", "failed"])

    # Without this a database that was loaded is not spoken of, because the options do not fit the next one.
    def test_what_fits_one_database_only_is_partial(self):
        self.database.ask("CREATE TABLE t(other bigint)")
        good = os.path.join(self.folder, "good.db")
        source = self.file("f.csv", "id,n\n7,5\n")
        result = self.load(source, "--table", "t", "--create", "--database", good, "--database", self.database.url, "--result", "r.json", code=3)
        self.assertEqual([t["status"] for t in result["targets"]], ["loaded", "failed"])
        self.assertIn("no column id", result["targets"][1]["error"])
        with open(self.folder + "/r.json", encoding="utf-8") as file:
            self.assertEqual(json.load(file)["exit_code"], 3)
        self.load(source, "--table", "t", "--database", self.database.url, code=2)

    # Without this a password stands in an error, in the result, or in the list of processes.
    def test_passwords_are_not_shown(self):
        source = self.file("f.csv", "id\n1\n")
        nobody = f"postgresql://u:{QUOTED}@127.0.0.1:1/d"
        for url in (nobody, nobody + "?connect_timeout=x", f"postgresql://u:{PASSWORD}@127.0.0.1:1/d", f"postgresql://127.0.0.1:1/d?user=u&password={QUOTED}",
                    f"mysql://u:{QUOTED}@h/d", f"redshift://u:{QUOTED}@127.0.0.1:1/d"):
            with self.subTest(url):
                for words in ([], ["--result", "r.json"], ["--sql", self.file("s.sql", "SELECT 1")]):
                    self.load(source, *([] if "--sql" in words else ["--table", "t"]), *words, code=2 if url.startswith(("mysql", "redshift://")) and "--sql" not in words
                              or url.startswith("mysql") else self.any_failure(url), DATABASE_URL=url)
        if os.path.exists(self.folder + "/r.json"):
            with open(self.folder + "/r.json", encoding="utf-8") as file:
                self.assertNotIn("hush", file.read())
        # While it waits for the lock, everybody can see its arguments.
        self.database.ask("CREATE TABLE t(id bigint)")
        holder = subprocess.Popen([f"{self.database.programs}/psql", "-X", "-q", self.database.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        holder.stdin.write("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n")
        holder.stdin.flush()
        while "locked" not in holder.stdout.readline():
            pass
        job = subprocess.Popen([self.binary, "load", source, "--table", "t"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **self.environment})
        wait_until(lambda: self.database.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'millrace' AND wait_event_type = 'Lock'") == "1", "it waits")
        with open(f"/proc/{job.pid}/cmdline", "rb") as file:
            self.assertNotIn(b"hush", file.read())
        holder.communicate("COMMIT;\n")
        self.assertEqual(job.wait(timeout=60), 0)
        self.assertEqual(self.database.ask("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%hush%' AND pid <> pg_backend_pid()"), "0")

    def any_failure(self, url):
        return 2 if "connect_timeout=x" not in url and PASSWORD in url else 1


class Tls(Base):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not shutil.which("openssl"):
            raise unittest.SkipTest("no openssl")
        cls.certificates = tempfile.mkdtemp(prefix="millrace-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.certificates)

        def openssl(*words):
            subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=cls.certificates)
        for ca in ("ca", "other"):
            openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", ca + ".key", "-out", ca + ".pem", "-days", "2", "-subj", f"/CN={ca}")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
        with open(cls.certificates + "/names", "w", encoding="utf-8") as file:
            file.write("subjectAltName=DNS:localhost\n")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.pem")
        data = cls.database.folder + "/data"
        for name in ("server.pem", "server.key"):
            shutil.copy(f"{cls.certificates}/{name}", data)
            os.chmod(f"{data}/{name}", 0o600)
            if cls.database.user:
                os.chown(f"{data}/{name}", cls.database.user["user"], cls.database.user["group"])
        with open(data + "/postgresql.auto.conf", "a", encoding="utf-8") as file:
            file.write("ssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\n")
        with open(data + "/pg_hba.conf", "w", encoding="utf-8") as file:
            file.write("local all all trust\nhostnossl all postgres 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
        cls.database.kill()
        cls.database.url += "?sslmode=disable"
        cls.database.start()
        cls.database.ask(f"CREATE ROLE loader SUPERUSER LOGIN PASSWORD '{PASSWORD}'")

    # Without this rows and password go to whoever says to be the database.
    def test_only_the_right_server_is_spoken_to(self):
        self.database.ask("CREATE TABLE t(id bigint)")
        source = self.file("f.csv", "id\n1\n")

        def url(host, ca, mode="verify-full"):
            return f"postgresql://loader:{QUOTED}@{host}:{self.database.port}/postgres?sslmode={mode}&sslrootcert={self.certificates}/{ca}.pem"
        for host, ca in (("localhost", "other"), ("127.0.0.1", "ca"), ("localhost", "missing")):
            self.load(source, "--table", "t", code=1, DATABASE_URL=url(host, ca))
            self.assertRegex(self.output, "certificate")
        self.load(source, "--table", "t", code=1, DATABASE_URL=url("localhost", "ca").replace(QUOTED, "wrong"))
        self.assertIn("password authentication failed", self.output)
        self.assertEqual(self.database.ask("SELECT count(*) FROM t"), "0")
        result = self.load(source, "--table", "t", DATABASE_URL=url("localhost", "ca"))
        self.assertNotIn("hush", json.dumps(result))
        self.assertEqual(self.database.ask("SELECT count(*) FROM t"), "1")


class Objects(Base):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = MillraceServer()
        cls.enterClassContext(cls.server)
        cls.s3 = cls.server.boto3("s3")
        cls.s3.create_bucket(Bucket="plain")
        cls.s3.create_bucket(Bucket="kept")
        cls.s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})

    def setUp(self):
        super().setUp()
        self.environment = {**self.server.environment, "DATABASE_URL": self.database.url}
        self.database.ask("CREATE TABLE t(id bigint, name text)")

    def put(self, bucket, key, text):
        return self.s3.put_object(Bucket=bucket, Key=key, Body=text.encode()).get("VersionId", "")

    def event(self, name, bucket, key, version):
        return self.file(name, json.dumps({"detail-type": "Object Created", "detail": {"bucket": {"name": bucket}, "object": {"key": key, "version-id": version}}}))

    # Without this `append` misses versions that were overwritten before their job began, or loads one twice.
    def test_every_version_of_an_event_is_appended_once(self):
        versions = [self.put("kept", "a.csv", f"id,name\n{i},v{i}\n") for i in range(3)]
        self.assertEqual(len(set(versions)), 3)
        other = os.path.join(self.folder, "other.db")
        self.load("s3://kept/a.csv", "--table", "t", "--create", "--database", other, "--mode", "append")
        for i in (2, 0, 1, 0):  # in any order, and again
            result = self.load("--event", self.event("e.json", "kept", "a.csv", versions[i]), "--table", "t", "--mode", "append",
                               "--database", self.database.url, "--database", other)
            self.assertEqual(result["source"]["version"], versions[i])
        self.assertEqual(self.database.ask("SELECT * FROM t ORDER BY id"), "0|v0\n1|v1\n2|v2")
        shown = subprocess.run(["sqlite3", other, "SELECT id, name FROM t ORDER BY id"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(shown, "0|v0\n1|v1\n2|v2\n")
        self.load("--event", self.event("e.json", "kept", "a.csv", "00000000000000000000000000000000"), "--table", "t", "--mode", "append", code=1)

    # Without this an event that comes late brings old rows back.
    def test_the_newest_version_wins_where_rows_are_replaced(self):
        versions = [self.put("kept", "r.csv", f"id,name\n{i},v{i}\n") for i in range(3)]
        for i in (0, 2, 1):
            self.load("--event", self.event("e.json", "kept", "r.csv", versions[i]), "--table", "t")
            self.assertEqual(self.database.ask("SELECT * FROM t"), "2|v2")
        self.assertEqual(self.database.ask("SELECT count(*) FROM millrace_loads"), "1")
        # Deleted since: what was uploaded is there all the same.
        gone = self.put("kept", "d.csv", "id,name\n9,gone\n")
        self.s3.delete_object(Bucket="kept", Key="d.csv")
        self.load("--event", self.event("e.json", "kept", "d.csv", gone), "--table", "t")
        self.assertEqual(self.database.ask("SELECT * FROM t"), "9|gone")

    # Without this a table is half of one version and half of the next.
    def test_versions_are_never_mixed(self):
        def text(version):
            return "id,name\n" + "".join(f"{i},{version} {'x' * 60}\n" for i in range(200000))  # some ranges long
        for mode, bucket, expected in (("replace", "plain", "new"), ("append", "plain", "new"), ("replace", "kept", "old"), ("append", "kept", "old")):
            with self.subTest(mode=mode, bucket=bucket):
                self.database.ask("TRUNCATE t")
                key = mode + ".csv"
                self.put(bucket, key, text("old"))
                holder = subprocess.Popen([f"{self.database.programs}/psql", "-X", "-q", self.database.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                holder.stdin.write("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n")
                holder.stdin.flush()
                while "locked" not in holder.stdout.readline():
                    pass
                failures = []

                def run(mode=mode, bucket=bucket, key=key):
                    try:
                        self.load(f"s3://{bucket}/{key}", "--table", "t", "--mode", mode)
                    except AssertionError as error:
                        failures.append(error)
                job = threading.Thread(target=run)
                job.start()
                # It knows which version it loads, and waits for the table.
                wait_until(lambda: self.database.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'millrace' AND wait_event_type = 'Lock' "
                                                     "AND wait_event = 'relation'") == "1", "it waits for the table")
                self.put(bucket, key, text("new"))
                holder.communicate("COMMIT;\n")
                job.join()
                self.assertEqual(failures, [])
                self.assertEqual(self.database.ask("SELECT DISTINCT split_part(name, ' ', 1), count(*) OVER () FROM t"), expected + "|200000")

    # Without this a job's rejects and result are nowhere, or a load that failed leaves no word of its rows.
    def test_rejects_and_results_go_to_objects(self):
        self.put("plain", "bad.csv", "id,name\n1,one\nx,\"two, \"\"quoted\"\"\"\n3,three\n")

        def words(*more):
            return ("s3://plain/bad.csv", "--table", "t", "--rejects", "s3://plain/out/{job}.rejects.csv", "--result", "s3://plain/out/{job}.json", *more)

        def body(key):
            return self.s3.get_object(Bucket="plain", Key=key)["Body"].read().decode()
        self.load(*words(), code=1, AWS_BATCH_JOB_ID="one")
        result = json.loads(body("out/one.json"))
        self.assertEqual((result["exit_code"], result["counts"]["rejected"]), (1, 1))
        self.assertIn("line 3, column id", result["error"])
        rejects = body("out/one.rejects.csv").splitlines()
        self.assertEqual(len(rejects), 2)
        self.assertIn(",s3://plain/bad.csv,3,14,id,x,", rejects[1])
        self.assertNotIn("hush", rejects[1])
        self.load(*words("--max-rejects", "1"), AWS_BATCH_JOB_ID="two")
        self.assertEqual(json.loads(body("out/two.json"))["targets"][0]["rows"], 2)
        self.assertEqual(self.database.ask("SELECT id FROM t ORDER BY 1"), "1\n3")
        # A place that cannot be written to is found before anything is loaded.
        self.database.ask("DELETE FROM t")
        self.load("s3://plain/bad.csv", "--table", "t", "--force", "--max-rejects", "1", "--rejects", "s3://nobucket/r.csv", code=1)
        self.assertEqual(self.database.ask("SELECT count(*) FROM t"), "0")


if __name__ == "__main__":
    unittest.main(verbosity=2)
