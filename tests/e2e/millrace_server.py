"""Starts a Millrace server on a free port for one test, with the clients' environment for it.

    with MillraceServer() as server:
        subprocess.run(["aws", ...], env=server.environment)

The program is $MILLRACE_BINARY. The server and everything in its data folder are gone afterwards.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading


class MillraceServer:
    def __init__(self, arguments=()):
        self.binary = os.environ["MILLRACE_BINARY"]
        self.arguments = list(arguments)
        self.folder = tempfile.mkdtemp(prefix="millrace-e2e-")
        self.process = None
        self.endpoint = None
        self.output = []

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def data(self):
        return os.path.join(self.folder, "data")

    def start(self):
        self.process = subprocess.Popen(
            [self.binary, "serve", "--data", self.data, "--listen", "127.0.0.1:0", *self.arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.process.stdout:
            self.output.append(line)
            match = re.search(r"listening on (http://[\d.:]+)", line)
            if match:
                self.endpoint = match.group(1)
                break
        if self.endpoint is None:
            self.process.wait()
            raise RuntimeError("millrace serve did not start:\n" + "".join(self.output))
        # Somebody has to read on, or the server blocks on a full pipe.
        threading.Thread(target=self.output.extend, args=(self.process.stdout,), daemon=True).start()
        self.environment = self._environment()

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

    def _environment(self):
        """This process's environment without its own AWS settings, and with the exports of `millrace env`."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        printed = subprocess.run([self.binary, "env", "--data", self.data], check=True, capture_output=True,
                                 text=True, timeout=60).stdout
        for name, value in re.findall(r"^export (\w+)=['\"]?([^'\"\n]*)['\"]?$", printed, re.M):
            environment[name] = value
        environment["AWS_ENDPOINT_URL"] = self.endpoint
        environment.setdefault("AWS_DEFAULT_REGION", "us-east-1")
        environment["AWS_REGION"] = environment["AWS_DEFAULT_REGION"]
        environment["AWS_CONFIG_FILE"] = environment["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
        environment["AWS_EC2_METADATA_DISABLED"] = "true"
        environment["AWS_PAGER"] = ""
        return environment

    def boto3(self, service):
        import boto3
        environment = self.environment
        return boto3.client(service, endpoint_url=self.endpoint, region_name=environment["AWS_DEFAULT_REGION"],
                            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
                            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"])

    def aws(self, *arguments, check=True, timeout=60):
        """Runs Debian's AWS CLI, which does not know AWS_ENDPOINT_URL; returns the finished process."""
        program = os.environ.get("MILLRACE_AWSCLI", "/usr/bin/aws")
        done = subprocess.run([program, "--endpoint-url", self.endpoint, *arguments], env=self.environment,
                              capture_output=True, text=True, timeout=timeout)
        if check and done.returncode != 0:
            raise AssertionError(f"aws {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done
