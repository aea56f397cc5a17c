"""Without this: secrets named by reference would not reach git or the place to publish, a detected build would not be run, or what a hostile row or
repository asks for would lead to other hosts and other repositories of this machine."""

import http.server
import json
import os
import sys
import threading
import unittest
import zipfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from ingest_test import TOKEN, Bench  # noqa: E402
from millrace_server import MillraceServer  # noqa: E402


def files_below(folder):
    return [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names]


class Secrets(Bench):
    def test_credentials_keys_and_logins_come_from_the_secrets_manager(self):
        git, server = self.git, self.enterContext(MillraceServer())
        git.start_ssh()
        git.make("acme/private", {"a": "b"})
        git.private["acme/private"] = ("me", TOKEN)
        git.make("acme/ssh", {"a": "b"})
        path = self.list_of([[git.url("acme/private"), "", "o", "acme/private"], [git.ssh_url("acme/ssh"), "", "o", "acme/ssh"]])
        secrets = server.boto3("secretsmanager")
        tokens = secrets.create_secret(Name="git/tokens", SecretString=json.dumps({"lines": f"http://me:{TOKEN}@127.0.0.1:{git.port}"}))["ARN"]
        key = secrets.create_secret(Name="git/key", SecretString=git.ssh_key)["ARN"]
        login = secrets.create_secret(Name="publishing", SecretString=json.dumps({"username": "up", "password": TOKEN}))["ARN"]
        place = self.serve()
        done = self.ingest("run", path, "--publish", place.url, "--known-hosts", git.known_hosts, "--git-credentials", f"secret:{tokens}:lines::",
                           "--ssh-key", f"secret:{key}", "--publish-secret", login,
                           **{name: value for name, value in server.environment.items() if name.startswith("AWS_")})
        self.assertEqual(done["counts"]["published"], 2)
        self.assertTrue(place.logins)
        self.assertNotIn(None, place.logins)
        self.assertNotIn(TOKEN, self.output)
        self.ingest("run", path, "--publish", place.url, "--git-credentials", f"secret:{tokens}-none", code=1,
                    **{name: value for name, value in server.environment.items() if name.startswith("AWS_")})

    def serve(self):
        class Place(http.server.ThreadingHTTPServer):
            daemon_threads = True
            logins = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_PUT(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.server.logins.append(self.headers.get("Authorization"))
                self.send_response(201)
                self.send_header("Content-Length", "0")
                self.end_headers()

        place = Place(("127.0.0.1", 0), Handler)
        place.logins = []
        place.url = f"http://127.0.0.1:{place.server_address[1]}/raw"
        threading.Thread(target=place.serve_forever, daemon=True).start()
        self.addCleanup(place.server_close)
        self.addCleanup(place.shutdown)
        return place

    def test_the_login_is_not_for_other_hosts_that_a_list_names(self):
        self.git.make("acme/one", {"a": "b"})
        ours, theirs = self.serve(), self.serve()
        path = self.list_of([[self.git.url("acme/one"), "o", "acme/one", theirs.url], [self.git.url("acme/one"), "o", "acme/two", ours.url + "/x"]],
                            "cloneUrl,origin,path,publishUri")
        self.ingest("run", path, "--publish", ours.url, PUBLISH_TOKEN=TOKEN)
        self.assertEqual(set(theirs.logins), {None})
        self.assertEqual(set(ours.logins), {f"Bearer {TOKEN}"})

    def test_submodules_of_others_do_not_lead_to_this_machine(self):
        self.git.make("acme/inside", {"confidential": "x"})
        self.git.make("acme/hostile", {"a": "b"})
        work = f"{self.folder}/work"
        self.git.git("clone", "-q", f"{self.git.root}/acme/hostile.git", work)
        self.git.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", f"file://{self.git.root}/acme/inside.git", "sub", folder=work)
        self.git.git("commit", "-qm", "sub", folder=work)
        self.git.git("push", "-q", "origin", "HEAD:main", folder=work)
        path = self.list_of([[self.git.url("acme/hostile"), "", "o", "acme/hostile"]])
        self.ingest("run", path, "--publish", f"{self.folder}/out", "--submodules", "--allow-local", "--result", f"{self.folder}/result", code=3)
        self.assertEqual(self.outcomes(f"{self.folder}/result")["acme/hostile"]["code"], "protocol")


class Builds(Bench):
    def test_maven_npm_and_make_are_found_and_run(self):
        self.git.make("acme/make", {"Makefile": "all:\n\techo made by make; cat hello > made\n", "hello": "hello"})
        self.git.make("acme/maven", {"pom.xml": "<project/>"})
        self.git.make("acme/npm", {"package.json": "{}"})
        tools = f"{self.folder}/tools"
        os.mkdir(tools)
        for name, script in ("mvn", 'mkdir target; echo "$@" > target/app.jar; echo mvn has "$MAVEN_ARGS"'), ("npm", 'echo "npm $1"; echo x > pack-1.tgz'):
            with open(f"{tools}/{name}", "w") as file:
                file.write(f"#!/bin/sh\n{script}\n")
            os.chmod(f"{tools}/{name}", 0o755)
        rows = [[self.git.url(f"acme/{name}"), "o", f"acme/{name}", "-X"] for name in ("make", "maven", "npm")]
        result = f"{self.folder}/result"
        self.ingest("run", self.list_of(rows, "cloneUrl,origin,path,mavenArgs"), "--publish", f"{self.folder}/out", "--build", "auto", "--result", result,
                    PATH=f"{tools}:{os.environ['PATH']}")
        self.assertEqual([self.outcomes(result)[f"acme/{name}"]["build"] for name in ("make", "maven", "npm")], ["make", "maven", "npm"])
        (jar,) = [path for path in files_below(f"{self.folder}/out") if path.endswith("-target_app.jar")]
        with open(jar) as file:
            self.assertIn("package", file.read())
        (log,) = [path for path in files_below(f"{self.folder}/out") if path.endswith(".zip")]
        with zipfile.ZipFile(log) as archive:
            self.assertIn("made by make", archive.read("000001-o_acme_make.log").decode())
            self.assertIn("mvn has -X", archive.read("000002-o_acme_maven.log").decode())

    def test_a_build_that_takes_too_long_publishes_its_log(self):
        self.git.make("acme/slow", {"Makefile": "all:\n\t@echo this far; sleep 1000\n"})
        result = f"{self.folder}/result"
        self.ingest("run", self.list_of([[self.git.url("acme/slow"), "", "o", "acme/slow"]]), "--publish", f"{self.folder}/out", "--build", "make",
                    "--timeout", "1s", "--result", result, code=3)
        self.assertEqual(self.outcomes(result)["acme/slow"]["outcome"], "timed-out")
        (log,) = [path for path in files_below(f"{self.folder}/out") if path.endswith(".zip")]
        with zipfile.ZipFile(log) as archive:
            self.assertIn("this far", archive.read("000001-o_acme_slow.log").decode())


if __name__ == "__main__":
    del Bench
    unittest.main()
