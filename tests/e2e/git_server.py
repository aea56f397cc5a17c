"""Git repositories over HTTP (git http-backend behind a small server) and SSH (a private sshd), for one test.

    with GitServer() as server:
        server.make("acme/one", {"README": "hello"})
        server.url("acme/one"), server.ssh_url("acme/one")

What a path does besides: server.private[path] = (user, password), server.moved[path] = new path, server.busy[path] = how many times it answers
503 first, server.hanging: paths that never answer. server.requests counts requests by path.
"""

import base64
import collections
import http.server
import os
import shutil
import subprocess
import tempfile
import threading

BACKEND = "/usr/lib/git-core/git-http-backend"


class GitServer:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="millrace-git-")
        self.root = f"{self.folder}/repositories"
        os.mkdir(self.root)
        self.private, self.moved, self.busy, self.hanging = {}, {}, {}, set()
        self.requests = collections.Counter()
        self.closing = threading.Event()
        self.sshd = None
        self.environment = {**{k: v for k, v in os.environ.items() if not k.startswith("GIT_")}, "HOME": self.folder,
                            "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
                            "GIT_COMMITTER_EMAIL": "a@b"}

    def __enter__(self):
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                owner.answer(self)

            do_POST = do_GET

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()
        if self.sshd:
            self.sshd.terminate()
            self.sshd.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, path):
        return f"http://127.0.0.1:{self.port}/{path}.git"

    def git(self, *words, folder=None, **more):
        done = subprocess.run(["git", *words], cwd=folder or self.folder, env=self.environment, capture_output=True, **more)
        if done.returncode:
            raise AssertionError(f"git {' '.join(words)}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode().strip()

    def make(self, path, files=None, branch="main"):
        """A bare repository with one commit of these files (names may be bytes), or without any."""
        bare = f"{self.root}/{path}.git"
        self.git("init", "-q", "--bare", "-b", branch, bare)
        return self.commit(path, files, branch) if files is not None else None

    def commit(self, path, files, branch="main"):
        """A commit that adds these files; a value ("link", target) is a symbolic link."""
        bare = f"{self.root}/{path}.git"
        work = tempfile.mkdtemp(dir=self.folder)
        self.git("clone", "-q", bare, work)
        for name, content in files.items():
            target = os.path.join(os.fsencode(work), name if isinstance(name, bytes) else name.encode())
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if isinstance(content, tuple):
                os.symlink(content[1], target)
            else:
                with open(target, "wb") as file:
                    file.write(content if isinstance(content, bytes) else content.encode())
        self.git("add", "-A", folder=work)
        self.git("commit", "-qm", "m", folder=work)
        self.git("push", "-q", "origin", f"HEAD:refs/heads/{branch}", folder=work)
        shutil.rmtree(work)
        return self.git("--git-dir", bare, "rev-parse", branch)

    def answer(self, request):
        path, _, query = request.path.partition("?")
        name = path.lstrip("/").partition(".git")[0]
        self.requests[name] += 1
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        if name in self.hanging:
            self.closing.wait()
            return
        if self.busy.get(name, 0) > 0:
            self.busy[name] -= 1
            return self.plain(request, 503, b"busy")
        if name in self.moved:
            return self.plain(request, 301, b"", Location=request.path.replace(name, self.moved[name], 1))
        if name in self.private:
            wanted = "Basic " + base64.b64encode(":".join(self.private[name]).encode()).decode()
            if request.headers.get("Authorization") != wanted:
                return self.plain(request, 401, b"", **{"WWW-Authenticate": 'Basic realm="git"'})
        environment = {**self.environment, "GIT_PROJECT_ROOT": self.root, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
                       "QUERY_STRING": query, "REQUEST_METHOD": request.command, "CONTENT_LENGTH": str(len(body)),
                       "CONTENT_TYPE": request.headers.get("Content-Type", ""), "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
                       "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", "")}
        done = subprocess.run([BACKEND], env=environment, input=body, capture_output=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        status, headers = 200, {}
        for line in head.decode().split("\r\n"):
            key, _, value = line.partition(": ")
            if key == "Status":
                status = int(value.split()[0])
            elif key:
                headers[key] = value
        self.plain(request, status, content, **headers)

    @staticmethod
    def plain(request, status, body, **headers):
        try:
            request.send_response(status)
            for name, value in headers.items():
                request.send_header(name, value)
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)
        except OSError:
            request.close_connection = True  # who asked has gone

    def start_ssh(self):
        """Starts sshd; gives nothing when there is none on this machine. Sets ssh_port, ssh_key (its text) and known_hosts (a file)."""
        import socket
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{self.folder}/{name}"], check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.ssh_port = free.getsockname()[1]
        with open(f"{self.folder}/sshd_config", "w") as file:
            file.write(f"ListenAddress 127.0.0.1:{self.ssh_port}\nHostKey {self.folder}/host\nAuthorizedKeysFile {self.folder}/user.pub\n"
                       f"StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nPidFile none\nAcceptEnv GIT_PROTOCOL\n")
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        with open(f"{self.folder}/sshd.log", "w") as log:
            self.sshd = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", f"{self.folder}/sshd_config"], stdin=subprocess.DEVNULL, stderr=log)
        with open(f"{self.folder}/host.pub") as host, open(f"{self.folder}/known_hosts", "w") as known:
            known.write(f"[127.0.0.1]:{self.ssh_port} {host.read()}")
        self.known_hosts = f"{self.folder}/known_hosts"
        with open(f"{self.folder}/user") as key:
            self.ssh_key = key.read()
        from millrace_server import wait_until

        def listening():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.ssh_port)) == 0

        wait_until(listening, "sshd listens")

    def ssh_url(self, path):
        import pwd
        return f"ssh://{pwd.getpwuid(os.getuid()).pw_name}@127.0.0.1:{self.ssh_port}{self.root}/{path}.git"
