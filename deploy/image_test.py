"""Build the image of the Dockerfile and run it as production does; one line for each thing checked.

A Docker engine does it where one answers. Otherwise, as root on Debian or Ubuntu, buildah and podman do, without a
daemon: their images, settings and the stand-in for the Dockerfile's base are kept in `--cache` and touch nothing else.
That base is Debian's own packages (debootstrap) with Debian's Python, so the build needs no image registry, only the
package mirrors that apt and pip are set up with here; they reach the build as secrets and are in no layer.

Exits with 0 when all checks hold, 1 when one does not, 3 when this machine cannot build images.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
IMAGE = "localhost/oneclick-retention"
USER = 10001
MEMORY_MIB = 512
DEBIAN = "bookworm"
CANNOT = 3
BASE_AGE_DAYS = 14
NO_ALARM = ("--drift-stop", "9")
CACHE = Path("/var/cache/oneclick-retention-image")
LABEL = "org.opencontainers.image."
PROGRAMS = ("buildah", "podman", "runc", "debootstrap", "catatonit")

# Run by the image's own Python, because the image has no shell. Each prints what is wrong, and so nothing.
CONFINED = f"""
import os, pathlib, socket
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
def wrong(what, found, expected):
    if found != expected:
        print(f"{{what}}: found {{found}}, expected {{expected}}")
