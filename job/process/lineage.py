"""What `score` read and wrote, as OpenLineage tells it: a file of events, one a line, replaced in one step.

A call begins with START and ends with COMPLETE or FAIL. Inputs and outputs are datasets, each file with its SHA-256 as
version; names are those of OpenLineage's naming: `file` and a path, or the bucket and a key. No event says anything of
a customer.
"""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from job.errors import EXIT_LOOK, EXIT_PUBLISHED
from job.files import replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAMESPACE: Final = "oneclick-retention"
PRODUCER: Final = "https://pypi.org/project/oneclick-retention"
RUNS: Final = uuid.UUID("0d5a2d0e-6a0f-5c3c-8a55-1f2f6c1f7a11")
"""Names a call's run after its output and its beginning, so that whoever closes it for it names it the same."""


def is_installed() -> bool:
    """Return whether OpenLineage's library is here."""
    return find_spec("openlineage") is not None


def write_start(path: Path, *, drop: str, output: str, started: float) -> None:
    """Write the event of a call that begins. Raises OSError.

    Args:
        path: of the file.
        drop: where the drop is.
        output: where runs are published.
        started: when the call began, in seconds since 1970.
    """
    _write(path, [_event("START", started, output=output, started=started, inputs=[_dataset("input", drop)])])


def write_end(
    path: Path,
    *,
    drop: str,
    output: str,
    started: float,
    ended: float,
    exit_code: int,
    manifest: Mapping[str, Any] | None,
) -> None:
    """Write the events of a call that has ended. Raises OSError.

    Args:
        path: of the file.
        drop: where the drop is.
        output: where runs are published.
        started: when the call began, in seconds since 1970.
        ended: when it ended.
        exit_code: of the call.
        manifest: of the run that it published or found published.
    """
    start = _event("START", started, output=output, started=started, inputs=[_dataset("input", drop)])
    if manifest is None or exit_code not in (EXIT_PUBLISHED, EXIT_LOOK):
        inputs = [_dataset("input", drop)]
        end = _event("FAIL", ended, output=output, started=started, inputs=inputs, error=f"exit code {exit_code}")
    else:
        run = f"{output}/runs/{manifest['run_id']}"
        end = _event(
            "COMPLETE",
            ended,
            output=output,
            started=started,
            inputs=[_dataset("input", f"{drop}/{file['file']}", file["sha256"]) for file in manifest["inputs"]],
            outputs=[
                _dataset("output", f"{run}/{name}", written["sha256"]) for name, written in manifest["outputs"].items()
            ],
        )
    _write(path, [start, end])


def _event(
    kind: str,
    at: float,
    *,
    output: str,
    started: float,
    inputs: list[Any],
    outputs: list[Any] | None = None,
    error: str | None = None,
) -> Any:  # noqa: ANN401 - the library's
    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState  # noqa: PLC0415 - an extra
    from openlineage.client.generated.error_message_run import ErrorMessageRunFacet  # noqa: PLC0415

    facets: dict[str, Any] = {}
    if error is not None:
        facets["errorMessage"] = ErrorMessageRunFacet(message=error, programmingLanguage="PYTHON")
    return RunEvent(
        eventType=RunState[kind],
        eventTime=datetime.fromtimestamp(at, UTC).isoformat(),
        run=Run(runId=str(uuid.uuid5(RUNS, f"{output} {started!r}")), facets=facets),
        job=Job(namespace=NAMESPACE, name="score"),
        producer=PRODUCER,
        inputs=inputs,
        outputs=outputs or [],
    )


def _dataset(kind: str, path: str, digest: str | None = None) -> Any:  # noqa: ANN401 - the library's
    from openlineage.client.event_v2 import InputDataset, OutputDataset  # noqa: PLC0415 - an extra
    from openlineage.client.generated.dataset_version_dataset import DatasetVersionDatasetFacet  # noqa: PLC0415

    scheme, separator, rest = path.partition("://")
    namespace, name = ("file", os.path.abspath(path))  # noqa: PTH100 - no link is followed
    if separator:
        bucket, _, name = rest.partition("/")
        namespace = f"{scheme}://{bucket}"
    facets: dict[str, Any] = {}
    if digest is not None:
        facets["version"] = DatasetVersionDatasetFacet(datasetVersion=digest)
    return (InputDataset if kind == "input" else OutputDataset)(namespace=namespace, name=name, facets=facets)


def _write(path: Path, events: list[Any]) -> None:
    from openlineage.client.serde import Serde  # noqa: PLC0415 - an extra

    replace_file(path, "".join(f"{Serde.to_json(event)}\n" for event in events).encode())
