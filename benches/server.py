"""The servers that benches/run, burst and history start: the product on both stores, the floor, the peers.

Each begins in an empty folder of its own and listens on loopback only."""

import argparse, contextlib, json, os, re, shutil, signal, socket, subprocess, sys, tempfile, time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TOOLS = Path(os.environ.get("SCM_CONNECT_TOOLS", Path.home() / ".cache/scm-connect/tools"))
SECRET = "the secret of the benches, 32 bytes +"
PORT, OPS, PG_PORT = 18080, 18090, 18432
TICKS = os.sysconf("SC_CLK_TCK")
CONFIG = f"""[[organizations]]
slug = "bench"
name = "Bench"

[[sources]]
key = "bench"
organizations = ["bench"]
provider = "github"
url = "https://github.com"
webhook_secrets = [{{ value = "{SECRET}" }}]
"""
WEBHOOK = [{"id": "bench", "execute-command": "/bin/true", "trigger-rule-mismatch-http-response-code": 401, "trigger-rule": {
    "match": {"type": "payload-hmac-sha256", "secret": SECRET, "parameter": {"source": "header", "name": "X-Hub-Signature-256"}}}}]
QHOOK = f"""database: {{ driver: sqlite }}
server: {{ port: {PORT} }}
sources: {{ bench: {{ type: webhook, verify: github, secret: "{SECRET}" }} }}
queues: {{ bench: {{ source: bench }} }}
"""
# What each one does for an answer.
KINDS = {
    "floor": "reads and verifies only",
    "embedded": "scm-connect, durable",
    "postgres": "scm-connect on PostgreSQL, durable",
    "octokit": "@octokit/webhooks, verifies and parses",
    "gidgethub": "gidgethub on aiohttp, verifies and parses",
    "webhook": "Debian's webhook, verifies, runs a program",
    "qhook": "qhook on SQLite, keeps",
}


