"""The S3 client of the jobs behind TLS with a private CA, and behind an HTTP proxy."""

import os
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from millrace_server import MillraceServer  # noqa: E402


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        try:
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def serve(handle):
    """A TCP server in threads; `handle` gets each connection."""
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            handle(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Network(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(MillraceServer())
        cls.backend = ("127.0.0.1", int(cls.server.endpoint.rsplit(":", 1)[1]))
        s3 = cls.server.boto3("s3")
        s3.create_bucket(Bucket="net")
        s3.put_object(Bucket="net", Key="a b/c+d.txt", Body=b"x" * 1000)

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="millrace-net-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def scan(self, endpoint, **variables):
        environment = {**self.server.environment, "AWS_ENDPOINT_URL": endpoint, **variables}
        return subprocess.run([self.server.binary, "scan", "s3://net", "--quiet", "--database",
                               f"sqlite:///{self.folder}/db.sqlite"], env=environment, capture_output=True, text=True, timeout=120)

    # Without this data goes to whoever answers, or a company's own CA cannot be used.
    def test_tls_is_verified_against_the_bundle(self):
        certificate, key = self.folder + "/cert.pem", self.folder + "/key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)

        def handle(connection):
            try:
                front = context.wrap_socket(connection, server_side=True)
            except (ssl.SSLError, OSError):
                return  # refused by the client
            with front, socket.create_connection(self.backend) as back:
                back_to_front = threading.Thread(target=pump, args=(back, front), daemon=True)
                back_to_front.start()
                pump(front, back)
                back_to_front.join()

        front = serve(handle)
        self.addCleanup(front.server_close)
        self.addCleanup(front.shutdown)
        url = "https://localhost:%d" % front.server_address[1]
        done = self.scan(url, AWS_CA_BUNDLE=certificate)
        self.assertEqual(done.returncode, 0, done.stderr)
        refused = self.scan(url)
        self.assertEqual(refused.returncode, 1, "an unknown CA was trusted")
        self.assertIn("certificate", refused.stderr)

    # Without this jobs in closed networks reach nothing.
    def test_proxies_come_from_the_environment(self):
        asked = []

        def handle(connection):
            with connection, socket.create_connection(self.backend) as back:
                threading.Thread(target=pump, args=(back, connection), daemon=True).start()
                data = connection.recv(65536)
                asked.append(data.split(b"\r\n", 1)[0].decode())
                back.sendall(data.replace(b"http://s3.example", b"", 1))
                # Requests after the first on the same connection come whole, one at a time.
                while data := connection.recv(65536):
                    asked.append(data.split(b"\r\n", 1)[0].decode())
                    back.sendall(data.replace(b"http://s3.example", b"", 1))

        proxy = serve(handle)
        self.addCleanup(proxy.server_close)
        self.addCleanup(proxy.shutdown)
        done = self.scan("http://s3.example", http_proxy="http://127.0.0.1:%d" % proxy.server_address[1])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(asked and all(" http://s3.example/net" in line for line in asked), asked)


if __name__ == "__main__":
    unittest.main(verbosity=2)
