"""Stands between an S3 client and its server, writes down what is asked, and gets in the way where a test wants it.

    with MeddlingProxy(server.endpoint, meddle) as proxy:   # proxy.endpoint, proxy.requests
        ...

`meddle(request)` is called before a request goes on and may return (status, body): then that is the answer; "drop": the
connection is closed without one; or None. It may also do something to the server first.
"""

import http.client
import http.server
import socket
import socketserver
import threading
import urllib.parse


class Seen:
    def __init__(self, method, target, headers):
        self.method, self.target, self.headers = method, target, headers
        path, _, query = target.partition("?")
        self.path = urllib.parse.unquote(path)
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.is_copy = "x-amz-copy-source" in headers
        self.is_list = "list-type" in self.query

    def __repr__(self):
        return f"{self.method} {self.target}"


def error(status, code):
    return status, f"<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>meddled with</Message></Error>".encode()


class MeddlingProxy:
    def __init__(self, endpoint, meddle=lambda request: None):
        self.meddle, self.requests, self.lock = meddle, [], threading.Lock()
        backend = urllib.parse.urlparse(endpoint).netloc
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536

            def log_message(self, *_):
                pass

            def setup(self):
                super().setup()
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.upstream = http.client.HTTPConnection(backend, timeout=120)

            def finish(self):
                self.upstream.close()
                super().finish()

            def handle_any(self):
                seen = Seen(self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with proxy.lock:
                    proxy.requests.append(seen)
                answer = proxy.meddle(seen)
                if answer == "drop":
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                if answer is not None:
                    self.answer(answer[0], {"Content-Type": "application/xml"}, answer[1])
                    return
                self.upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():  # Host too: it is signed
                    self.upstream.putheader(name, value)
                self.upstream.endheaders(body)
                got = self.upstream.getresponse()
                self.answer(got.status, dict(got.getheaders()), got.read())

            def answer(self, status, headers, body):
                self.send_response_only(status)
                for name, value in headers.items():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(name, value)
                length = len(body) if self.command != "HEAD" else headers.get("Content-Length", "0")
                self.send_header("Content-Length", str(length))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)
                self.wfile.flush()

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass  # clients that go away are what some tests are about

        self.server = Server(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def copies(self):
        with self.lock:
            return [r for r in self.requests if r.is_copy]

    def lists(self):
        with self.lock:
            return [r for r in self.requests if r.is_list]
