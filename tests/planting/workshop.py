"""A copy of the source in which faults are planted, its build, and the running of single tests."""
import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor, as_completed

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OUTSIDE = {"target", ".git", "__pycache__", "node_modules"}
SAID_MAX = 200
LONGEST_S = 180  # for one test under a fault, which may make it hang
ALONE = re.compile(r"::timing::|r27_")  # compares times: shares the machine with no other test


def files(root):
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in OUTSIDE]
        yield from (os.path.relpath(os.path.join(folder, name), root) for name in names)


class Copy:
    """A copy of the source. Only files whose text differs are written, so that a file's date always tells cargo when its
    text changed last: after other faults, after an interruption, in a later run."""

    def __init__(self, place):
        self.place, self.clean = place, {}
        place.mkdir(parents=True, exist_ok=True)
        wanted = set(files(ROOT))
        for name in files(place):
            if name not in wanted:
                (place / name).unlink()
        for name in wanted:
            self.write(name, (ROOT / name).read_bytes())
            shutil.copymode(ROOT / name, place / name)

    def write(self, name, content):
        path = self.place / name
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def read(self, name):
        """As it is without any fault."""
        return self.clean[name].decode() if name in self.clean else (self.place / name).read_text()

    def become(self, texts):
        """These files with these texts, and all others without a fault."""
        for name in texts:
            self.clean.setdefault(name, (self.place / name).read_bytes())
        for name, content in self.clean.items():
            self.write(name, texts[name].encode() if name in texts else content)


@contextlib.contextmanager
def workshop():
    """A target folder of its own that begins with what is built already (only our crate is built again), and a copy of
    the source in it. Nobody else plants there meanwhile."""
    usual = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    own = usual.with_name(usual.name + "-planted")
    if not own.exists() and usual.exists():
        subprocess.run(["cp", "-a", "--reflink=auto", str(usual), str(own)], check=True)
    own.mkdir(parents=True, exist_ok=True)
    with open(own / "planting.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Copy(own / "source"), {"CARGO_TARGET_DIR": str(own), "CARGO_PROFILE_DEV_DEBUG": "0"}


class Unbuilt(Exception):
    """The compiler's errors by place: (file, line)."""

    def __init__(self, errors, words):
        super().__init__(words)
        self.errors = errors


def build(folder, suite, environment):
    """Builds a suite's tests. Gives back their program."""
    words = ["cargo", "test", "--locked", "--no-run", "--quiet", "--message-format", "json"]
    words.append({"lib": "--lib", "it": "--test=it"}[suite])
    done = subprocess.run(
        words, cwd=folder, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, **environment},
    )
    program, errors = None, {}
    for line in done.stdout.splitlines():
        told = json.loads(line) if line.startswith("{") else {}
        if told.get("executable") and told["profile"]["test"]:
            program = told["executable"]
        message = told.get("message") or {}
        if message.get("level") == "error":
            spans = [span for span in message["spans"] if span["is_primary"]]
            errors.update({(span["file_name"], span["line_start"]): message["rendered"] for span in spans})
    if done.returncode:
        raise Unbuilt(errors, "\n".join(sorted(set(errors.values()))) or done.stderr)
    return program


def run(jobs, program, folder, environment):
    """Runs tests, each in a process of its own. A job is a test's name and variables of its own. Gives back of each job,
    in any order, the job, the test's state (`green`, `red`, `absent` when the program does not know it), why it is red,
    and the lines that it printed."""
    def one(job):
        return job, *outcome(program, job[0], folder, {**environment, **job[1]})

    crowd = [job for job in jobs if not ALONE.search(job[0])]
    with ThreadPoolExecutor(os.cpu_count()) as together:
        for done in as_completed([together.submit(one, job) for job in crowd]):
            yield done.result()
    for job in jobs:
        if ALONE.search(job[0]):
            yield one(job)


def outcome(program, name, folder, environment):
    fixed = {"CARGO_MANIFEST_DIR": str(folder), "INSTA_WORKSPACE_ROOT": str(folder), "INSTA_UPDATE": "no", "RUST_BACKTRACE": "0"}
    test = subprocess.Popen(
        [program, "--exact", name, "--include-ignored", "--nocapture"], cwd=folder, text=True, errors="replace", start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **fixed, **environment},
    )
    try:
        output, _ = test.communicate(timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        os.killpg(test.pid, signal.SIGKILL)
        test.wait()
        return "red", f"it took more than {LONGEST_S} s", []
    # Where the copy lies is nobody's business.
    lines = [line.strip() for line in output.replace(str(folder), ".").replace(str(pathlib.Path.home()), "~").splitlines()]
    if test.returncode:
        return "red", said(lines) or f"it ended with {test.returncode}", lines
    return ("green" if any(" 1 passed;" in line for line in lines) else "absent"), "", lines


def said(lines):
    """Why a test is red, in its own words: what the last panic says, or the error that it gave back."""
    for at, line in reversed(list(enumerate(lines))):
        if "panicked at" in line:
            place = re.sub(r"^.*panicked at |:\d+:?$", "", line)
            return f"{place}: {' '.join(lines[at + 1:at + 4])}"[:SAID_MAX]
        if line.startswith("Error: "):
            return line[:SAID_MAX]
    return ""