wrong("user", status["Uid"].split()[0], "{USER}")
wrong("group", status["Gid"].split()[0], "{USER}")
wrong("capabilities", {{status[f"Cap{{name}}"] for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")}}, {{"0" * 16}})
wrong("no new privileges", status["NoNewPrivs"], "1")
wrong("network", [name for _, name in socket.if_nameindex() if name != "lo"], [])
for folder in ("/", "/tmp", "/opt/retention", "/drop"):
    try:
        (pathlib.Path(folder) / "written").touch()
    except OSError:
        continue
    print(f"{{folder}} can be written to")
"""
CONTENTS = """
import os, stat
programs = {"sh", "bash", "busybox", "apt", "dpkg", "perl", "gcc", "cc", "as", "ld", "strip", "pip", "pip3"}
packages = {"pip", "setuptools", "ensurepip", "wheel", "tests", ".cache", ".git", "include"}
compiled = sources = 0
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys", "/dev", "/run")]
    for name in folders + files:
        path = os.path.join(folder, name)
        mode = os.lstat(path)
        if name in (programs if folder.endswith("bin") else packages) and ".dist-info/" not in folder:  # licences
            print(path, "should not be here")
        if mode.st_uid or mode.st_gid:
            print(path, "does not belong to root")
        if not stat.S_ISLNK(mode.st_mode):
            if mode.st_mode & 0o022 and path != "/tmp":
                print(path, "can be written to by others")
            if path.startswith("/opt/") and mode.st_mode & 0o222:
                print(path, "can be written to")
            if stat.S_ISREG(mode.st_mode) and mode.st_mode & 0o6000:
                print(path, "runs as its owner")
        sources += name.endswith(".py") and "site-packages" in path
        compiled += name.endswith(".pyc") and "site-packages" in path
if compiled != sources:
    print(f"{sources} modules, but {compiled} compiled ones")
"""
SIZES = """
import json, os, sys
sizes = {}
def measure(part, top, leave_out=()):
    total = 0
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in leave_out]
        total += sum(os.lstat(os.path.join(folder, name)).st_size for name in files)
    sizes[part] = sizes.get(part, 0) + total
site = next(path for path in sys.path if path.endswith("site-packages"))
parts = {"polars": "Polars", "_polars_runtime_32": "Polars",
         "job": "our code and model", "schemas": "our code and model", "model_artifacts": "our code and model"}
for name in os.listdir(site):
    part = "LightGBM, NumPy, SciPy" if name.split(".")[0] in {"lightgbm", "numpy", "scipy"} else "other libraries"
    measure(parts.get(name, part), os.path.join(site, name))
import sysconfig
library = sysconfig.get_path("stdlib")
measure("Python's standard library", library)
measure("the rest of the system", "/", {"/proc", "/sys", "/dev", "/run", "/opt", library})
print(json.dumps(sizes))
"""
ALLOCATE = f"x = bytearray({MEMORY_MIB * 3 // 2} << 20)"


@dataclass
class Report:
    """Counts what was checked, and prints it."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)

    def check(self, what: str, found: object, expected: object) -> None:
        """Print `what`; where `found` is not `expected`, both of them."""
        if found == expected:
            self.passed += 1
            print(f"ok      {what}", flush=True)
        else:
            self.failed.append(what)
            print(f"FAILED  {what}: found {found!r}, expected {expected!r}", flush=True)


@dataclass
class Engine:
    """What builds and runs images: the commands, what they need in their environment, and options of every run."""

    build: list[str]
    run: list[str]
    environment: dict[str, str]
    run_options: list[str] = field(default_factory=list)

    def build_image(self, tag: str, *options: str) -> float:
        """Build the Dockerfile, tag it, return the seconds that took; exit with the log where it fails."""
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            secrets = _secrets(Path(folder))
            labels = ["--label", f"{LABEL}version={version()}", "--label", f"{LABEL}revision={revision()}"]
            command = [*self.build, *secrets, *options, *labels, "--tag", tag, str(ROOT)]
            result = subprocess.run(
                command, env=self.environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        if result.returncode:
            print(result.stdout[-6000:])
            sys.exit(f"{' '.join(command[:2])} failed with {result.returncode}")
        return time.monotonic() - start

    def run_image(
        self,
        *arguments: str,
        mounts: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        python: bool = False,
        tag: str = f"{IMAGE}:test",
        memory: int = MEMORY_MIB,
    ) -> subprocess.CompletedProcess[str]:
        """Run the image confined; `mounts` are paths inside -> `folder` or `folder:ro`, `python` its interpreter."""
        options = ["--rm", "--read-only", "--network", "none", "--cap-drop", "ALL"]
        options += ["--security-opt", "no-new-privileges", "--memory", f"{memory}m", "--memory-swap", f"{memory}m"]
        for inside, folder in (mounts or {}).items():
            path, _, mode = folder.partition(":")
            options += ["--volume", f"{path}:{inside}" + (f":{mode}" if mode else "")]
        for name, value in (settings or {}).items():
            options += ["--env", f"{name}={value}"]
        if python:
            options += ["--entrypoint", "python"]
        command = [*self.run, "run", *self.run_options, *options, tag, *arguments]
        return subprocess.run(command, env=self.environment, check=False, capture_output=True, text=True)

    def ask(self, *arguments: str) -> str:
        """Return what a command of the engine prints."""
        command = [*self.run, *arguments]
        return subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout.strip()


def version() -> str:
    """Return the version that is built."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def revision() -> str:
    """Return the commit that is built, `-dirty` where files differ from it, `unknown` outside a repository."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    return subprocess.run(git, check=False, capture_output=True, text=True).stdout.strip() or "unknown"


def _secrets(folder: Path) -> list[str]:
    """Return the options that hand this machine's mirror of PyPI and its CA bundle to the build."""
    pip = [sys.executable, "-m", "pip", "config", "list"]
    listing = subprocess.run(pip, check=True, capture_output=True, text=True).stdout
    settings = dict(re.findall(r"^(?:global|install|:env:)\.([a-z-]+)='(.*)'$", listing, flags=re.MULTILINE))
    lines = ["[global]"]
    for name in ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout", "retries"):
        # A folder of wheels on this machine is not one inside the build.
        values = [value for value in settings.get(name, "").split() if not value.startswith(("file:", "/"))]
        if values:
            lines.append(f"{name} = {' '.join(values)}")
    options = []
    if certificates := settings.get("cert") or os.environ.get("SSL_CERT_FILE"):
        lines.append("cert = /run/secrets/ca")
        options += ["--secret", f"id=ca,src={certificates}"]
    (folder / "pip.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ["--secret", f"id=pip,src={folder / 'pip.conf'}", *options]


def find_engine(cache: Path) -> Engine:
    """Return Docker where an engine answers, else buildah and podman; exit where there is neither."""
    environment = dict(os.environ)
    if shutil.which("docker") and not subprocess.run(["docker", "info"], check=False, capture_output=True).returncode:
        environment["DOCKER_BUILDKIT"] = "1"
        return Engine(["docker", "build"], ["docker"], environment)
    missing = [name for name in PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if missing or os.geteuid() != 0:
        print("No Docker engine answers, and building without one needs root and five packages")
        print(f"(apt-get install {' '.join(PROGRAMS)}). Missing here: {', '.join(missing) or 'root'}.")
        sys.exit(CANNOT)
    cache.mkdir(parents=True, exist_ok=True)
    storage = f'[storage]\ndriver = "overlay"\ngraphroot = "{cache}/storage"\nrunroot = "{cache}/run"\n'
    # crun fails where version 1 and 2 of cgroups are mounted side by side; runc does not.
    containers = '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
    containers += '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n'
    (cache / "storage.conf").write_text(storage, encoding="utf-8")
    (cache / "containers.conf").write_text(containers, encoding="utf-8")
    environment["CONTAINERS_STORAGE_CONF"] = str(cache / "storage.conf")
    environment["CONTAINERS_CONF"] = str(cache / "containers.conf")
    environment["BUILDAH_ISOLATION"] = "chroot"
    environment["PATH"] += ":/usr/sbin"
    limits = [
        "--runtime",
        "runc",
        "--read-only-tmpfs=false",
        "--ulimit",
        "nofile=1024:1024",
        "--ulimit",
        "nproc=4096:4096",
    ]
    build = ["buildah", "build", "--layers", "--pull-never", "--format", "docker"]
    engine = Engine(build, ["podman"], environment, limits)
    make_base(engine, cache)
    return engine


def base_name() -> tuple[str, str]:
    """Return the name of the Dockerfile's base and its version of Python."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    version = re.findall(r"^ARG PYTHON_VERSION=(\S+)$", text, flags=re.MULTILINE)[0]
    return re.findall(r"^FROM (\S+) AS build$", text, flags=re.MULTILINE)[0].replace(
        "${PYTHON_VERSION}", version
    ), version


def make_base(engine: Engine, cache: Path) -> None:
    """Make the stand-in for the Dockerfile's base, unless a fresh one is in the cache."""
    name, version = base_name()
    made = subprocess.run(
        ["buildah", "inspect", "--type", "image", "--format", '{{index .OCIv1.Config.Labels "made"}}', name],
        env=engine.environment,
        check=False,
        capture_output=True,
        text=True,
    ).stdout.strip()
    if made and time.time() - float(made) < BASE_AGE_DAYS * 86400:
        return
    print(f"Making a stand-in for {name} from Debian's packages", flush=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        root = Path(folder) / "root"
        log = cache / "base.log"
        with log.open("w", encoding="utf-8") as file:
            sources = debian_sources()
            mirror = [line.split()[-3] for line in sources if line.endswith(f" {DEBIAN} main")][:1]
            _logged(["debootstrap", "--variant=minbase", DEBIAN, str(root), *mirror], file, engine)
            if sources:
                (root / "etc/apt/sources.list").write_text("\n".join(sources) + "\n", encoding="utf-8")
            # As the slim images leave out.
            rules = [f"path-exclude=/usr/share/{name}/*" for name in ("doc", "info", "lintian", "locale", "man")]
            rules.append("path-include=/usr/share/doc/*/copyright")
            (root / "etc/dpkg/dpkg.cfg.d/slim").write_text("\n".join(rules) + "\n", encoding="utf-8")
            packages = [f"python{version}", f"python{version}-venv", "ca-certificates", "netbase", "tzdata"]
            install = "apt-get update && apt-get upgrade --yes && apt-get install --yes --no-install-recommends "
            install += f"{' '.join(packages)} && apt-get clean && rm -rf /var/lib/apt/lists/*"
            install += f" && ln -s /usr/bin/python{version} /usr/local/bin/python"
            _logged(["chroot", str(root), "sh", "-ec", install], file, engine)
        container = _buildah(engine, "from", "scratch")
        _buildah(engine, "add", "--quiet", container, str(root), "/")
        _buildah(
            engine, "config", "--env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", container
        )
        _buildah(engine, "config", "--label", f"made={time.time()}", container)
        _buildah(engine, "commit", "--quiet", "--rm", container, name)


def debian_sources() -> list[str]:
    """Return the lines of sources.list for Debian's own packages as apt is set up here; none on another system."""
    apt = ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
    listing = subprocess.run(apt, check=False, capture_output=True, text=True).stdout
    triples = sorted({tuple(line.split()) for line in listing.splitlines() if len(line.split()) == 3})  # noqa: PLR2004
    return [f"deb {' '.join(triple)}" for triple in triples if triple[1].startswith(DEBIAN) and triple[2] == "main"]


def _logged(command: Sequence[str], log: IO[str], engine: Engine) -> None:
    result = subprocess.run(command, check=False, stdout=log, stderr=subprocess.STDOUT, env=engine.environment)
    if result.returncode:
        sys.exit(f"{command[0]} failed with {result.returncode}; see {log.name}")


def _buildah(engine: Engine, *arguments: str) -> str:
    command = ["buildah", *arguments]
    return subprocess.run(command, env=engine.environment, check=True, capture_output=True, text=True).stdout.strip()


def sha256(file: Path) -> str:
    """Return the file's SHA-256 in hex."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Return each path below `folder` with its inode and the time of its last change."""
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in paths}


def outside(*arguments: str, settings: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the job of this environment, outside the image."""
    command = [sys.executable, "-m", "job", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RETENTION_")} | (
        settings or {}
    )
    return subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)


def open_folder(path: Path) -> Path:
    """Make a folder that the image's user may write to."""
    path.mkdir()
    path.chmod(0o777)
    return path


def _end(result: subprocess.CompletedProcess[str]) -> int | str:
    """Return the exit code; where it is not 0, with the end of what was said."""
    return f"{result.returncode}: {result.stderr[-2000:]}" if result.returncode else 0


def check_image(engine: Engine, report: Report, work: Path) -> None:
    """Check what the image says of itself and what is in it."""
    labels = json.loads(
        engine.ask("inspect", "--type", "image", "--format", "{{json .Config.Labels}}", f"{IMAGE}:test")
    )
    expected = {"title": "oneclick-retention", "licenses": "MIT", "revision": revision(), "version": version()}
    found = {name: labels.get(f"{LABEL}{name}") for name in expected}
    report.check("labels name the version and the source", found, expected)
    said = engine.run_image("--version").stdout
    told = said.partition(", model ")[0]
    report.check("the job says the same version", told, f"retention, version {expected['version']}")
    result = engine.run_image("-c", CONFINED, python=True, mounts={"/drop": f"{work / 'drop'}:ro"})
    wrong = (result.returncode, result.stdout, result.stderr)
    report.check("it runs as a number, confined, on a read-only root", wrong, (0, "", ""))
    result = engine.run_image("-c", CONTENTS, python=True)
    wrong = (result.returncode, result.stdout, result.stderr)
    report.check("it has no shell, compiler, pip, cache or writable code; all of it is compiled", wrong, (0, "", ""))
    code = engine.run_image("-c", ALLOCATE, python=True).returncode
    report.check(f"the memory limit of {MEMORY_MIB} MiB is in force", code, 137)


def check_runs(engine: Engine, report: Report, work: Path) -> None:
    """Score a drop, again, and outside; then report, validate and lift."""
    drop, out = work / "drop", open_folder(work / "out")
    mounts = {"/drop": f"{drop}:ro", "/out": str(out)}
    score = ("score", "--input", "/drop", "--output", "/out", *NO_ALARM)
    result = engine.run_image(*score, mounts=mounts)
    report.check("score publishes a run", _end(result), 0)
    runs = [path.name for path in (out / "runs").iterdir()]
    report.check("one run, and latest names it", [str((out / "latest").readlink())], [f"runs/{name}" for name in runs])
    whole = all((out / "latest" / name).is_file() for name in ("_SUCCESS", "report.html", "campaign.csv"))
    report.check("it is whole, with the page", whole, expected=True)
    settings = {"RETENTION_INPUT": "/drop", "RETENTION_OUTPUT": "/out", "RETENTION_DRIFT_STOP": NO_ALARM[1]}
    before = snapshot(out / "runs")
    result = engine.run_image("score", mounts=mounts, settings=settings)
    report.check("the same again, from environment variables, exits with 0", _end(result), 0)
    report.check("and does nothing twice", snapshot(out / "runs"), before)
    result = outside("score", "--input", str(drop), "--output", str(work / "outside"), *NO_ALARM)
    report.check("outside the image it scores, too", _end(result), 0)
    names = ("scored.csv", "campaign.csv", "rejected.csv", "excluded.csv")
    hashes = [{name: sha256(folder / "latest" / name) for name in names} for folder in (out, work / "outside")]
    report.check(f"with the same bytes: {', '.join(names)}", hashes[0], hashes[1])
    result = engine.run_image("report", "--run", "/out/latest", mounts={"/out": str(out)})
    report.check("report draws the page again", _end(result), 0)
    mounts = {"/drop": f"{drop}:ro", "/scratch": str(open_folder(work / "validating"))}
    result = engine.run_image("validate", "--input", "/drop", mounts=mounts, settings={"TMPDIR": "/scratch"})
    report.check("validate reads the drop", _end(result), 0)
    outside("sample", "--outcome-of", str(out / "latest"), "--seed", "7", str(work / "outcome"))
    mounts = {"/out": str(out), "/outcome": f"{work / 'outcome'}:ro"}
    result = engine.run_image("lift", "--run", "/out/latest", "--outcome", "/outcome", mounts=mounts)
    report.check("lift compares it with an outcome", _end(result), 0)


def check_codes(engine: Engine, report: Report, work: Path) -> None:
    """Bring about each exit code that a user can cause; each is said in lines, never by a traceback."""
    drop, out = work / "drop", open_folder(work / "codes")
    mounts = {"/drop": f"{drop}:ro", "/out": str(out)}
    score = ("score", "--input", "/drop", "--output", "/out")

    def expect(what: str, code: int, result: subprocess.CompletedProcess[str]) -> None:
        said = bool(result.stderr.strip()) and "Traceback" not in result.stderr
        report.check(f"exit code {code}: {what}", (result.returncode, said), (code, True))
        report.check("  and nothing is published", sorted((out / "runs").glob("*")), [])

    expect("wrong usage", 2, engine.run_image(*score, "--max-rejected", "7", mounts=mounts))
    bad = work / "bad"
    shutil.copytree(drop, bad)
    (bad / "money.csv").write_text("id,nothing\n1,2\n", encoding="utf-8")
    expect("a bad drop", 3, engine.run_image(*score, mounts=mounts | {"/drop": f"{bad}:ro"}))
    artifacts = work / "artifacts"
    shutil.copytree(ROOT / "model_artifacts", artifacts)
    model = artifacts / "model.json"
    model.write_bytes(model.read_bytes() + b" ")
    altered = mounts | {"/artifacts": f"{artifacts}:ro"}
    expect("an altered artifact", 4, engine.run_image(*score, "--artifacts", "/artifacts", mounts=altered))
    expect("an output that cannot be written", 5, engine.run_image(*score, mounts=mounts | {"/out": f"{out}:ro"}))
    partial = work / "partial"
    shutil.copytree(drop, partial)
    (partial / "money.csv").unlink()
    expect("an incomplete drop", 6, engine.run_image(*score, mounts=mounts | {"/drop": f"{partial}:ro"}))
    looked = mounts | {"/out": str(open_folder(work / "looked"))}
    code = engine.run_image(*score, "--drift-warn", "0.001", "--drift-stop", "0.001", mounts=looked).returncode
    published = (work / "looked/latest/_SUCCESS").is_file()
    report.check("exit code 8: published, and a person must look", (code, published), (8, True))
    lock = out / ".lock"
    lock.touch()
    lock.chmod(0o666)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        expect("another run holds the output", 7, engine.run_image(*score, mounts=mounts))


def pod_of(rendered: str, volumes: Mapping[str, Path], image: str) -> dict[str, Any]:
    """Return the CronJob's pod template as a Pod, with folders of this machine in place of the claims."""
    import yaml  # noqa: PLC0415  # of the development requirements

    job = next(item for item in yaml.safe_load_all(rendered) if item["kind"] == "CronJob")
    template = job["spec"]["jobTemplate"]["spec"]["template"]
    for volume in template["spec"]["volumes"]:
        if volume.pop("persistentVolumeClaim", None):
            volume["hostPath"] = {"path": str(volumes[volume["name"]]), "type": "Directory"}
    template["spec"]["containers"][0]["image"] = image
    metadata = template["metadata"] | {"name": "retention"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def check_pod(engine: Engine, report: Report, work: Path) -> None:
    """Run the pod template of `deploy/kubernetes/example` under podman, which reads Kubernetes' files."""
    if engine.run != ["podman"] or shutil.which("kubectl") is None:
        print("skipped the pod template: this needs podman and kubectl", flush=True)
        return
    out = open_folder(work / "pod")
    kustomize = ["kubectl", "kustomize", str(ROOT / "deploy/kubernetes/example")]
    rendered = subprocess.run(kustomize, check=True, capture_output=True, text=True).stdout
    pod = pod_of(
        rendered, {"drop": work / "drop", "out": out, "metrics": open_folder(work / "pod-metrics")}, f"{IMAGE}:test"
    )
    file = work / "pod.json"
    file.write_text(json.dumps(pod), encoding="utf-8")
    settings = {item["name"]: item["value"] for item in pod["spec"]["containers"][0]["env"]}
    settings |= {"RETENTION_INPUT": str(work / "drop"), "RETENTION_OUTPUT": str(work / "outside-pod")}
    settings |= {"RETENTION_SCRATCH": str(work), "RETENTION_METRICS": str(work / "metrics.prom"), "TMPDIR": str(work)}
    expected = outside("score", settings=settings).returncode
    report.check("outside, the settings of the pod template publish a run", expected in {0, 8}, expected=True)
    play = [*engine.run, "kube", "play", "--network", "none", str(file)]
    try:
        played = subprocess.run(play, env=engine.environment, check=False, capture_output=True, text=True)
        report.check("the rendered pod template starts", _end(played), 0)
        if played.returncode:
            return
        report.check(
            f"and ends with the same exit code, {expected}", engine.ask("wait", "retention-score"), str(expected)
        )
    finally:
        subprocess.run(
            [*engine.run, "kube", "down", str(file)], env=engine.environment, check=False, capture_output=True
        )
    report.check("having published a workbook", (out / "latest/campaign.xlsx").is_file(), expected=True)
    hashes = [sha256(folder / "latest/scored.csv") for folder in (out, work / "outside-pod")]
    report.check("scored.csv has the same bytes", hashes[0], hashes[1])


def check_stop(engine: Engine, report: Report, work: Path) -> None:
    """Stop a run that waits for its drop: the first process of a container gets no signal that it does not handle."""
    mounts = ["--volume", f"{work / 'partial'}:/drop:ro", "--volume", f"{open_folder(work / 'stopped')}:/out"]
    options = [*engine.run_options, "--detach", "--read-only", "--network", "none", "--cap-drop", "ALL", *mounts]
    score = ("score", "--input", "/drop", "--output", "/out", "--wait", "60")
    container = engine.ask("run", *options, f"{IMAGE}:test", *score)
    try:
        for _ in range(300):
            logs = subprocess.run(
                [*engine.run, "logs", container], env=engine.environment, check=True, capture_output=True, text=True
            )
            if '"stage": "wait"' in logs.stdout + logs.stderr:
                break
            time.sleep(0.2)
        engine.ask("stop", "--time", "20", container)
        code = engine.ask("inspect", "--format", "{{.State.ExitCode}}", container)
        report.check("told to stop, it does, with the shell's code for SIGTERM", code, "143")
    finally:
        engine.ask("rm", "--force", container)


def check_training(engine: Engine, report: Report, work: Path) -> None:
    """Build the target `train` and train with it, then score with what it wrote, in the smaller image."""
    seconds = engine.build_image(f"{IMAGE}:test-train", "--target", "train")
    print(f"Built the target train in {seconds:.0f} s", flush=True)
    labelled, artifacts, out = work / "labelled", open_folder(work / "trained"), open_folder(work / "trained-out")
    outside("sample", "--customers", "600", "--seed", "3", "--labelled", str(labelled))
    mounts = {"/drop": f"{labelled}:ro", "/artifacts": str(artifacts), "/scratch": str(open_folder(work / "scratch"))}
    train = ("train", "--quick", "--input", "/drop", "--artifacts", "/artifacts/model")
    settings = {"TMPDIR": "/scratch"}
    result = engine.run_image(*train, mounts=mounts, settings=settings, tag=f"{IMAGE}:test-train", memory=2048)
    report.check("train writes an artifact", _end(result), 0)
    mounts = {"/drop": f"{work / 'drop'}:ro", "/artifacts": f"{artifacts}:ro", "/out": str(out)}
    score = ("score", "--input", "/drop", "--output", "/out", "--artifacts", "/artifacts/model", *NO_ALARM)
    result = engine.run_image(*score, mounts=mounts, tag=f"{IMAGE}:test-train")
    report.check("and scores with it", _end(result), 0)
    kind = json.loads((artifacts / "model/manifest.json").read_text(encoding="utf-8"))["kind"]
    # The same run again for a linear model; a boosted one asks for an image with LightGBM.
    code = engine.run_image(*score, mounts=mounts).returncode
    report.check(
        f"the image that only scores knows what to do with a {kind} model", code, {"linear": 0, "boosted": 4}[kind]
    )


def print_size(engine: Engine) -> None:
    """Print what the image's bytes are."""
    sizes = json.loads(engine.run_image("-c", SIZES, python=True).stdout)
    print(f"\nThe image holds {sum(sizes.values()) / 1e6:.0f} MB")
    for part, size in sorted(sizes.items(), key=lambda item: -item[1]):
        print(f"  {size / 1e6:6.1f} MB  {part}")


def build(engine: Engine, target: str, requirements: str) -> None:
    """Build a stage for use and say where it is: Docker has it; without Docker it is an archive to load anywhere."""
    tag = f"oneclick-retention:{version()}" + ("-train" if target == "train" else "")
    seconds = engine.build_image(tag, "--target", target, "--build-arg", f"REQUIREMENTS={requirements}")
    print(f"Built {tag} in {seconds:.0f} s")
    if engine.run == ["podman"]:
        archive = ROOT / "dist" / f"{tag.replace(':', '-')}.tar"
        archive.parent.mkdir(exist_ok=True)
        archive.unlink(missing_ok=True)
        engine.ask("save", "--quiet", "--format", "docker-archive", "--output", str(archive), f"localhost/{tag}")
        print("Without Docker, its base is made of Debian's own packages.")
        print(f"Load it elsewhere with: docker load --input {archive.relative_to(ROOT)}")


def main() -> None:
    """Build, check, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--build", action="store_true", help="only build, for use")
    parser.add_argument("--target", choices=("score", "train"), default="score", help="with --build: the stage")
    parser.add_argument("--requirements", default="storage", help="with --build: sets of requirements/ for `score`")
    parser.add_argument("--no-train", action="store_true", help="leave out the target train")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where images are kept without Docker")
    arguments = parser.parse_args()
    engine = find_engine(arguments.cache)
    if arguments.build:
        build(engine, arguments.target, arguments.requirements)
        return
    report = Report()
    seconds = engine.build_image(f"{IMAGE}:test")
    print(f"Built with {engine.build[0]} in {seconds:.0f} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="image-test-", ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        work.chmod(0o755)
        outside("sample", "--customers", "5000", "--seed", "7", str(work / "drop"))
        for check in (check_image, check_runs, check_codes, check_stop, check_pod):
            check(engine, report, work)
        if not arguments.no_train:
            check_training(engine, report, work)
    if engine.run == ["podman"]:
        engine.ask("image", "prune", "--force", "--filter", "until=168h")  # layers of builds long past
    print_size(engine)
    print(f"\n{report.passed} passed, {len(report.failed)} failed")
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