def sh(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def alone():
    """Starts the program again on a loopback of its own, where nobody else is met: some peers listen everywhere."""
    if os.environ.get("SCM_CONNECT_BENCH_ALONE") != "1":
        again = "ip link set lo up && exec \"$@\""
        os.environ["SCM_CONNECT_BENCH_ALONE"] = "1"
        os.execvp("unshare", ["unshare", "-n", "bash", "-c", again, "bash", sys.executable, *sys.argv])


def options():
    """The options of a bench, of which each has one: where the programs are built."""
    ask = argparse.ArgumentParser()
    ask.add_argument("--target", type=lambda folder: Path(folder).resolve(),
                     default=os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target")))
    return ask


@contextlib.contextmanager
def workplace(target, build=None):
    """Builds what is measured, goes on alone, and gives a folder that is gone afterwards."""
    if os.environ.get("SCM_CONNECT_BENCH_ALONE") != "1":
        (build or ready)(target)
    alone()
    prefix = f"scm-connect-{Path(sys.argv[0]).name}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=os.environ.get("TMPDIR", "/var/tmp")) as work:
        yield work


class Processes:
    """What the kernel counts of some processes."""

    def pids(self):
        raise NotImplementedError

    def status(self, key):
        """A memory figure, in MiB."""
        text = [Path(f"/proc/{pid}/status").read_text() for pid in self.pids()]
        return sum(int(re.search(rf"^{key}:\s+(\d+) kB", one, re.M)[1]) for one in text) / 1024

    def written(self):
        text = [Path(f"/proc/{pid}/io").read_text() for pid in self.pids()]
        return sum(int(re.search(r"^write_bytes: (\d+)", one, re.M)[1]) for one in text)

    def threads(self):
        """Processor seconds by the names of threads, numbers aside."""
        used = {}
        for task in (task for pid in self.pids() for task in Path(f"/proc/{pid}/task").iterdir()):
            try:
                head, tail = (task / "stat").read_text().rsplit(")", 1)
            except OSError:
                continue  # it has ended
            name = re.sub(r"[-|: ]*\d+", "", head.split("(", 1)[1]).strip("-|: ") or "?"
            fields = tail.split()
            used[name] = used.get(name, 0) + (int(fields[11]) + int(fields[12])) / TICKS
        return used

    def cpu(self):
        return sum(self.threads().values())


class Postgres(Processes):
    """A cluster of its own with the settings of its package: everything synced."""

    def __init__(self, work):
        self.dir = Path(tempfile.mkdtemp(dir=work))
        versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        if not versions:
            sys.exit("PostgreSQL is missing")
        self.bin = versions[-1]
        shutil.chown(self.dir, "postgres")
        os.chmod(work, 0o755)
        self.run("initdb", "-D", self.dir / "data", "-A", "trust", "-U", "postgres")
        self.run("pg_ctl", "-D", self.dir / "data", "-w", "-l", self.dir / "log", "-o",
                 f"-c listen_addresses=127.0.0.1 -p {PG_PORT} -k {self.dir}", "start")
        self.run("createdb", "-h", "127.0.0.1", "-p", str(PG_PORT), "-U", "postgres", "bench")
        self.url = f"postgres://postgres@127.0.0.1:{PG_PORT}/bench"

    def run(self, program, *rest):
        sh("runuser", "-u", "postgres", "--", str(self.bin / program), *map(str, rest), cwd="/")

    def pids(self):
        first = int((self.dir / "data/postmaster.pid").read_text().split()[0])
        return [first, *map(int, sh("ps", "-o", "pid=", "--ppid", str(first)).split())]

    def stop(self):
        self.run("pg_ctl", "-D", self.dir / "data", "-m", "immediate", "stop")


class Server(Processes):
    """One of them. `folder`: a store to go on with."""

    def __init__(self, name, work, target, wrapper=(), folder=None):
        self.name, self.kept = name, folder is not None
        self.dir = Path(folder) if folder else Path(tempfile.mkdtemp(dir=work))
        self.postgres = Postgres(work) if name == "postgres" else None
        command, env, cwd = self.command(target)
        self.log = open(self.dir / "log", "ab")
        self.process = subprocess.Popen([*wrapper, *map(str, command)], cwd=cwd, env=env, stdout=self.log, stderr=self.log)
        self.wait()
        children = sh("ps", "-o", "pid=", "--ppid", str(self.process.pid)).split() if wrapper else []
        self.pid = int(children[0]) if children else self.process.pid

    def command(self, target):
        env, cwd = dict(os.environ), self.dir
        match self.name:
            case "floor":
                return [target / "release/examples/floor", PORT, SECRET], env, cwd
            case "octokit":
                script = (HERE / "peer/octokit.mjs").read_text()
                return ["node", "--input-type=module", "-e", script, PORT, SECRET], env, TOOLS / "peers/node"
            case "gidgethub":
                env["PYTHONPATH"] = f"{TOOLS}/peers/python:{TOOLS}/peers/aiohttp"
                return [sys.executable, HERE / "peer/gidgethub_on_aiohttp.py", PORT, SECRET], env, cwd
            case "webhook":
                (self.dir / "hooks.json").write_text(json.dumps(WEBHOOK))
                return ["webhook", "-hooks", "hooks.json", "-ip", "127.0.0.1", "-port", PORT], env, cwd
            case "qhook":
                (self.dir / "qhook.yaml").write_text(QHOOK)
                return [TOOLS / "bin/qhook", "start", "--config", "qhook.yaml"], env | {"RUST_LOG": "error"}, cwd
        (self.dir / "config.toml").write_text(CONFIG)
        env |= {"SCM_CONNECT__LISTEN__PUBLIC": f"127.0.0.1:{PORT}", "SCM_CONNECT__LISTEN__OPS": f"127.0.0.1:{OPS}"}
        if self.postgres:
            env["SCM_CONNECT__STORE__URL"] = self.postgres.url
        return [target / "release/scm-connect", "serve", "--config", "config.toml"], env, cwd

    def path(self):
        """Where deliveries go."""
        return {"qhook": "/webhooks/bench"}.get(self.name, "/hooks/bench")

    def pids(self):
        return [self.pid, *(self.postgres.pids() if self.postgres else [])]

    def wait(self):
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if self.process.poll() is not None:
                sys.exit(f"{self.name} has ended:\n{(self.dir / 'log').read_text()[-2000:]}")
            try:
                socket.create_connection(("127.0.0.1", PORT), 1).close()
                return
            except OSError:
                time.sleep(0.01)
        sys.exit(f"{self.name} does not listen")

    def metrics(self):
        """The product's metrics: name with labels → value."""
        text = sh("curl", "-fsS", f"http://127.0.0.1:{OPS}/metrics")
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    def unfinished(self):
        """Deliveries that are taken and not at rest."""
        depths = [value for name, value in self.metrics().items()
                  if name.startswith("scm_connect_queue_depth") and 'state="dead"' not in name]
        return int(sum(depths))

    def drain(self, within):
        """Seconds until everything is at rest. The gauges are up to five seconds late, so rest must last longer."""
        began = restless = time.monotonic()
        while time.monotonic() - began < within:
            time.sleep(1)
            if self.unfinished():
                restless = time.monotonic()
            elif time.monotonic() - restless > 6:
                return restless - began
        sys.exit(f"{self.name}: {self.unfinished()} deliveries are not at rest after {within} s")

    def stop(self):
        os.kill(self.pid, signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()
        if self.postgres:
            self.postgres.stop()
        if not self.kept:
            shutil.rmtree(self.dir, ignore_errors=True)


def ready(target):
    """Builds what is measured, so that it is what the page names, and installs the peers."""
    subprocess.run(["cargo", "build", "--release", "--locked", "--bin", "scm-connect", "--example", "floor"], cwd=ROOT,
                   check=True, env=dict(os.environ, CARGO_TARGET_DIR=str(target)))
    subprocess.run(["bash", str(HERE / "peer/install")], check=True)


def deliveries(out, n, seed, path="/hooks/bench"):
    """Makes signed deliveries; returns what they are."""
    return sh("python3", str(HERE / "gen_deliveries.py"), "--n", str(n), "--secret", SECRET, "--out", out, "--seed", str(seed),
              "--path-github", path).strip()


def result(text):
    return json.loads(re.search(r"^RESULT (.*)$", text, re.M)[1])


def full_rate(data, seconds, connections=64, once=False):
    return result(sh("wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(HERE / "replay.lua"),
                     f"http://127.0.0.1:{PORT}", "--", data, "2", *(["once"] if once else [])))


def open_loop(data, rate, seconds, ack=None):
    kept = ["--ack", ack] if ack else []
    return result(sh("python3", str(HERE / "open_loop.py"), data, f"127.0.0.1:{PORT}", "--rate", str(rate), "--seconds",
                     str(seconds), *kept))


def machine(work):
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) >> 20
    disk = sh("df", "--output=fstype", str(work)).split()[-1]
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return (f"{os.cpu_count()} × {cpu[1] if cpu else 'processor'}, {memory} GiB, Linux {os.uname().release}, {disk}; "
            f"load average before the run {load}")


def commit():
    dirty = sh("git", "status", "--porcelain", "--untracked-files=no", "--", "src", "Cargo.toml", "Cargo.lock", cwd=ROOT).strip()
    return sh("git", "rev-parse", "--short=12", "HEAD", cwd=ROOT).strip() + (" with changes" if dirty else "")
