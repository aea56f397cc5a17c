"""Without this: files of `millrace stac` could be such that nobody else reads them, or reads something else in them."""

import json
import os
import random
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from stac_items import make_month  # noqa: E402

SKIP = 77  # ctest's SKIP_RETURN_CODE
BINARY = os.environ["MILLRACE_BINARY"]
SEED = int(os.environ.get("SEED", random.randrange(10**6)))

setup = subprocess.run([os.path.join(HERE, "js", "setup.sh")], stdout=subprocess.PIPE, text=True)
if setup.returncode != 0:
    print("skipped: the npm packages are not there and could not be fetched")
    sys.exit(SKIP)
node = setup.stdout.strip()

with tempfile.TemporaryDirectory() as folder:
    print("seed", SEED)
    items = make_month(2024, 6, 400, SEED)
    for item in items:
        item["collection"] = "HLSL30_2.0" if ".L30." in item["id"] else "HLSS30_2.0"
    lines = os.path.join(folder, "items.ndjson")
    with open(lines, "w") as out:
        out.writelines(json.dumps(item) + "\n" for item in items)
    archive = os.path.join(folder, "out")
    result = os.path.join(folder, "result.json")
    subprocess.run([BINARY, "stac", "--source", "files", "--input", lines, "--destination", archive, "--result", result, "--quiet"], check=True)
    file = os.path.join(archive, "year=2024", "month=06", "data.parquet")

    def verify(*more):
        return subprocess.run([BINARY, "stac", "verify", file, *more], stdout=subprocess.PIPE, text=True, timeout=60)

    good = verify("--result", result)
    assert good.returncode == 0, good.stdout
    assert "400 rows" in good.stdout, good.stdout
    wrong = verify("--rows", "401")
    assert wrong.returncode == 1 and "must have 401" in wrong.stdout, wrong.stdout
    sys.exit(subprocess.run([node, os.path.join(HERE, "js", "geoparquet_readers.mjs"), lines, file], timeout=200).returncode)
