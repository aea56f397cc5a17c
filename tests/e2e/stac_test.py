"""Without this: `millrace stac` loses items without a word, publishes a month with holes, or fetches all of it again."""

import copy
import datetime
import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
EXAMPLE = os.path.join(HERE, "..", "..", "examples", "stac")
sys.path.insert(0, EXAMPLE)
from millrace_server import MillraceServer, wait_until  # noqa: E402
from replay import Catalogue, Handler, Replay, collection_of  # noqa: E402
from stac_items import make_item, make_month  # noqa: E402

BINARY = os.environ["MILLRACE_BINARY"]
SEED = int(os.environ.get("SEED", random.randrange(10**6)))


class BadCatalogue(Catalogue):
    """Lies and loses as it is told."""

    def __init__(self, items):
        super().__init__(items)
        self.hits_more = 0  # how many more it says there are
        self.documents = {}  # id -> bytes instead
        self.gone = set()  # ids

    def hits(self, count):
        return count + (self.hits_more if count else 0)

    def item(self, name):
        if name in self.gone:
            return None
        return self.documents.get(name) or super().item(name)


class BadHandler(Handler):
    def meddle(self, path):
        fault = self.server.fault(self.command, path, self.headers) if self.server.fault else None
        if fault is None:
            return False
        status, headers = fault
        self.answer({"errors": ["no"]}, status, headers)
        return True


class BadReplay(Replay):
    def __init__(self, items, **more):
        super().__init__(items, handler=BadHandler, catalogue=BadCatalogue, **more)
        self.fault = None

    def count(self, what):
        with self.catalogue.lock:
            return sum(what in path for _, path, _ in self.catalogue.requests)


