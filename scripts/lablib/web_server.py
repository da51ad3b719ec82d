#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The internet host's web server: / tells who is asking, /bytes/N sends N bytes."""
import http.server
import socket
import socketserver
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    block = bytes(range(256)) * 256

    def do_GET(self):
        if self.path.startswith("/bytes/") and self.path[7:].isdigit():
            self.send(int(self.path[7:]))
        elif self.path == "/":
            # An IPv4 client of this IPv6 socket shows as ::ffff:192.0.2.1
            text = self.client_address[0].removeprefix("::ffff:") + "\n"
            self.send(len(text), text.encode())
        else:
            self.send_error(404)

    def send(self, size, body=None):
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        if body is not None:
            self.wfile.write(body)
            return
        while size > 0:
            self.wfile.write(self.block[:size])
            size -= min(size, len(self.block))

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # not HTTPServer's own, which asks the DNS for our name
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


Server(("::", int(sys.argv[1]) if len(sys.argv) > 1 else 80), Handler).serve_forever()
