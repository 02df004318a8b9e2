"""What `kubectl kustomize` makes of deploy/kubernetes: right for the schemas, and for what a cluster refuses beyond."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
import zoneinfo
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from deploy.image_test import USER, pod_of
from job import cli, errors

ROOT = Path(__file__).parents[2]
KUSTOMIZATIONS = ("base", "example", "storage", "training", "spark")
# The oldest in which everything used here is stable (podReplacementPolicy), and what the package knows as the newest.
VERSIONS = ("1.34", kubernetes_validate.latest_version())
EXECUTOR = "spark.kubernetes.executor"
UNITS = {"": 1, "m": 1e-3, "Mi": 2**20, "Gi": 2**30}

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


@cache
def rendered(name: str) -> str:
    folder = ROOT / "deploy" / "kubernetes" / name
    return subprocess.run(["kubectl", "kustomize", folder], check=True, capture_output=True, text=True).stdout


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(rendered(name)))


def cron_job(name: str) -> dict[str, Any]:
    """Return the CronJob that scores."""
    (found,) = (
        item for item in documents(name) if item["kind"] == "CronJob" and item["metadata"]["name"] == "retention"
    )
    return found


def job_of(name: str) -> dict[str, Any]:
    return cron_job(name)["spec"]["jobTemplate"]["spec"]


def pod(name: str) -> dict[str, Any]:
    return job_of(name)["template"]["spec"]


def container(name: str) -> dict[str, Any]:
    (found,) = pod(name)["containers"]
    return found


def environment(name: str) -> dict[str, str]:
    return {item["name"]: item["value"] for item in container(name)["env"] if "value" in item}


def amount(quantity: str) -> float:
    number, unit = re.fullmatch(r"([0-9]+)([A-Za-z]*)", quantity).groups()
    return int(number) * UNITS[unit]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_every_document_fits_its_schema_strictly(name: str, version: str) -> None:
    kinds = {"base": 5, "example": 6, "storage": 4, "training": 8, "spark": 13}
    assert len(documents(name)) == kinds[name]
    for document in documents(name):
        kubernetes_validate.validate(document, version, strict=True)


def test_the_schemas_refuse_what_is_misspelt() -> None:
    document = cron_job("base")
    document["spec"]["jobTemplate"]["spec"]["backofLimit"] = 1
    with pytest.raises(kubernetes_validate.ValidationError, match="backofLimit"):
        kubernetes_validate.validate(document, VERSIONS[0], strict=True)


def cron_values(field: str, low: int, high: int) -> set[int]:
    """The values that one field of a schedule names, as Kubernetes reads it: numbers, *, ranges, steps, lists."""
    values = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        start = low if first == "*" else int(first)
        end = high if first == "*" else int(last or first)
        assert low <= start <= end <= high, field
        values |= set(range(start, end + 1, int(step or 1)))
    return values


@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_the_schedule_comes_once_a_month_in_a_time_zone_that_exists(name: str) -> None:
    spec = cron_job(name)["spec"]
    minute, hour, day, month, weekday = spec["schedule"].split()
    assert len(cron_values(minute, 0, 59)) == len(cron_values(hour, 0, 23)) == 1
    assert (len(cron_values(month, 1, 12)), weekday) == (12, "*")
    (on,) = cron_values(day, 1, 31)
    assert on <= 28, "not every month has that day"
    assert "TZ" not in spec["schedule"], "refused beside timeZone"
    assert spec["timeZone"] in zoneinfo.available_timezones()


@pytest.mark.parametrize("field", ["60", "1-70", "a", "*/0", "5-1"])
def test_a_wrong_field_of_a_schedule_is_seen(field: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        cron_values(field, 0, 59)


@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_runs_neither_overlap_nor_last_for_ever(name: str) -> None:
    spec, job = cron_job(name)["spec"], job_of(name)
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["startingDeadlineSeconds"] >= 10, "the controller looks every 10 seconds"
    assert {spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]} == {3}
    assert job["backoffLimit"] > 0
    wait = float(environment(name)["RETENTION_WAIT"]) * 60
    assert job["activeDeadlineSeconds"] >= (1 + job["backoffLimit"]) * wait, "each try needs its time"
    assert "ttlSecondsAfterFinished" not in job, "the history limits keep what on-call looks at"
    assert len(cron_job(name)["metadata"]["name"]) <= 52, "11 characters are added for a Job"


@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_a_pod_failure_policy_needs_pods_that_are_never_restarted(name: str) -> None:
    assert pod(name)["restartPolicy"] == "Never"
    assert job_of(name)["podReplacementPolicy"] == "Failed"


@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_exit_codes_lead_to_what_the_contract_says(name: str) -> None:
    disrupted, failed = job_of(name)["podFailurePolicy"]["rules"]
    assert disrupted == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert failed["action"] == "FailJob"
    codes = failed["onExitCodes"]
    assert (codes["operator"], codes["containerName"]) == ("In", container(name)["name"])
    no_retry = {error.exit_code for error in (errors.SettingsError, errors.DropError, errors.ArtifactError)}
    retry = {error.exit_code for error in (errors.OutputError, errors.DropIncompleteError, errors.OutputBusyError)}
    assert set(codes["values"]) == no_retry | {errors.EXIT_LOOK}
    assert codes["values"] == sorted(codes["values"]), "a cluster refuses them unsorted"
    assert not {errors.EXIT_PUBLISHED, errors.EXIT_DEFECT, *retry} & set(codes["values"])


@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_the_restricted_pod_security_standard(name: str) -> None:
    spec, inside = pod(name), container(name)["securityContext"]
    assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"]) == (True, USER)
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (inside["allowPrivilegeEscalation"], inside["readOnlyRootFilesystem"]) == (False, True)
    assert inside["capabilities"] == {"drop": ["ALL"]}
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers", "ephemeralContainers"} & set(spec)
    allowed = {"name", "configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
    assert {key for volume in spec["volumes"] for key in volume} <= allowed
    assert spec["automountServiceAccountToken"] is False


def test_the_user_is_the_image_s() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^USER (.*)$", dockerfile, flags=re.MULTILINE) == [f"{USER}:{USER}"]
    context = pod("base")["securityContext"]
    assert {context["runAsUser"], context["runAsGroup"], context["fsGroup"]} == {USER}


@pytest.mark.parametrize("name", ["base", "example"])
def test_the_drop_is_read_only_and_scratch_is_on_disk(name: str) -> None:
    mounts = {mount["name"]: mount for mount in container(name)["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod(name)["volumes"]}
    assert set(mounts) == set(volumes)
    assert volumes["drop"]["persistentVolumeClaim"]["readOnly"] is mounts["drop"]["readOnly"] is True
    assert "readOnly" not in mounts["out"]
    assert set(volumes["scratch"]["emptyDir"]) == {"sizeLimit"}, "a medium would be memory"
    assert amount(volumes["scratch"]["emptyDir"]["sizeLimit"]) <= amount(
        container(name)["resources"]["limits"]["ephemeral-storage"]
    )
    claims = {item["metadata"]["name"] for item in documents(name) if item["kind"] == "PersistentVolumeClaim"}
    used = {volume["persistentVolumeClaim"]["claimName"] for volume in volumes.values() if "emptyDir" not in volume}
    assert used == claims
    paths = {mount["mountPath"] for mount in mounts.values()}
    told = environment(name)
    metrics = Path(told["RETENTION_METRICS"])
    folders = {told[key] for key in ("RETENTION_INPUT", "RETENTION_OUTPUT", "RETENTION_SCRATCH")}
    assert paths == {*folders, str(metrics.parent)}
    assert str(metrics.parent) not in folders, "the output's trouble would silence it"
    assert told["TMPDIR"] == told["RETENTION_SCRATCH"]


@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_requests_are_within_limits(name: str) -> None:
    requests, limits = (container(name)["resources"][key] for key in ("requests", "limits"))
    assert set(requests) == set(limits) == {"cpu", "memory", "ephemeral-storage"}
    for kind, quantity in requests.items():
        assert amount(quantity) <= amount(limits[kind])


@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_every_setting_is_an_option_of_score(name: str) -> None:
    options = {option.envvar for option in cli.score.params}
    assert environment(name)["RETENTION_REQUIRE_NEW"] == "1"
    assert {variable for variable in environment(name) if variable.startswith("RETENTION_")} <= options
    assert container(name)["args"] == ["score"]


def test_the_image_has_the_project_s_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert container("base")["image"] == f"oneclick-retention:{version}"
    assert container("example")["image"] == f"registry.example.com/marketing/oneclick-retention:{version}"


def test_the_job_reaches_no_network() -> None:
    (policy,) = (item for item in documents("example") if item["kind"] == "NetworkPolicy")
    labels = job_of("example")["template"]["metadata"]["labels"]
    assert policy["spec"] == {"podSelector": {"matchLabels": labels}, "policyTypes": ["Ingress", "Egress"]}


def test_the_job_reaches_dns_and_the_store_and_nothing_else() -> None:
    (policy,) = (item for item in documents("storage") if item["kind"] == "NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy["spec"]
    ports = [[(port["protocol"], port["port"]) for port in rule["ports"]] for rule in policy["spec"]["egress"]]
    assert ports == [[("UDP", 53), ("TCP", 53)], [("TCP", 443)]]
    assert {mount["mountPath"] for mount in container("storage")["volumeMounts"]} == {"/metrics", "/scratch"}
    assert environment("storage")["RETENTION_OUTPUT"].startswith("s3://")


def test_the_store_of_models_is_written_by_training_and_read_by_scoring() -> None:
    (training,) = (item for item in documents("training") if item["metadata"]["name"] == "retention-train")
    spec = training["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (train,) = spec["containers"]
    told = {item["name"]: item["value"] for item in train["env"]}
    assert {name for name in told if name.startswith("RETENTION_")} <= {option.envvar for option in cli.train.params}
    assert (train["args"], told["RETENTION_STORE"]) == (["train"], environment("training")["RETENTION_ARTIFACTS"])
    assert (spec["securityContext"]["runAsUser"], train["securityContext"]["readOnlyRootFilesystem"]) == (USER, True)
    mounts = {mount["name"]: mount for mount in container("training")["volumeMounts"]}
    assert (mounts["models"]["mountPath"], mounts["models"]["readOnly"]) == ("/models", True)
    claims = {
        item["metadata"]["name"]: item["spec"]
        for item in documents("training")
        if item["kind"] == "PersistentVolumeClaim"
    }
    assert claims["retention-models"]["accessModes"] == ["ReadWriteMany"]
    for volume in (*spec["volumes"], *pod("training")["volumes"]):
        assert "emptyDir" in volume or volume["persistentVolumeClaim"]["claimName"] in claims


def only(kind: str, name: str | None = None) -> dict[str, Any]:
    """Return a document of `spark`, by its kind and its name."""
    found = [item for item in documents("spark") if item["kind"] == kind]
    (document,) = (item for item in found if name in (None, item["metadata"]["name"]))
    return document


def spark_settings() -> dict[str, str]:
    lines = only("ConfigMap")["data"]["spark-defaults.conf"].splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))


def executor() -> dict[str, Any]:
    template = yaml.safe_load(only("ConfigMap")["data"][Path(spark_settings()[f"{EXECUTOR}.podTemplateFile"]).name])
    for version in VERSIONS:
        kubernetes_validate.validate(template, version, strict=True)
    return template


def test_the_job_finds_the_server_and_the_server_s_ports_are_open() -> None:
    service, server, settings = only("Service"), only("StatefulSet")["spec"], spark_settings()
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    name = service["metadata"]["name"]
    assert environment("spark")["RETENTION_SPARK_REMOTE"] == f"sc://{name}:{ports['connect']}"
    assert environment("spark")["RETENTION_ENGINE"] == "spark"
    assert {key: str(port) for key, port in ports.items()} == {
        "connect": settings["spark.connect.grpc.binding.port"],
        "driver": settings["spark.driver.port"],
        "blocks": settings["spark.driver.blockManager.port"],
    }
    assert {port["containerPort"] for port in server["template"]["spec"]["containers"][0]["ports"]} == {*ports.values()}
    assert settings["spark.driver.host"] == f"{name}.{service['metadata']['namespace']}.svc"
    assert settings["spark.kubernetes.namespace"] == service["metadata"]["namespace"]
    assert settings["spark.kubernetes.driver.pod.name"] == f"{only('StatefulSet')['metadata']['name']}-0"
    assert service["spec"]["selector"] == server["selector"]["matchLabels"] == server["template"]["metadata"]["labels"]


def test_the_job_and_the_executors_share_the_scratch_folder() -> None:
    volume, settings = f"{EXECUTOR}.volumes.persistentVolumeClaim.scratch", spark_settings()
    (mount,) = container("spark")["volumeMounts"]
    (claim,) = (item["persistentVolumeClaim"]["claimName"] for item in pod("spark")["volumes"])
    assert settings[f"{volume}.mount.path"] == mount["mountPath"] == environment("spark")["RETENTION_SCRATCH"]
    assert settings[f"{volume}.options.claimName"] == claim == only("PersistentVolumeClaim")["metadata"]["name"]
    assert only("PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteMany"]
    assert executor()["spec"]["securityContext"]["runAsUser"] == pod("spark")["securityContext"]["runAsUser"]


def test_server_and_executors_are_of_one_image_and_restricted() -> None:
    server = only("StatefulSet")["spec"]["template"]["spec"]
    image = server["containers"][0]["image"]
    assert image == spark_settings()["spark.kubernetes.container.image"]
    assert image == "registry.example.com/marketing/oneclick-retention-executor:0.1.0"
    for spec in (server, executor()["spec"]):
        assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"]) == (True, USER)
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        inside = spec["containers"][0]["securityContext"]
        assert (inside["allowPrivilegeEscalation"], inside["capabilities"]) == (False, {"drop": ["ALL"]})
    dockerfile = (ROOT / "deploy" / "kubernetes" / "spark" / "Dockerfile").read_text(encoding="utf-8")
    assert f"USER {USER}:{USER}\n" in dockerfile
    locked = (ROOT / "requirements" / "spark.txt").read_text(encoding="utf-8")
    (version,) = re.findall(r"^pyspark-client==(\S+)", locked, re.MULTILINE)
    assert f"apache/spark:{version}-" in dockerfile, "the server is of the client's version"


def test_only_the_job_gives_the_server_work() -> None:
    job, executors = job_of("spark")["template"]["metadata"]["labels"], executor()["metadata"]["labels"]
    from_job, from_executors = only("NetworkPolicy", "spark-connect")["spec"]["ingress"]
    assert from_job == {"from": [{"podSelector": {"matchLabels": job}}], "ports": [{"port": 15002}]}
    assert from_executors["from"] == [{"podSelector": {"matchLabels": executors}}]
    assert 15002 not in [port["port"] for port in from_executors["ports"]]


def test_the_example_s_namespace_enforces_the_standard() -> None:
    (namespace,) = (item for item in documents("example") if item["kind"] == "Namespace")
    assert namespace["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    others = [item for item in documents("example") if item is not namespace and item["kind"] != "Namespace"]
    assert {item["metadata"]["namespace"] for item in others} == {namespace["metadata"]["name"]}


def test_the_pod_template_becomes_a_pod_with_folders_for_claims(tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("drop", "out", "metrics")}
    made = pod_of(rendered("example"), folders, "image:test")
    kubernetes_validate.validate(made, VERSIONS[0], strict=True)
    volumes = {volume["name"]: volume for volume in made["spec"]["volumes"]}
    assert volumes["drop"] == {"name": "drop", "hostPath": {"path": str(folders["drop"]), "type": "Directory"}}
    assert "emptyDir" in volumes["scratch"]
    assert made["spec"]["containers"][0]["image"] == "image:test"
