"""Without this: `millrace scan` and `millrace catalog` lose files, read what has not changed, or tell people something else than the tree is."""

import csv
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from meddling_proxy import MeddlingProxy  # noqa: E402
from millrace_server import MillraceServer  # noqa: E402


def picture(width=2, grey=7):
    return b"P5\n%d 1\n255\n" % width + bytes([grey]) * width


def tiff(width, height, padding=300_000):
    """Its directory stands at the end: whoever reads it needs a second range."""
    tags = ((256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, width * height))
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + padding) + bytes(padding) + directory


class Database:
    """What a scan of one kind of database is told, and how to ask it from outside."""

    def __init__(self, folder, postgres):
        self.name = "postgresql" if postgres else "sqlite"
        self.url = postgres.new_database() if postgres else f"sqlite:///{folder}/catalogue.db"
        self.folder = folder


class Postgres:
    """A server of its own: a private folder and socket, no TCP."""

    def __init__(self):
        programs = "/usr/lib/postgresql"
        versions = sorted(os.listdir(programs)) if os.path.isdir(programs) else []
        if not versions:
            raise unittest.SkipTest("PostgreSQL is not installed")
        self.programs = f"{programs}/{versions[-1]}/bin"
        self.folder = tempfile.mkdtemp(prefix="millrace-pg-")
        self.user = "postgres" if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(self.folder, self.user)
        os.chmod(self.folder, 0o755)
        self.databases = 0
        self.run("initdb", "-D", self.folder + "/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        self.run("pg_ctl", "-D", self.folder + "/data", "-w", "-l", self.folder + "/log", "-o",
                 f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off", "start")

    def run(self, program, *words):
        subprocess.run([f"{self.programs}/{program}", *words], check=True, user=self.user, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120, cwd="/")

    def new_database(self):
        self.databases += 1
        name = f"test{self.databases}"
        self.run("createdb", "-h", self.folder, "-U", "postgres", name)
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def stop(self):
        self.run("pg_ctl", "-D", self.folder + "/data", "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)


class Catalog(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(MillraceServer())
        cls.s3 = cls.server.boto3("s3")
        cls.postgres = Postgres()
        cls.addClassCleanup(cls.postgres.stop)

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="millrace-catalog-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.bucket = "c-" + self.id().rsplit(".", 1)[1].replace("_", "-").lower()[:50].strip("-")
        self.s3.create_bucket(Bucket=self.bucket)

    def databases(self):
        for number, postgres in enumerate((None, self.postgres)):
            folder = f"{self.folder}/{number}"
            os.mkdir(folder)
            yield Database(folder, postgres)

    def command(self, *words, code=0, endpoint=None, **variables):
        environment = {**self.server.environment, **variables}
        if endpoint:
            environment["AWS_ENDPOINT_URL"] = endpoint
        done = subprocess.run([self.server.binary, *words], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=120, cwd=self.folder)
        self.assertEqual(done.returncode, code, done.stdout[-2000:] + done.stderr[-2000:])
        return done.stdout

    def scan(self, source, database, *words, code=0, **more):
        out = self.command("scan", source, "--database", database.url, "--quiet", *words, code=code, **more)
        return json.loads(out.splitlines()[-1])

    def ask(self, database, *words, **more):
        return self.command("catalog", *words, "--database", database.url, **more)

    def rows(self, database, *words):
        return json.loads(self.ask(database, *words, "--json"))

    def put(self, key, body=None):
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=picture() if body is None else body)

    # Without this an unchanged bucket is read again every night, or what changed is not.
    def test_a_bucket_is_followed_without_reading_it_twice(self):
        for number in range(1, 6):
            self.put(f"shows/lantern/r/f.{number:04}.pgm")
        self.put("shows/lantern/notes #1?.txt", b"hello")
        for database in self.databases():
            with self.subTest(database.name), MeddlingProxy(self.server.endpoint) as proxy:
                result = self.scan(f"s3://{self.bucket}/shows/", database, endpoint=proxy.endpoint)
                self.assertEqual((result["counts"]["files_added"], result["counts"]["sequences"]), (6, 1))
                result = self.scan(f"s3://{self.bucket}/shows/", database, endpoint=proxy.endpoint)
                self.assertEqual((result["counts"]["files_unchanged"], result["counts"]["requests"], result["counts"]["bytes_read"]), (6, 0, 0))
                rows = self.rows(database, "find", "--items", "--show", "lantern")
                self.assertEqual([row["path"].rsplit("/", 1)[1] for row in rows], ["notes #1?.txt", "f.####.pgm"])
                self.assertEqual(rows[1]["frames"], 5)

    # Without this the children of an array job are many results and none of the whole.
    def test_shards_end_together(self):
        for number in range(1, 21):
            self.put(f"s.{number:04}.pgm")
        self.put("bad.png", b"no picture")
        for database in self.databases():
            with self.subTest(database.name):
                place = f"s3://{self.bucket}-results"
                self.s3.create_bucket(Bucket=f"{self.bucket}-results")
                for index in range(3):
                    job = {"AWS_BATCH_JOB_ID": f"{database.name}:{index}", "AWS_BATCH_JOB_ARRAY_INDEX": str(index), "AWS_BATCH_JOB_ARRAY_SIZE": "3"}
                    words = ("scan", f"s3://{self.bucket}", "--database", database.url, "--quiet", "--result", place + "/{array}/{index}.json",
                             "--whole-result", place + "/{array}/whole.json")
                    done = subprocess.run([self.server.binary, *words], env={**self.server.environment, **job}, capture_output=True, text=True,
                                          timeout=120)
                    self.assertIn(done.returncode, (0, 3), done.stderr)
                whole = json.loads(self.s3.get_object(Bucket=f"{self.bucket}-results", Key=f"{database.name}/whole.json")["Body"].read())
                self.assertEqual((whole["status"], whole["counts"]["files_listed"], whole["counts"]["sequences"]), ("partial", 21, 1))
                self.assertEqual([item["item"] for item in whole["failed"]], [f"s3://{self.bucket}/bad.png"])
                merged = self.command("scan", f"s3://{self.bucket}", "--database", database.url, "--run", database.name, "--merge-shards",
                                      "--quiet", code=3)
                self.assertEqual(json.loads(merged)["counts"], whole["counts"])
                for key in ("0", "1", "2", "whole"):
                    self.s3.delete_object(Bucket=f"{self.bucket}-results", Key=f"{database.name}/{key}.json")
                self.s3.delete_bucket(Bucket=f"{self.bucket}-results")

    # Without this a row is half of one version and half of another, or of one that is not the catalogue's any more.
    def test_what_changes_while_it_is_read_is_read_again(self):
        for database in self.databases():
            for change_at in (1, 2):  # before the first range: since the listing; before the second: between two
                with self.subTest(database.name, change_at=change_at):
                    key = f"plate{change_at}.tif"
                    self.put(key, tiff(3, 2))
                    reads = []

                    def meddle(request):
                        if request.method == "GET" and not request.is_list and request.path.endswith(key):
                            reads.append(request.headers.get("if-match"))
                            if len(reads) == change_at:
                                self.put(key, tiff(70, 50))
                    with MeddlingProxy(self.server.endpoint, meddle) as proxy:
                        result = self.scan(f"s3://{self.bucket}", database, "--include", "*", endpoint=proxy.endpoint)
                    self.assertEqual(result["status"], "succeeded")
                    row = json.loads(self.ask(database, "show", key, "--json"))
                    self.assertIn('"resolution_x": 70', json.dumps(row))
                    self.assertTrue(all(reads), "each range says of which version it has to be")
                    self.assertEqual(self.scan(f"s3://{self.bucket}", database)["counts"]["requests"], 0)
            for change_at in (1, 2):
                self.s3.delete_object(Bucket=self.bucket, Key=f"plate{change_at}.tif")

    # Without this a file that never holds still hangs a scan or passes for read, and is not tried again.
    def test_what_keeps_changing_is_named_and_tried_again(self):
        for database in self.databases():
            with self.subTest(database.name):
                self.put("busy.tif", tiff(3, 2))
                reads = []

                def meddle(request):
                    if request.method == "GET" and not request.is_list:
                        reads.append(request)
                        self.put("busy.tif", tiff(3 + len(reads), 2))
                with MeddlingProxy(self.server.endpoint, meddle) as proxy:
                    result = self.scan(f"s3://{self.bucket}", database, code=3, endpoint=proxy.endpoint)
                self.assertEqual(len(result["failed"]), 1)
                self.assertLess(len(reads), 10)
                result = self.scan(f"s3://{self.bucket}", database)
                self.assertEqual((result["status"], result["counts"]["files_changed"]), ("succeeded", 1))

    # Without this one file that somebody deletes during a scan fails the whole scan, or stays in the catalogue.
    def test_what_is_deleted_before_it_is_read(self):
        for database in self.databases():
            with self.subTest(database.name):
                self.put("a.pgm")
                self.put("old.pgm")
                self.scan(f"s3://{self.bucket}", database)
                self.put("fleeting.pgm")
                self.put("old.pgm", picture(5))

                def meddle(request):
                    for name in ("fleeting.pgm", "old.pgm"):
                        if request.method == "GET" and not request.is_list and request.path.endswith(name):
                            self.s3.delete_object(Bucket=self.bucket, Key=name)
                with MeddlingProxy(self.server.endpoint, meddle) as proxy:
                    result = self.scan(f"s3://{self.bucket}", database, endpoint=proxy.endpoint)
                self.assertEqual((result["status"], result["counts"]["files_added"], result["counts"]["files_missing"]), ("succeeded", 0, 1))
                self.assertEqual(json.loads(self.ask(database, "summary", "--json"))["files"], 1)

    # Without this people see other numbers in the table, the JSON, the CSV and the page, or a wrong word breaks a script.
    def test_what_people_ask(self):
        for name, body in (("a.pgm", picture()), ("copy.pgm", picture()), ("broken.png", b"no picture"), ("x,\"y\".txt", b"text")):
            self.put(name, body)
        for database in self.databases():
            with self.subTest(database.name):
                self.assertIn("no catalogue", subprocess.run([self.server.binary, "catalog", "summary", "--database", database.url],
                                                             capture_output=True, text=True, timeout=60).stderr)
                self.scan(f"s3://{self.bucket}", database, "--hash", code=3)
                summary = json.loads(self.ask(database, "summary", "--json"))
                self.assertEqual((summary["files"], summary["unreadable_files"], summary["duplicate_groups"]), (4, 1, 1))
                self.assertIn("broken.png", self.ask(database, "unreadable"))
                self.assertEqual(len(self.rows(database, "duplicates", "--files")), 2)
                paths = [row["path"] for row in csv.DictReader(io.StringIO(self.ask(database, "find", "--csv"), newline=""))]
                self.assertEqual(paths, sorted(f"s3://{self.bucket}/{name}" for name in ("a.pgm", "broken.png", "copy.pgm", "x,\"y\".txt")))
                self.assertEqual(self.rows(database, "missing"), [])
                self.assertIn("copy.pgm", self.ask(database, "show", "a.pgm"))
                self.ask(database, "show", "nothing.pgm", code=1)
                self.ask(database, "find", "--json", "--csv", code=2)
                page = f"{database.folder}/report.html"
                self.ask(database, "report", "--html", page, "--title", "<Lantern>")
                with open(page, encoding="utf-8") as file:
                    html = file.read()
                self.assertIn("&lt;Lantern&gt;", html)
                self.assertNotIn("<script", html)
                result = self.scan(f"s3://{self.bucket}", database, "--max-errors", "0", code=1)
                self.assertEqual(result["status"], "failed")
                self.assertIn("change", self.command("scan", f"s3://{self.bucket}", "--database", database.url, "--dry-run", "--full"))
                self.scan(f"s3://{self.bucket}", database, "--exclude", "*.png", "--include", "a*")
                self.assertEqual(len(self.rows(database, "find", "*.png")), 1, "what is left out has not vanished")


if __name__ == "__main__":
    unittest.main(verbosity=2)
