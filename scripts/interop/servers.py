"""The servers of a chain, each started from a scratch directory of its own, on loopback, and stopped by its process id."""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, what, limit_s=20):
    end = time.time() + limit_s
    while time.time() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{what} does not listen on port {port}")


def certificate(directory):
    """A certificate that signs itself. Gives the paths of certificate and key."""
    cert, key = directory / "mx.crt", directory / "mx.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
         "-subj", "/CN=mx.test.example", "-addext", "subjectAltName=DNS:mx.test.example",
         "-keyout", key, "-out", cert],
        check=True, capture_output=True)
    key.chmod(0o644)
    return cert, key


class Smtpd:
    """Ours: plain with STARTTLS on `port` (of 127.0.0.1 and ::1) and on `socket`, TLS from the first byte on `tls_port`;
    everything goes to `next_port`. It takes XCLIENT from 127.0.0.3, PROXY from 127.0.0.4, and the user u with password p."""

    name = "smtpd"

    def __init__(self, scratch, programs, next_port, tls="optional", hops=100):
        self.dir = scratch
        self.dir.mkdir(parents=True)
        self.port, self.tls_port = free_port(), free_port()
        self.cert, self.key = certificate(self.dir)
        self.socket = self.dir / "in.sock"
        (self.dir / "smtpd.yaml").write_text(f"""version: "6.10"
servers:
  - id: in
    listeners:
      - {{address: 127.0.0.1, port: {self.port}}}
      - {{id: tls, address: 127.0.0.1, port: {self.tls_port}}}
      - {{address: "::1", port: {self.port}}}
      - {{path: "{self.socket}"}}
    proxyprotocol: [127.0.0.4/32]
spool: {{path: "{self.dir}/spool"}}
pki: {{private: [{{id: mx, certificate: {{path: "{self.cert}"}}, privatekey: {{path: "{self.key}"}}}}]}}
environment:
  shards: 2
  appconf: "{self.dir}/smtpd-app.yaml"
  suspendconf: "{self.dir}/smtpd-suspend.yaml"
  policyconf: "{self.dir}/smtpd-policy.yaml"
  deliveryconf: "{self.dir}/smtpd-delivery.yaml"
""")
        (self.dir / "smtpd-app.yaml").write_text(f"""version: "6.10"
servers:
  - id: in
    transport: out
    hostname: mx.test.example
    openrelay: true
    tls: {{certs: {{cert: mx}}, implicit: [tls]}}
    extensions: {{dsn: true}}
    xclient: [127.0.0.3/32]
    phases:
      auth: {{hook: auth}}
      data: {{maxhops: {hops}, maxsize: 64MiB}}
scripting:
  hooks:
    auth: [{{id: auth, data: 'if ($arguments["username"] == "u" and $arguments["password"] == "p") Accept();'}}]
transportgroups:
  - id: default
    retry: {{count: 100, intervals: [{{interval: 1}}]}}
    transports:
      - {{id: out, connection: {{server: 127.0.0.1, port: {next_port}}}, session: {{tls: {{mode: {tls}}}}}}}
""")
        self.log = open(self.dir / "log", "wb")
        self.process = subprocess.Popen([programs / "smtpd", "-f", "-c", self.dir / "smtpd.yaml"], stderr=self.log)
        wait_for_port(self.port, self.name)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


