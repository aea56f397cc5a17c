"""Starts a Millrace server on a free port for one test, with the clients' environment for it.

    with MillraceServer() as server:
        subprocess.run(["aws", ...], env=server.environment)

The program is $MILLRACE_BINARY. The server, its runner and everything in its data folder are gone afterwards.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time


class MillraceServer:
    def __init__(self, arguments=("--runtime", "process"), parent=None):
        self.own_environment = {}  # what the server gets beside this process's environment
        self.binary = os.environ["MILLRACE_BINARY"]
        self.arguments = list(arguments)
        self.folder = tempfile.mkdtemp(prefix="millrace-e2e-", dir=parent)
        self.process = None
        self.endpoint = None
        self.environment = None
        self.output = []

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        pid = self.runner_pid()
        if pid:
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: self.runner_pid() is None, "the runner ends on SIGTERM")
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def data(self):
        return os.path.join(self.folder, "data")

    def start(self):
        """Starts, or starts again on the same data folder (on another port)."""
        self.endpoint = None
        process = subprocess.Popen(
            [self.binary, "serve", "--data", self.data, "--listen", "127.0.0.1:0", *self.arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, **self.own_environment})
        self.process = process
        for line in process.stdout:
            self.output.append(line)
            match = re.search(r"listening on (https?://[\d.:]+)", line)
            if match:
                self.endpoint = match.group(1)
                break
        if self.endpoint is None:
            process.wait()
            process.stdout.close()
            raise RuntimeError("millrace serve did not start:\n" + "".join(self.output))
        # Somebody has to read on, or the server blocks on a full pipe.
        threading.Thread(target=self._read_on, args=(process.stdout,), daemon=True).start()
        if self.environment is None:
            self.environment = self._environment()
        self.environment["AWS_ENDPOINT_URL"] = self.endpoint

    def _read_on(self, stream):
        with stream:
            self.output.extend(stream)

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def runner_pid(self):
        """The pid of this data folder's runner, None when there is none. It is no child of ours."""
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if b"runner" in words[1:2] and self.data.encode() in words:
                return int(entry)
        return None

    def _environment(self):
        """This process's environment without its own AWS settings, and with the exports of `millrace env`."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        printed = subprocess.run([self.binary, "env", "--data", self.data], check=True, capture_output=True,
                                 text=True, timeout=60).stdout
        for name, value in re.findall(r"^export (\w+)=['\"]?([^'\"\n]*)['\"]?$", printed, re.M):
            environment[name] = value
        environment.setdefault("AWS_DEFAULT_REGION", "us-east-1")
        environment["AWS_REGION"] = environment["AWS_DEFAULT_REGION"]
        environment["AWS_CONFIG_FILE"] = environment["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
        environment["AWS_EC2_METADATA_DISABLED"] = "true"
        environment["AWS_PAGER"] = ""
        environment["PYTHONIOENCODING"] = "utf-8"
        environment["LC_ALL"] = "C.UTF-8"
        return environment

    def boto3(self, service, **changes):
        """A boto3 client; `changes` replace its arguments (aws_secret_access_key=…, config=…)."""
        import boto3
        arguments = {"endpoint_url": self.endpoint, "region_name": self.environment["AWS_DEFAULT_REGION"],
                     "aws_access_key_id": self.environment["AWS_ACCESS_KEY_ID"],
                     "aws_secret_access_key": self.environment["AWS_SECRET_ACCESS_KEY"],
                     "verify": self.environment.get("AWS_CA_BUNDLE"), **changes}
        return boto3.client(service, **arguments)

    def aws_command(self, *arguments):
        """Debian's AWS CLI, which does not know AWS_ENDPOINT_URL; another one may come first in PATH."""
        program = "/usr/bin/aws" if os.path.exists("/usr/bin/aws") else "aws"
        return [program, "--endpoint-url", self.endpoint, *arguments]

    def aws(self, *arguments, check=True, timeout=60, **options):
        """Runs the AWS CLI to its end; returns the finished process."""
        done = subprocess.run(self.aws_command(*arguments), env=self.environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout, **options)
        if check and done.returncode != 0:
            raise AssertionError(f"aws {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done


def wait_until(condition, what, seconds=60, every=0.05):
    """Returns what `condition` gave once it is true. For conditions that nobody announces."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(every)
