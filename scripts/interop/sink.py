"""The end of each chain: takes mail by SMTP and remembers it."""

import socketserver
import threading


class Message:
    def __init__(self, sender, parameters):
        self.sender, self.parameters, self.recipients, self.data = sender, parameters, [], b""

    @property
    def header(self):
        return self.data.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")

    @property
    def body(self):
        return self.data.partition(b"\r\n\r\n")[2]


class Sink:
    """Offers PIPELINING, 8BITMIME, SMTPUTF8, DSN and SIZE. Refuses recipients that begin with `refuse`, for good, and
    those that begin with `later` once."""

    def __init__(self):
        self.messages, self.deferred, self.lock = [], set(), threading.Lock()
        sink = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                try:
                    sink.converse(self.rfile, self.wfile)
                except (ConnectionError, ValueError):
                    pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True
            request_queue_size = 128

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def converse(self, rfile, wfile):
        def say(text):
            wfile.write(text.encode() + b"\r\n")

        message = None
        say("220 sink.test.example ESMTP")
        while line := rfile.readline():
            command = line.decode("utf-8", "replace").strip()
            verb = command[:4].upper()
            if verb in ("EHLO", "HELO"):
                say("250-sink.test.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 SIZE")
            elif verb == "MAIL":
                path, _, parameters = command.partition("<")[2].partition(">")
                message = Message(path, parameters.strip())
                say("250 2.1.0 ok")
            elif verb == "RCPT":
                path, _, parameters = command.partition("<")[2].partition(">")
                say(self.receive(message, path, parameters.strip()))
            elif verb == "DATA" and not message.recipients:
                say("503 5.5.1 no recipients")
            elif verb == "DATA":
                say("354 go on")
                lines = []
                while (text := rfile.readline()) != b".\r\n":
                    if not text:
                        return
                    lines.append(text[1:] if text.startswith(b".") else text)
                message.data = b"".join(lines)
                with self.lock:
                    self.messages.append(message)
                say("250 2.0.0 taken")
            elif verb == "QUIT":
                say("221 2.0.0 bye")
                return
            else:
                say("250 2.0.0 ok")

    def receive(self, message, path, parameters):
        if path.startswith("refuse"):
            return "550 5.1.1 no such user"
        if path.startswith("later"):
            with self.lock:
                if path not in self.deferred:
                    self.deferred.add(path)
                    return "450 4.2.1 later"
        message.recipients.append((path, parameters))
        return "250 2.1.5 ok"

    def find(self, subject):
        with self.lock:
            return [message for message in self.messages if f"Subject: {subject}\r\n" in message.header + "\r\n"]