class Postfix:
    """Debian's. Needs root, as its master does."""

    name = "Postfix"

    @staticmethod
    def version():
        if not shutil.which("postfix") or os.getuid() != 0:
            return None
        return subprocess.run(["postconf", "-d", "-h", "mail_version"], capture_output=True, text=True).stdout.strip()

    def __init__(self, scratch, next_port):
        self.dir = scratch
        for sub in ("etc", "spool", "data"):
            (self.dir / sub).mkdir(parents=True)
        shutil.chown(self.dir / "data", "postfix")
        self.port = free_port()
        cert, key = certificate(self.dir)
        (self.dir / "etc/main.cf").write_text(f"""compatibility_level = 3.6
config_directory = {self.dir}/etc
queue_directory = {self.dir}/spool
data_directory = {self.dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
meta_directory = /etc/postfix
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.test.example
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_peername_lookup = no
disable_dns_lookups = yes
smtpd_relay_restrictions = permit_mynetworks, reject
relayhost = [127.0.0.1]:{next_port}
message_size_limit = 0
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtp_tls_security_level = may
maillog_file_prefixes = {self.dir}
maillog_file = {self.dir}/maillog
""")
        services = ["rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce",
                    "defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce", "verify unix - - n - 1 verify",
                    "flush unix n - n 1000? 0 flush", "proxymap unix - - n - - proxymap", "smtp unix - - n - - smtp",
                    "relay unix - - n - - smtp", "showq unix n - n - - showq", "error unix - - n - - error",
                    "retry unix - - n - - error", "discard unix - - n - - discard", "anvil unix - - n - 1 anvil",
                    "scache unix - - n - 1 scache", "tlsmgr unix - - n 1000? 1 tlsmgr",
                    "postlog unix-dgram n - n - 1 postlogd", "cleanup unix n - n - 0 cleanup",
                    "qmgr unix n - n 300 1 qmgr", f"127.0.0.1:{self.port} inet n - n - - smtpd"]
        (self.dir / "etc/master.cf").write_text("\n".join(services) + "\n")
        self.control("start")
        wait_for_port(self.port, self.name)

    def control(self, what):
        with open(self.dir / "out", "ab") as out:
            subprocess.run(["postfix", "-c", self.dir / "etc", what], stdout=out, stderr=out)

    def stop(self):
        self.control("stop")


class Exim:
    """Debian's, unpacked or installed: `EXIM` names the program. Needs root, and the user Debian-exim."""

    name = "Exim"
    program = os.environ.get("EXIM", "exim4")

    @staticmethod
    def version():
        try:
            pwd.getpwnam("Debian-exim")
        except KeyError:
            return None
        if not shutil.which(Exim.program) or os.getuid() != 0:
            return None
        text = subprocess.run([Exim.program, "-C", "/dev/null", "-bV"], capture_output=True, text=True).stdout
        return text.split()[2] if text else None

    def __init__(self, scratch, next_port):
        self.dir = scratch
        for sub in ("spool", "log"):
            (self.dir / sub).mkdir(parents=True)
            shutil.chown(self.dir / sub, "Debian-exim")
        self.port = free_port()
        cert, key = certificate(self.dir)
        conf = self.dir / "exim.conf"
        conf.write_text(f"""exim_path = {shutil.which(Exim.program)}
primary_hostname = exim.test.example
spool_directory = {self.dir}/spool
log_file_path = {self.dir}/log/%slog
pid_file_path = {self.dir}/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {self.port}
host_lookup =
rfc1413_query_timeout = 0s
acl_smtp_rcpt = ok
acl_smtp_data = ok
smtp_accept_max = 0
tls_advertise_hosts = *
tls_certificate = {cert}
tls_privatekey = {key}
dsn_advertise_hosts = *
chunking_advertise_hosts = *
smtputf8_advertise_hosts = *
message_size_limit = 0
keep_environment =
never_users =
begin acl
ok:
  accept
begin routers
out:
  driver = manualroute
  route_list = * 127.0.0.1
  transport = remote
  self = send
begin transports
remote:
  driver = smtp
  port = {next_port}
  allow_localhost
begin retry
* * F,2h,1s
""")
        self.trusted = pathlib.Path("/etc/exim4/trusted_configs")
        self.trusted.parent.mkdir(exist_ok=True)
        with open(self.trusted, "a") as trusted:
            trusted.write(f"{conf}\n")
        self.out = open(self.dir / "out", "wb")
        self.process = subprocess.Popen([Exim.program, "-C", conf, "-bdf", "-q2s"], stdout=self.out, stderr=self.out)
        wait_for_port(self.port, self.name)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        lines = [line for line in self.trusted.read_text().splitlines() if str(self.dir) not in line]
        self.trusted.write_text("".join(f"{line}\n" for line in lines))
