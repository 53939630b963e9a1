"""Plays the service manager to smtpd: keeps its listening sockets (FDSTORE), hands them over at the next start
(LISTEN_FDS), and restarts it under load. Prints what the clients saw, as JSON.

usage: supervisor.py SMTPD NOTIFY_SOCKET PORT CONFIG...     one start for each CONFIG
"""

import array
import json
import os
import signal
import socket
import sys
import threading
import time

smtpd, notify_path, port, configs = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]

notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(notify_path)
notify.settimeout(60)
kept = {}  # name -> descriptors
alive = 0


def listen_until(word):
    """Takes what the server says until it says `word`."""
    global alive
    while True:
        data, ancillary, _, _ = notify.recvmsg(4096, socket.CMSG_SPACE(64 * 4))
        lines = data.decode().split("\n")
        alive += lines.count("WATCHDOG=1")
        name = next((line[7:] for line in lines if line.startswith("FDNAME=")), "stored")
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors = array.array("i")
                descriptors.frombytes(payload)
                kept.setdefault(name, []).extend(descriptors)
        if "FDSTOREREMOVE=1" in lines:
            for descriptor in kept.pop(name, []):
                os.close(descriptor)
        if word in lines:
            return


def start(config):
    passed = [(name, descriptor) for name, all_of_it in kept.items() for descriptor in all_of_it]
    pid = os.fork()
    if pid == 0:
        high = [os.dup2(descriptor, 200 + number) for number, (_, descriptor) in enumerate(passed)]
        for number, descriptor in enumerate(high):
            os.dup2(descriptor, 3 + number, inheritable=True)
        os.closerange(3 + len(passed), 1024)
        env = dict(os.environ, NOTIFY_SOCKET=notify_path, WATCHDOG_USEC="60000000")
        if passed:
            env.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(passed)))
            env.update(LISTEN_FDNAMES=":".join(name for name, _ in passed))
        os.execve(smtpd, [smtpd, "-f", "-c", config], env)
    listen_until("READY=1")
    return pid, len(passed)


counts = {"connections": 0, "refused": 0, "broken": 0, "asked_to_come_back": 0, "accepted": 0}
lock = threading.Lock()
running = True


def count(what):
    with lock:
        counts[what] += 1


def client(number):
    serial = 0
    while running:
        try:
            conn = socket.create_connection(("127.0.0.1", port), timeout=30)
        except OSError:
            count("refused")
            continue
        count("connections")
        with conn:
            talk = conn.makefile("rwb")
            try:
                serial += 1
                if converse(talk, f"{number}.{serial}@a.example"):
                    count("accepted")
            except OSError:
                count("broken")


def converse(talk, sender):
    """One message. False when the server asked to come back (421); an error when it went without a word."""
    body = b"Subject: x\r\n\r\nhello\r\n.\r\n"
    script = [b"", b"EHLO x.example\r\n", f"MAIL FROM:<{sender}>\r\n".encode()]
    script += [b"RCPT TO:<b@b.example>\r\n", b"DATA\r\n", body, b"QUIT\r\n"]
    for line in script:
        if line:
            talk.write(line)
            talk.flush()
        reply = talk.readline()
        while reply[3:4] == b"-":
            reply = talk.readline()
        if reply.startswith(b"421"):
            count("asked_to_come_back")
            return False
        if not reply and line != b"QUIT\r\n":
            raise ConnectionResetError(f"closed after {line!r}")
    return True


pid, _ = start(configs[0])
threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
handed_over, exits = [], []
for config in configs[1:]:
    time.sleep(0.7)
    os.kill(pid, signal.SIGTERM)
    listen_until("STOPPING=1")
    exits.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    pid, passed = start(config)
    handed_over.append(passed)
time.sleep(0.7)
running = False
for thread in threads:
    thread.join()
os.kill(pid, signal.SIGHUP)
listen_until("RELOADING=1")
listen_until("READY=1")
os.kill(pid, signal.SIGTERM)
listen_until("STOPPING=1")
exits.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(json.dumps(dict(counts, handed_over=handed_over, exits=exits, alive=alive > 0)))