class Stac(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="millrace-stac-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.items = make_month(2024, 6, 60, SEED)

    def serve(self, items=None, **more):
        return self.enterContext(BadReplay(self.items if items is None else items, **more))

    def command(self, *words):
        return [BINARY, "stac", "--quiet", "--work", self.folder + "/work", *words]

    def stac(self, *words, code=0, environment=None):
        """Runs it; gives the JSON result."""
        place = self.folder + "/result.json"
        if os.path.exists(place):
            os.unlink(place)
        done = subprocess.run(self.command(*words, "--result", place), env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, code, f"seed {SEED}: " + done.stdout[-3000:] + done.stderr[-2000:])
        if code == 2:
            return None
        with open(place, encoding="utf-8") as file:
            result = json.load(file)
        self.assertEqual(result["exit_code"], code)
        self.assertEqual(json.loads(done.stdout.splitlines()[-1])["counts"], result["counts"])
        return result

    def month(self, server, *words, **more):
        return self.stac("--input", server.url, "--year-month", "202406", "--destination", self.folder + "/out", *words, **more)

    def file(self, *parts):
        return os.path.join(self.folder, "out", *parts, "year=2024", "month=06", "data.parquet")

    def items_of(self, path):
        """By the job's own reader: what it merges is what it wrote."""
        dump = subprocess.run([BINARY, "stac", "items", path], capture_output=True, text=True, timeout=60)
        self.assertEqual(dump.returncode, 0, dump.stderr)
        return {item["id"]: item for item in map(json.loads, dump.stdout.splitlines())}

    def assert_month(self, path, items):
        there = self.items_of(path)
        self.assertEqual(sorted(there), sorted(item["id"] for item in items))
        for item in items:
            self.assertEqual(there[item["id"]]["properties"]["datetime"], item["properties"]["datetime"])
            self.assertEqual(there[item["id"]]["collection"], item.get("collection") or collection_of(item) + "_2.0")
            self.assertEqual(there[item["id"]]["assets"], item["assets"])

    def failures(self, result):
        return {entry.get("code", ""): entry for entry in result["failed"]}

    # Without this granules at midnight and in the last second of a day are lost or come twice.
    def test_a_month_with_its_edges(self):
        later = make_item("S30", datetime.datetime(2024, 7, 1), 1, 1, 900)
        before = make_item("S30", datetime.datetime(2024, 5, 31, 23, 59, 59, 999000), 1, 1, 901)
        with self.subTest("both collections in one file"):
            server = self.serve(self.items + [later, before])
            result = self.month(server)
            self.assert_month(self.file(), self.items)
            self.assertEqual((result["counts"]["rows"], result["counts"]["items"], result["counts"]["duplicates"]), (60, 60, 0))
            self.assertEqual(server.count("_stac.json"), 60)
            headers = {name.lower(): value for name, value in server.catalogue.requests[0][2].items()}
            self.assertEqual(headers["client-id"], "millrace-stac")
            self.assertEqual(os.listdir(self.folder + "/work"), [], "what was fetched is not needed any more")
        with self.subTest("a file each"):
            self.month(self.serve(), "--layout", "collection-month")
            for sensor in ("L30", "S30"):
                self.assert_month(self.file(f"HLS{sensor}_2.0"), [item for item in self.items if f".{sensor}." in item["id"]])

    # Without this one answer of a busy server makes a hole, or its wish to be left alone is not heard.
    def test_busy_servers_are_asked_again_when_they_want(self):
        server = self.serve()
        seen, lock, times = {}, threading.Lock(), []

        def fault(_, path, headers):
            with lock:
                key = path + headers.get("CMR-Search-After", "")
                seen[key] = seen.get(key, 0) + 1
                if seen[key] > 1 or len(seen) % 4:
                    return None
                times.append(len(seen))
                return random.Random(key).choice([(503, ()), (500, ()), (502, ()), (429, (("Retry-After", "0"),))])

        server.fault = fault
        result = self.month(server)
        self.assert_month(self.file(), self.items)
        self.assertGreater(len(times), 5)
        self.assertGreaterEqual(result["counts"]["retries"], len(times))

    # Without this what is missing is only in a log, and the month is published with holes; the next run fetches all again.
    def test_missing_items_are_named_and_only_they_are_fetched_again(self):
        server = self.serve()
        gone = [item["id"] for item in self.items[10:13]]
        server.catalogue.gone.update(gone)
        result = self.month(server, code=3)
        self.assertFalse(os.path.exists(self.file()))
        named = [entry["item"] for entry in result["failed"] if entry.get("code") == "Http404"]
        self.assertEqual(sorted(name.rsplit("/", 1)[1] for name in named), sorted(name + "_stac.json" for name in gone))
        self.assertIn("3 of its items are missing", self.failures(result)["Incomplete"]["error"])
        self.month(server, "--allow-missing", "2", code=3)
        self.assertFalse(os.path.exists(self.file()))
        result = self.month(server, "--allow-missing", "3", code=3)
        self.assertEqual(result["files"][0]["missing"], 3)
        self.assert_month(self.file(), [item for item in self.items if item["id"] not in gone])
        server.catalogue.gone.clear()
        before = server.count("_stac.json")
        result = self.month(server)
        self.assertEqual(server.count("_stac.json") - before, 3)
        self.assertEqual(result["counts"]["kept_from_earlier_run"], 57)
        self.assert_month(self.file(), self.items)

    # Without this a broken item breaks the file, or goes away without a name.
    def test_broken_items_are_named_with_what_is_wrong(self):
        server = self.serve()
        bad = {}
        for code, change in {"BrokenJson": lambda item: json.dumps(item).encode()[:500],
                             "NoGeometry": lambda item: {**item, "geometry": None},
                             "BadGeometry": lambda item: {**item, "geometry": {"type": "Polygon", "coordinates": [[1, 2], [3, 4]]}},
                             "WrongType": lambda item: {**item, "assets": []},
                             "BadTime": lambda item: {**item, "properties": {**item["properties"], "datetime": "yesterday"}},
                             "WrongItem": lambda item: {**item, "id": "another"}}.items():
            item = self.items[len(bad)]
            document = change(item)
            server.catalogue.documents[item["id"]] = document if isinstance(document, bytes) else json.dumps(document).encode()
            bad[code] = item["id"]
        result = self.month(server, code=3)
        for code, name in bad.items():
            self.assertIn(name, self.failures(result)[code]["item"])
        self.assertEqual(result["failed_count"], len(bad) + 1)
        self.assertFalse(os.path.exists(self.file()))

    # Without this a server that says that there is more than it gives makes a month that nobody knows to be short.
    def test_a_server_that_lies_about_counts_is_named(self):
        server = self.serve()
        self.month(server)
        with open(self.file(), "rb") as file:
            before = file.read()
        server.catalogue.hits_more = 1
        result = self.month(server, code=3)
        mismatch = [entry for entry in result["failed"] if entry.get("code") == "CountMismatch"]
        days = {(collection_of(item), item["properties"]["datetime"][:10]) for item in self.items}
        self.assertGreaterEqual(len(mismatch), len(days))
        self.assertIn("granules of HLS", mismatch[0]["error"])
        with open(self.file(), "rb") as file:
            self.assertEqual(file.read(), before, "what was there stays")

    # Without this a server that gives one page again and again keeps the job busy for ever.
    def test_a_server_that_repeats_a_page(self):
        server = self.serve()
        granules = server.RequestHandlerClass.granules

        def stuck(handler, query):
            if "CMR-Search-After" in handler.headers:
                handler.headers.replace_header("CMR-Search-After", json.dumps(["lpcloud", 0]))
            granules(handler, query)

        server.RequestHandlerClass = type("Stuck", (BadHandler,), {"granules": stuck})
        result = self.month(server, code=3)
        self.assertIn("RepeatedPage", self.failures(result))

    # Without this an empty day, or an empty month, is a failure, as it was in the original.
    def test_days_and_months_without_granules(self):
        result = self.month(self.serve(self.items[:1]))
        self.assertEqual(result["counts"]["rows"], 1)
        result = self.stac("--input", self.serve([]).url, "--year-month", "202405", "--destination", self.folder + "/out")
        self.assertEqual(result["counts"]["items"], 0)
        self.assertFalse(os.path.exists(self.folder + "/out/year=2024/month=05/data.parquet"))

    # Without this a box is ignored, as it was in the original, or a box in the Pacific is refused.
    def test_boxes_also_across_the_antimeridian(self):
        places = [(170, 0), (179, 5), (-180, 5), (-171, 1), (-100, 1), (10, 50), (10, 3)]
        items = [make_item("S30", datetime.datetime(2024, 6, 3, 4, serial), west, south, serial) for serial, (west, south) in enumerate(places)]
        server = self.serve(items)
        for source in ("cmr", "stac-api", "files"):
            with self.subTest(source):
                shutil.rmtree(self.folder + "/out", ignore_errors=True)
                words = {"cmr": ("--input", server.url), "stac-api": ("--input", server.url + "/api"),
                         "files": ("--input", self.write("items.ndjson", self.lines(items)))}[source]
                self.stac("--source", source, *words, "--year-month", "202406", "--destination", self.folder + "/out",
                          "--collection", "HLSS30_2.0", "--bounding-box", "175,-10,-170.5,10")
                self.assert_month(self.file(), items[1:4])

    # Without this a refused request is taken for a hundred thousand missing items, or a retry begins at zero.
    def test_credentials_that_expire_half_way(self):
        self.items = make_month(2024, 6, 200, SEED)
        server = self.serve(page_size=50)
        lock, count = threading.Lock(), [0]

        def expired(_, path, __):
            with lock:
                count[0] += path.endswith("_stac.json")
                return (403, ()) if count[0] > 60 and path.endswith("_stac.json") else None

        server.fault = expired
        result = self.month(server, "--max-concurrent-days", "1", "--max-concurrent-per-day", "2", code=1)
        self.assertIn("refused", result["error"])
        self.assertFalse(os.path.exists(self.file()))
        server.fault = None
        before = server.count("_stac.json")
        self.month(server)
        self.assertEqual(server.count("_stac.json") - before, 140)
        self.assert_month(self.file(), self.items)

    # Without this a job that was killed fetches everything again.
    def test_a_killed_run_goes_on(self):
        self.items = make_month(2024, 6, 300, SEED)
        server = self.serve(page_size=100)
        hold = threading.Event()
        lock, count = threading.Lock(), [0]

        def stall(_, path, __):
            with lock:
                count[0] += path.endswith("_stac.json")
                late = count[0] > 200
            if late:
                hold.wait(60)
            return None

        server.fault = stall
        process = subprocess.Popen(self.command("--input", server.url, "--year-month", "202406", "--destination", self.folder + "/out",
                                                "--max-concurrent-days", "2", "--max-concurrent-per-day", "4"),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: count[0] > 200, "most items were fetched")
        process.send_signal(signal.SIGKILL)
        process.wait()
        hold.set()
        server.fault = None
        before = server.count("_stac.json")
        self.month(server)
        # Whole days are safe; of the days in work at most some items are fetched again.
        self.assertLess(server.count("_stac.json") - before, 150)
        self.assert_month(self.file(), self.items)

    # Without this an attempt on another machine begins at zero.
    def test_a_checkpoint_outlives_the_machine(self):
        server = self.serve()
        gone = self.items[7]["id"]
        server.catalogue.gone.add(gone)
        words = ("--checkpoint", self.folder + "/checkpoint")
        self.month(server, *words, code=3)
        shutil.rmtree(self.folder + "/work")
        server.catalogue.gone.clear()
        before = server.count("_stac.json")
        result = self.month(server, *words)
        self.assertEqual(server.count("_stac.json") - before, 1)
        self.assertEqual(result["counts"]["kept_from_earlier_run"], 59)
        self.assert_month(self.file(), self.items)
        self.assertEqual([files for _, _, files in os.walk(self.folder + "/checkpoint") if files], [])

    # Without this a full disk makes a month of what had room, or what was fetched is lost with it.
    def test_a_full_disk(self):
        work = self.folder + "/work"
        os.mkdir(work)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", work], capture_output=True).returncode:
            self.skipTest("no right to mount")
        self.addCleanup(subprocess.run, ["umount", "-l", work])
        self.items = make_month(2024, 6, 300, SEED)
        server = self.serve(page_size=100)
        result = self.month(server, code=1)
        self.assertIn("No space left", result["error"])
        self.assertFalse(os.path.exists(self.file()))
        subprocess.run(["mount", "-o", "remount,size=64m", work], check=True)
        before = server.count("_stac.json")
        self.month(server)
        self.assertLess(server.count("_stac.json") - before, 300)
        self.assert_month(self.file(), self.items)

    # Without this two runs write into one another's work, or a stop is a failure that loses what was fetched.
    def test_one_run_at_a_time_and_a_stop_keeps_what_is_there(self):
        server = self.serve()
        hold = threading.Event()
        count = [0]

        def stall(_, path, __):
            if path.endswith("_stac.json"):
                count[0] += 1
                if count[0] > 30:
                    hold.wait(60)
            return None

        server.fault = stall
        words = ("--input", server.url, "--year-month", "202406", "--destination", self.folder + "/out", "--max-concurrent-per-day", "1")
        process = subprocess.Popen(self.command(*words), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        wait_until(lambda: count[0] > 30, "it works")
        result = self.stac(*words, code=1)
        self.assertIn("another run", result["error"])
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1)
        self.assertIn("interrupted", json.loads(out.splitlines()[-1])["error"])
        hold.set()
        server.fault = None
        before = server.count("_stac.json")
        self.month(server)
        self.assertLess(server.count("_stac.json") - before, 36)

    # Without this links that were found are looked for again, or an incomplete list makes a complete month.
    def test_links_are_kept_in_the_layout_of_the_original(self):
        server = self.serve()
        links = ("--links", self.folder + "/cache")
        result = self.stac("--input", server.url, "--year-month", "202406", "--links-only", *links)
        self.assertEqual(result["counts"]["links"], 60)
        path = self.folder + "/cache/links/HLSL30_2.0/2024/06/2024-06-01.json"
        with open(path, encoding="utf-8") as file:
            self.assertTrue(all(link.endswith("_stac.json") for link in json.load(file)))
        searches = server.count("granules.json")
        self.month(server, *links, "--skip-existing")
        self.assertEqual(server.count("granules.json"), searches)
        self.assert_month(self.file(), self.items)
        self.assertEqual(self.month(server, *links, "--skip-existing")["counts"]["months_skipped"], 1)
        # Days that are recent are asked for again.
        result = self.month(server, *links, "--skip-existing", "--refresh-days", "100000")
        self.assertEqual((result["counts"]["granules"], server.count("granules.json") > searches), (60, True))
        os.unlink(path)
        shutil.rmtree(self.folder + "/out")
        result = self.month(server, *links, "--require-complete-links", code=3)
        self.assertIn("HLSL30_2.0 2024-06-01", self.failures(result)["NoLinks"]["item"])
        self.assertFalse(os.path.exists(self.file()))

    # Without this granules that came late are never in their month, or all the others are fetched again for them.
    def test_merge_adds_what_came_late(self):
        server = self.serve(self.items[:50])
        self.month(server)
        server.catalogue.items = list(self.items)
        revised = copy.deepcopy(self.items[3])
        revised["properties"]["updated"] = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        revised["properties"]["eo:cloud_cover"] = 77.0
        server.catalogue.items[3] = revised
        before = server.count("_stac.json")
        result = self.month(server, "--merge")
        self.assertEqual(server.count("_stac.json") - before, 11)
        self.assertEqual((result["counts"]["rows"], result["counts"]["already_in_file"], result["counts"]["duplicates"]), (60, 49, 1))
        self.assert_month(self.file(), self.items)
        there = self.items_of(self.file())
        self.assertEqual(there[revised["id"]]["properties"]["eo:cloud_cover"], 77.0)
        # Names of folders are no properties.
        self.assertEqual({name for item in there.values() for name, value in item["properties"].items() if value is not None},
                         {name for item in server.catalogue.items for name in item["properties"]})

    # Without this the later of two merges of a month takes the other's items out again, without a word.
    def test_a_merge_does_not_undo_another(self):
        server = self.serve(self.items[:40])
        self.month(server)
        server.catalogue.items = list(self.items)
        others = []

        def fault(_command, path, _headers):
            if "_stac.json" in path and not others:
                others.append(None)
                others[0] = self.month(server, "--merge", "--collection", "HLSS30")
            return None

        server.fault = fault
        result = self.month(server, "--merge", code=1)
        self.assertIn("another run has written it", json.dumps(result))
        s30 = [item for item in self.items[40:] if ".S30." in item["id"]]
        self.assertEqual(others[0]["counts"]["rows"], 40 + len(s30))
        self.assert_month(self.file(), self.items[:40] + s30)
        self.assertEqual(os.listdir(os.path.dirname(self.file())), ["data.parquet"])
        self.assertEqual(self.month(server, "--merge")["counts"]["rows"], 60)
        self.assert_month(self.file(), self.items)

    # Without this pages behind the first are lost, or come in place of one another.
    def test_stac_apis_by_post_and_get(self):
        server = self.serve(page_size=2)
        for method in ("post", "get"):
            with self.subTest(method):
                shutil.rmtree(self.folder + "/out", ignore_errors=True)
                items = [{**item, "collection": collection_of(item) + "_2.0"} for item in self.items]
                server.catalogue.items = items
                self.stac("--source", "stac-api", "--input", server.url + "/api", "--method", method, "--collection", "HLSL30_2.0,HLSS30_2.0",
                          "--year-month", "202406", "--destination", self.folder + "/out")
                self.assert_month(self.file(), items)
        server.catalogue.hits_more = 2
        result = self.stac("--source", "stac-api", "--input", server.url + "/api", "--year-month", "202406", "--destination", self.folder + "/new", code=3)
        self.assertIn("items match", self.failures(result)["CountMismatch"]["error"])

    # Without this a broken item of a page is forgotten by the second run, which then says that nothing is missing.
    def test_a_broken_item_of_an_api_is_missing_in_every_run(self):
        items = [{**item, "collection": "c"} for item in self.items]
        del items[5]["geometry"]
        server = self.serve(items)
        words = ("--source", "stac-api", "--input", server.url + "/api", "--year-month", "202406", "--destination", self.folder + "/out")
        for _ in range(2):
            result = self.stac(*words, code=3)
            self.assertEqual(self.failures(result)["NoGeometry"]["item"], items[5]["id"])
        server.catalogue.items[server.catalogue.items.index(items[5])] = {**self.items[5], "collection": "c"}
        self.stac(*words)

    # Without this a retry publishes items that were revised since, and granules that are not there any more.
    def test_a_retry_publishes_nothing_stale(self):
        server = self.serve()
        late = self.items[20]["id"]
        server.catalogue.gone.add(late)
        for checkpoint in ((), ("--checkpoint", self.folder + "/checkpoint")):
            with self.subTest(checkpoint):
                shutil.rmtree(self.folder + "/out", ignore_errors=True)
                shutil.rmtree(self.folder + "/work", ignore_errors=True)
                server.catalogue.items = list(self.items)
                server.catalogue.gone.add(late)
                self.month(server, *checkpoint, code=3)
                if checkpoint:
                    shutil.rmtree(self.folder + "/work")
                server.catalogue.gone.clear()
                server.catalogue.items.remove(self.items[30])
                # An older `updated` than that of nobody: the list counts, not the item.
                revised = copy.deepcopy(self.items[3])
                revised["properties"]["updated"] = "2024-07-01T00:00:00Z"
                revised["properties"]["eo:cloud_cover"] = 77.0
                server.catalogue.items[server.catalogue.items.index(self.items[3])] = revised
                before = server.count("_stac.json")
                result = self.month(server, *checkpoint)
                self.assertEqual(server.count("_stac.json") - before, 2)
                self.assertEqual((result["counts"]["revised_or_gone"], result["counts"]["rows"], result["counts"]["duplicates"]), (2, 59, 0))
                there = self.items_of(self.file())
                self.assertEqual(there[revised["id"]]["properties"]["eo:cloud_cover"], 77.0)
                self.assertNotIn(self.items[30]["id"], there)

    # Without this a day that was asked for before it was over, or long ago, is taken for the day.
    def test_old_days_of_an_api_are_asked_for_again(self):
        items = [{**item, "collection": "c"} for item in self.items]
        for checkpoint in ((), ("--checkpoint", self.folder + "/checkpoint")):
            with self.subTest(checkpoint):
                shutil.rmtree(self.folder + "/work", ignore_errors=True)
                broken = copy.deepcopy(items[5])
                del broken["geometry"]
                server = self.serve(items[:40] + [broken] + items[41:])
                words = ("--source", "stac-api", "--input", server.url + "/api", "--year-month", "202406", "--destination", self.folder + "/out", *checkpoint)
                self.stac(*words, code=3)
                server.catalogue.items = list(items)
                for folder, _, names in os.walk(self.folder):
                    for name in names:
                        if name.endswith((".index", ".sources")):
                            os.utime(os.path.join(folder, name), (0, os.path.getmtime(os.path.join(folder, name)) - 2 * 86400))
                if checkpoint:
                    shutil.rmtree(self.folder + "/work")
                result = self.stac(*words)
                self.assertEqual((result["counts"]["rows"], result["counts"].get("kept_from_earlier_run", 0)), (60, 0))

    # Without this items of files that were changed or taken away between two runs are published.
    def test_files_that_changed_between_two_runs(self):
        items = [{**item, "collection": "c"} for item in self.items]
        self.write("in/a.ndjson", self.lines(items[:20]))
        self.write("in/b.ndjson", self.lines(items[20:30]))
        self.write("in/c.ndjson", self.lines(items[30:40]))
        self.write("in/d.ndjson", b'{"type":"Feature"\n')
        words = ("--source", "files", "--input", self.folder + "/in", "--destination", self.folder + "/out")
        self.stac(*words, code=3)
        self.write("in/a.ndjson", self.lines(items[2:20]))
        os.rename(self.folder + "/in/b.ndjson", self.folder + "/b")
        self.write("in/d.ndjson", self.lines(items[40:]))
        result = self.stac(*words, "--keep-work")
        self.assertEqual((result["counts"]["files_from_earlier_run"], result["counts"]["revised_or_gone"], result["counts"]["duplicates"]), (1, 30, 0))
        self.assert_month(self.file(), items[2:20] + items[30:])
        os.rename(self.folder + "/b", self.folder + "/in/b.ndjson")
        result = self.stac(*words)
        self.assertEqual(result["counts"]["files_from_earlier_run"], 3)
        self.assert_month(self.file(), items[2:])

    # Without this links that were found for one box make a month of another.
    def test_links_of_a_box_are_not_those_of_another(self):
        places = [(10, 10), (10, 50), (-100, 10)]
        items = [make_item("S30", datetime.datetime(2024, 6, 3, 4, serial), west, south, serial) for serial, (west, south) in enumerate(places)]
        server = self.serve(items)
        words = ("--collection", "HLSS30", "--links", self.folder + "/cache", "--skip-existing")
        for box, expected in (("5,5,20,20", items[:1]), ("0,0,30,60", items[:2]), ("5,5,20,20.0", items[:1]), (None, items)):
            with self.subTest(box):
                shutil.rmtree(self.folder + "/out", ignore_errors=True)
                self.month(server, *words, *(("--bounding-box", box) if box else ()))
                self.assert_month(self.file(), expected)
        shutil.rmtree(self.folder + "/out")
        searches = server.count("granules.json")
        self.month(server, *words, "--bounding-box", "0,0,30,60")
        self.assert_month(self.file(), items[:2])
        self.assertEqual(server.count("granules.json"), searches)
        result = self.month(server, *words[:-1], "--bounding-box", "1,0,30,60", "--require-complete-links", code=3)
        self.assertIn("NoLinks", self.failures(result))

    # Without this --skip-existing takes a file for what it asks for that was made of something else.
    def test_skip_existing_knows_what_a_file_was_made_of(self):
        places = [(10, 10), (10, 50), (-100, 10)]
        items = [make_item("S30", datetime.datetime(2024, 6, 3, 4, serial), west, south, serial) for serial, (west, south) in enumerate(places)]
        server = self.serve(items)

        def skip(*words, code=0):
            with open(self.file(), "rb") as file:
                before = file.read()
            searches = server.count("granules.json")
            result = self.month(server, "--skip-existing", *words, code=code)
            with open(self.file(), "rb") as file:
                self.assertEqual(file.read(), before)
            self.assertEqual(server.count("granules.json"), searches)
            return result

        self.month(server, "--collection", "HLSS30", "--bounding-box", "5,5,20,20")
        self.assertEqual(skip("--collection", "HLSS30_2.0", "--bounding-box", "5,5,20,20.0")["counts"]["months_skipped"], 1)
        for words in (("--collection", "HLSS30", "--bounding-box", "0,0,30,60"), ("--collection", "HLSS30"), ("--bounding-box", "5,5,20,20")):
            result = skip(*words, code=3)
            self.assertEqual(result["counts"]["months_refused"], 1)
            self.assertIn("HLSS30_2.0 in 5,5,20,20 instead of", self.failures(result)["MadeOfOther"]["error"])
        # What a merge adds is known, too; and a file of all the earth has every box of it.
        self.month(server, "--merge", "--collection", "HLSS30", "--bounding-box", "0,0,30,60")
        for box in ("5,5,20,20", "0,0,30,60"):
            self.assertEqual(skip("--collection", "HLSS30", "--bounding-box", box)["counts"]["months_skipped"], 1)
        self.month(server, "--merge", "--collection", "HLSS30")
        self.assertEqual(skip("--collection", "HLSS30", "--bounding-box", "1,1,2,2")["counts"]["months_skipped"], 1)
        skip("--collection", "HLSL30", code=3)
        # Asked for at once what was added bit by bit.
        self.month(server, "--merge", "--collection", "HLSL30")
        self.assertEqual(skip("--collection", "HLSS30,HLSL30", "--bounding-box", "1,1,2,2")["counts"]["months_skipped"], 1)
        with open(self.file(), "wb") as file:
            file.write(b"no Parquet at all")
        self.assertIn("NoParquet", self.failures(skip("--collection", "HLSS30", code=3)))

    # Without this a file that holds more than anybody wrote down is refused after a merge for what it does hold.
    def test_a_merge_into_a_file_that_does_not_say_what_it_holds(self):
        server = self.serve()
        items = [{**item, "collection": collection_of(item) + "_2.0"} for item in self.items]
        self.stac("--source", "files", "--input", self.write("items.ndjson", self.lines(items)), "--destination", self.folder + "/out")
        self.month(server, "--merge", "--collection", "HLSS30")
        for name in ("HLSS30", "HLSL30"):
            self.assertEqual(self.month(server, "--skip-existing", "--collection", name)["counts"]["months_skipped"], 1)

    # Without this a merge says nothing of rows that nobody lists any more.
    def test_merge_counts_what_is_not_listed_any_more(self):
        server = self.serve()
        self.month(server)
        del server.catalogue.items[7]
        result = self.month(server, "--merge")
        self.assertEqual((result["counts"]["rows"], result["counts"]["kept_not_listed"]), (60, 1))
        result = self.month(server, "--merge", "--collection", "HLSS30")
        self.assertEqual(result["counts"]["rows"], 60)
        self.assertGreaterEqual(result["counts"]["kept_not_listed"], sum(".L30." in item["id"] for item in self.items))
        result = self.month(self.serve(), "--merge")
        self.assertEqual((result["counts"]["rows"], result["counts"]["kept_not_listed"]), (60, 0))

    # Without this a catalogue whose answers were emptied on their way makes empty days.
    def test_an_answer_that_does_not_say_how_many_there_are(self):
        server = self.serve()
        answer = BadHandler.answer
        server.RequestHandlerClass = type("Mute", (BadHandler,), {"answer": lambda handler, body, status=200, headers=(): answer(
            handler, body, status, [pair for pair in headers if pair[0] != "CMR-Hits"])})
        result = self.month(server, code=3)
        self.assertIn("NoHits", self.failures(result))
        self.assertFalse(os.path.exists(self.file()))

    # Without this an answer without a length fills the memory.
    def test_an_endless_answer(self):
        server = self.serve()

        def endless(handler, query):
            handler.send_response(200)
            handler.send_header("CMR-Hits", "1")
            handler.send_header("Connection", "close")
            handler.end_headers()
            try:
                while True:
                    handler.wfile.write(b" " * (1 << 20))
            except OSError:
                handler.close_connection = True

        server.RequestHandlerClass = type("Endless", (BadHandler,), {"granules": endless})
        place = self.folder + "/result.json"
        done = subprocess.run(["prlimit", "--data=1500000000", *self.command("--input", server.url, "--year-month", "202406", "--destination",
                                                                            self.folder + "/out", "--max-concurrent-days", "1", "--result", place,
                                                                            "--collection", "HLSL30")], stdout=subprocess.DEVNULL, timeout=200)
        self.assertEqual(done.returncode, 3)
        with open(place, encoding="utf-8") as file:
            self.assertEqual({entry["code"] for entry in json.load(file)["failed"]}, {"TooLarge", "Incomplete"})

    # Without this a collection of the name ".." is written beside the destination, or one overwrites another.
    def test_names_of_collections_are_no_paths(self):
        names = ["..", ".", "a/b", "a%2Fb", "../../c", "é"]
        items = [{**item, "collection": names[serial % len(names)]} for serial, item in enumerate(self.items[:12])]
        bad = [{**self.items[20], "collection": "a\0b"}, {**self.items[21], "collection": "line\nbreak"}, {**self.items[22], "collection": "long" * 100}]
        self.write("deep/er/in/items.ndjson", self.lines(items))
        words = ("--source", "files", "--destination", self.folder + "/deep/er/out", "--layout", "collection-month")
        result = self.stac(*words, "--input", self.folder + "/deep/er/in")
        self.assertEqual(len({entry["file"] for entry in result["files"]}), len(names))
        self.assertEqual(os.listdir(self.folder + "/deep"), ["er"])
        self.assertEqual(sorted(os.listdir(self.folder + "/deep/er")), ["in", "out"])
        there = {}
        for entry in result["files"]:
            there.update(self.items_of(entry["file"]))
        self.assertEqual({name: item["collection"] for name, item in there.items()}, {item["id"]: item["collection"] for item in items})
        self.write("bad.ndjson", self.lines(bad))
        result = self.stac(*words, "--input", self.folder + "/bad.ndjson", code=3)
        self.assertEqual([entry["code"] for entry in result["failed"]], ["WrongType"] * 3 + ["Incomplete"])

    # Without this integers beyond 64 bits lose their digits, or numbers and members that say nothing sure are guessed at.
    def test_numbers_of_any_length(self):
        items = [{**item, "collection": "c"} for item in self.items[:6]]
        long = [2**64, -(10**40), 2**63, -(2**63), 2**53 + 1, 12345678901234567890123]
        for item, number in zip(items, long):
            item["properties"]["x:number"] = number
            item["properties"]["x:deep"] = {"list": [number, 1], "text": "123456789012345678901234567890"}
        self.write("items.ndjson", self.lines(items))
        words = ("--source", "files", "--destination", self.folder + "/out", "--input", self.folder + "/items.ndjson")
        self.stac(*words)
        there = self.items_of(self.file())
        for item in items:
            self.assertEqual(there[item["id"]]["properties"], item["properties"])
        text = json.dumps(items[0])
        for code, broken in {"BadNumber": text.replace(str(2**64), "1e999"), "TwiceMember": text.replace('"id":', '"id": "another", "id":'),
                             "BrokenJson": text.replace(str(2**64), "x")}.items():
            with self.subTest(code):
                self.write("items.ndjson", broken.encode() + b"\n")
                result = self.stac(*words, code=3)
                self.assertIn("line 1", self.failures(result)[code]["item"])

    # Without this the footer says of a collection what nobody knows, or forgets what its source says of it.
    def test_collections_are_what_their_source_says(self):
        known = {"type": "Collection", "id": "HLSL30_2.0", "stac_version": "1.0.0", "description": "of the API", "license": "CC0-1.0", "title": "Landsat",
                 "extent": {"spatial": {"bbox": [[-180, -80, 180, 80]]}, "temporal": {"interval": [["2013-04-11T00:00:00Z", None]]}}, "links": [],
                 "summaries": {"gsd": [30]}}
        answers = {"/api/collections/HLSL30_2.0": known,
                   "/search/collections.json?concept_id%5B%5D=C2021957657-LPCLOUD": {"feed": {"entry": [{"id": "C2021957657-LPCLOUD", "title": "Landsat",
                                                                                                         "summary": "of CMR"}]}}}

        class Describing(BadHandler):
            def meddle(self, path):
                if self.path not in answers:
                    return super().meddle(path)
                self.answer(answers[self.path])
                return True

        items = [{**item, "collection": collection_of(item) + "_2.0"} for item in self.items]
        server = self.serve(items)
        server.RequestHandlerClass = Describing
        for words in (("--source", "stac-api", "--input", server.url + "/api"), ("--input", server.url)):
            with self.subTest(words):
                result = self.stac(*words, "--year-month", "202406", "--destination", self.folder + "/out")
                self.assertEqual(result["counts"]["collections_not_described"], 1)
                self.assertEqual(subprocess.run([BINARY, "stac", "verify", self.file()], capture_output=True).returncode, 0)
                with open(self.file(), "rb") as file:
                    footer = file.read()
                begin = footer.rindex(b'{"version":"1.0.0","collections":')
                collections = json.JSONDecoder().raw_decode(footer[begin:].decode("utf-8", "replace"))[0]["collections"]
                self.assertEqual(sorted(collections), ["HLSL30_2.0", "HLSS30_2.0"])
                self.assertEqual(collections["HLSS30_2.0"]["license"], "other")
                self.assertEqual(len(collections["HLSS30_2.0"]["extent"]["spatial"]["bbox"][0]), 4)
                if "stac-api" in words:
                    self.assertEqual(collections["HLSL30_2.0"], known)
                else:
                    self.assertEqual((collections["HLSL30_2.0"]["title"], collections["HLSL30_2.0"]["description"]), ("Landsat", "of CMR"))
                    self.assertEqual(collections["HLSL30_2.0"]["license"], "other")

    def write(self, name, data):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        return path

    @staticmethod
    def lines(items):
        return b"".join(json.dumps(item).encode() + b"\n" for item in items)

    # Without this items in one form or another are not read, or months and newer versions are mixed up.
    def test_files_of_items_in_all_forms(self):
        july = make_month(2024, 7, 10, SEED + 1)
        items = [{**item, "collection": "made"} for item in self.items + july]
        old = copy.deepcopy(items[0])
        old["properties"]["updated"] = "2024-01-01T00:00:00Z"
        items[0]["properties"]["updated"] = "2024-02-01T00:00:00Z"
        self.write("in/a/lines.ndjson.gz", gzip.compress(self.lines(items[:20])))
        self.write("in/a/old.jsonl", self.lines([old]))
        self.write("in/collection.geojson", json.dumps({"features": items[20:40], "type": "FeatureCollection"}, indent=1).encode())
        for item in items[40:50]:
            self.write(f"in/single/{item['id']}.json", json.dumps(item, indent=2).encode())
        self.write("in/single/catalog.json", b'{"type":"Catalog","id":"c"}')
        self.write("in/readme.txt", b"not an item")
        subprocess.run(["zstd", "-q", "-o", self.folder + "/in/rest.ndjson.zst"], input=self.lines(items[50:]), check=True)
        result = self.stac("--source", "files", "--input", self.folder + "/in", "--destination", self.folder + "/out")
        self.assertEqual((result["counts"]["duplicates"], result["counts"]["not_items"], result["counts"]["files_ignored"]), (1, 1, 1))
        self.assert_month(self.file(), items[:60])
        self.assertEqual(self.items_of(self.file())[items[0]["id"]]["properties"]["updated"], "2024-02-01T00:00:00Z")
        self.assert_month(self.file().replace("month=06", "month=07"), items[60:])
        self.write("in/broken.ndjson", self.lines(items[:1]) + b'{"type":"Feature"\n')
        self.write("in/cut.ndjson.gz", gzip.compress(self.lines(items[:9]))[:-20])
        for _ in range(2):
            result = self.stac("--source", "files", "--input", self.folder + "/in", "--destination", self.folder + "/out", code=3)
            self.assertIn("broken.ndjson, line 2", self.failures(result)["BrokenJson"]["item"])
            self.assertIn("cut.ndjson.gz", self.failures(result)["BrokenArchive"]["item"])

    # Without this nonsense is asked of a server, or a typing error makes another month.
    def test_wrong_usage(self):
        for words in (["--year-month", "202413"], ["--year-month", "2024"], [], ["--year-month", "202406", "--bounding-box", "1,2,3"],
                      ["--year-month", "202406", "--bounding-box", "1,9,3,4"], ["--from", "202406"], ["--from", "202406", "--to", "202405"],
                      ["--year-month", "202406", "--links-only"], ["--source", "files"], ["--year-month", "202406", "--source", "stac-api"],
                      ["202406"], ["202406", "bucket", "prefix", "perhaps"], ["202406", ""], ["--collection", "a/b", "--year-month", "202406"]):
            with self.subTest(words):
                words = words + ["--destination", self.folder + "/out"] if not words or not words[0].startswith("2") else words
                self.stac(*words, code=2)
        self.stac("--year-month", "202406", code=2)
        self.stac("--year-month", "202406", "--destination", self.folder + "/out", code=2,
                  environment={"AWS_BATCH_JOB_ARRAY_INDEX": "0", "AWS_BATCH_JOB_ARRAY_SIZE": "2"})


class InTheEngine(unittest.TestCase):
    # Without this the example does not work, or a backfill does one month in every child.
    def test_the_example_as_an_array_over_months(self):
        from batch_setup import wait_for_job
        with MillraceServer() as server, open(os.path.join(EXAMPLE, "recordings.ndjson"), encoding="utf-8") as file:
            replay = self.enterContext(Replay([json.loads(line) for line in file]))
            environment = {**server.environment, "CATALOGUE": replay.url, "AWS_CLI": os.environ.get("AWS_CLI", "aws")}
            done = subprocess.run([os.path.join(EXAMPLE, "set-up")], env=environment, capture_output=True, text=True, timeout=120)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            batch, s3 = server.boto3("batch"), server.boto3("s3")
            job = batch.submit_job(jobName="backfill", jobQueue="stac", jobDefinition="stac", arrayProperties={"size": 2},
                                   parameters={"from": "202406", "to": "202407", "catalogue": replay.url})["jobId"]
            self.assertEqual(wait_for_job(batch, job)["status"], "SUCCEEDED")
            keys = [o["Key"] for o in s3.list_objects_v2(Bucket="stac-example", Prefix="hls/")["Contents"]]
            self.assertEqual(keys, ["hls/year=2024/month=06/data.parquet", "hls/year=2024/month=07/data.parquet"])
            # As the original's container was called.
            environment = {**server.environment, "MAX_CONCURRENT_DAYS": "3", "MAX_CONCURRENT_PER_DAY": "5", "TEMP_DIR": server.folder + "/temp"}
            done = subprocess.run([BINARY, "stac", "202406", "stac-example", "v1", "true", "--input", replay.url], env=environment,
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(json.loads(done.stdout.splitlines()[-1])["counts"]["rows"], 12)
            s3.head_object(Bucket="stac-example", Key="v1/year=2024/month=06/data.parquet")

    # Without this items are not read from S3, or an attempt on another machine does not find what the first one fetched.
    def test_items_and_checkpoints_in_s3(self):
        items = make_month(2024, 6, 30, SEED)
        with MillraceServer() as server:
            replay = self.enterContext(Replay(items))
            s3 = server.boto3("s3")
            for bucket in ("lp-prod-public", "out"):
                s3.create_bucket(Bucket=bucket)
            for item in items[1:]:
                s3.put_object(Bucket="lp-prod-public", Key=item["id"] + "_stac.json", Body=json.dumps(item).encode())
            s3.put_object(Bucket="out", Key="items/a/all.ndjson", Body=Stac.lines({**item, "collection": "c"} for item in items))
            s3.put_object(Bucket="out", Key="items-other/no.ndjson", Body=b"not an item")

            def stac(*words, code=0):
                with tempfile.TemporaryDirectory() as work:
                    done = subprocess.run([BINARY, "stac", "--quiet", "--work", work, *words], env=server.environment, capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, code, done.stdout + done.stderr)
                return json.loads(done.stdout.splitlines()[-1])

            words = ("--year-month", "202406", "--input", replay.url, "--protocol", "s3", "--destination", "s3://out/hls", "--checkpoint", "s3://out/checkpoint",
                     "--links", "s3://out/cache")
            result = stac(*words, code=3)
            self.assertEqual(result["failed"][0]["item"], f"s3://lp-prod-public/{items[0]['id']}_stac.json")
            s3.put_object(Bucket="lp-prod-public", Key=items[0]["id"] + "_stac.json", Body=json.dumps(items[0]).encode())
            result = stac(*words)
            self.assertEqual((result["counts"]["rows"], result["counts"]["fetched"], result["counts"]["kept_from_earlier_run"]), (30, 1, 29))
            keys = [o["Key"] for o in s3.list_objects_v2(Bucket="out").get("Contents", [])]
            self.assertEqual([key for key in keys if key.startswith(("checkpoint", "hls"))], ["hls/year=2024/month=06/data.parquet"])
            self.assertEqual(stac(*words, "--require-complete-links", "--merge")["counts"]["already_in_file"], 30)
            result = stac("--source", "files", "--input", "s3://out/items", "--destination", "s3://out/files")
            self.assertEqual((result["counts"]["rows"], result["counts"]["files_read"]), (30, 1))

    # Without this the later of two merges of a month in S3 takes the other's items out again.
    def test_a_merge_in_s3_does_not_undo_another(self):
        items = make_month(2024, 6, 20, SEED)
        with MillraceServer() as server:
            replay = self.enterContext(BadReplay(items[:10]))
            s3 = server.boto3("s3")
            s3.create_bucket(Bucket="out")

            def month(*words, code=0):
                with tempfile.TemporaryDirectory() as work:
                    done = subprocess.run([BINARY, "stac", "--quiet", "--work", work, "--input", replay.url, "--year-month", "202406",
                                           "--destination", "s3://out/hls", *words], env=server.environment, capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, code, f"seed {SEED}: " + done.stdout + done.stderr)
                return json.loads(done.stdout.splitlines()[-1])["counts"] if code == 0 else done.stdout + done.stderr

            others = []

            def fault(_command, path, _headers):
                if "_stac.json" in path and not others:
                    others.append(None)
                    others[0] = month("--merge")
                return None

            # The first month of its place, which another makes at the same time; and one that is there.
            for count in (10, 20):
                replay.catalogue.items = list(items[:count])
                others.clear()
                replay.fault = fault
                self.assertIn("another run has written it", month("--merge", code=1))
                replay.fault = None
                self.assertEqual(others[0]["rows"], count)
                self.assertEqual(month("--merge")["rows"], count)
            self.assertEqual([o["Key"] for o in s3.list_objects_v2(Bucket="out")["Contents"]], ["hls/year=2024/month=06/data.parquet"])
            self.assertEqual(month("--skip-existing", "--collection", "HLSS30")["months_skipped"], 1)
            self.assertIn("MadeOfOther", month("--skip-existing", "--collection", "HLSS30,C123-OTHER", code=3))


if __name__ == "__main__":
    unittest.main()
