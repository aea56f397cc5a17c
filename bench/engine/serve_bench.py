"""What the engine's benches share: a private server, the load client, the peers' clocks.

The programs are taken from $MILLRACE_BUILD (default build/release, configured with -DMILLRACE_BENCH=ON).
"""

import os
import pathlib
import re
import resource
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MILLRACE_BUILD", REPOSITORY / "build" / "release"))
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def median(values):
    return statistics.median(values)


def fsync_per_s(folder, seconds=1):
    """Durable 4 KiB appends a second: what the disk can do."""
    out = subprocess.run([BUILD / "bench" / "fsync_loop", os.path.join(folder, "fsync"), str(seconds)],
                         check=True, capture_output=True, text=True).stdout
    return float(out.split()[1])


def other_load():
    """What of the machine's CPUs others used in the last second, in CPUs: a figure next to every result."""
    def busy():
        fields = [int(x) for x in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
        return sum(fields) - fields[3] - fields[4]
    before = busy()
    time.sleep(1)
    return (busy() - before) / TICKS


def timed(command, **keywords):
    """Runs a command; gives (wall, CPU of it and all its children) in seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, check=True, **keywords)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cpu_of(pid):
    """CPU seconds of a process and of the children it has waited for."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(x) for x in fields[11:15]) / TICKS


class Server:
    """A `millrace serve` with a data folder of its own; `with` removes both."""

    def __init__(self, *arguments):
        self.arguments = arguments
        self.folder = tempfile.mkdtemp(prefix="millrace-bench-", dir=os.environ.get("MILLRACE_BENCH_DIR"))
        self.data = os.path.join(self.folder, "data")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        runner = self.runner_pid()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        if runner:
            os.kill(runner, signal.SIGTERM)
            while os.path.exists(f"/proc/{runner}"):
                time.sleep(0.01)
        shutil.rmtree(self.folder)

    def start(self):
        """Gives the seconds until the server answers /healthz."""
        start = time.monotonic()
        self.process = subprocess.Popen(
            [BUILD / "millrace", "serve", "--data", self.data, "--listen", "127.0.0.1:0", "--runtime", "process",
             "--log-level", "error", *self.arguments], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.url = re.search(r"http://[\d.:]+", line).group(0)
        subprocess.run(["curl", "-sf", self.url + "/healthz"], check=True, stdout=subprocess.DEVNULL)
        return time.monotonic() - start

    def kill(self):
        self.process.kill()
        self.process.wait()

    def runner_pid(self):
        """The runner's process: the one that has the table of attempts of our data folder open."""
        table = os.path.join(self.data, "runner", "lock")
        for process in pathlib.Path("/proc").iterdir():
            if not process.name.isdigit() or int(process.name) == self.process.pid:
                continue
            try:
                if any(os.readlink(fd) == table for fd in (process / "fd").iterdir()):
                    return int(process.name)
            except OSError:
                continue
        return None

    def cpu(self):
        """(engine, runner with its jobs) in seconds since they started."""
        runner = self.runner_pid()
        return cpu_of(self.process.pid), cpu_of(runner) if runner else 0.0

    def rss_mib(self):
        return int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * PAGE / 2**20

    def load(self, *arguments):
        """Runs the load client; gives its figures."""
        out = subprocess.run([BUILD / "bench" / "load_client", self.url, os.path.join(self.data, "root-key.json"),
                              *[str(a) for a in arguments]], check=True, stdout=subprocess.PIPE, text=True).stdout
        return {name: float(value) for name, value in (line.split() for line in out.splitlines())}
