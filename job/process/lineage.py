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
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from job.process.metrics import Call

NAMESPACE: Final = "oneclick-retention"
PRODUCER: Final = "https://pypi.org/project/oneclick-retention"
RUNS: Final = uuid.UUID("0d5a2d0e-6a0f-5c3c-8a55-1f2f6c1f7a11")
"""Names a call's run after its output and its beginning, so that whoever closes it for it names it the same."""


def is_installed() -> bool:
    """Return whether OpenLineage's library is here."""
    return find_spec("openlineage") is not None


def write_events(
    path: Path, drop: str, output: str, *, started: float, ended: Call | None, manifest: Mapping[str, Any] | None
) -> None:
    """Write the event of a call that begins, and that of its end once it has ended. Raises OSError.

    `started` is in seconds since 1970; the manifest is that of the run that it published or found published.
    """
    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState  # noqa: PLC0415 - an extra
    from openlineage.client.generated.error_message_run import ErrorMessageRunFacet  # noqa: PLC0415
    from openlineage.client.serde import Serde  # noqa: PLC0415

    run_id = str(uuid.uuid5(RUNS, f"{output} {started!r}"))

    def event(state: RunState, at: float, inputs: list[Any], outputs: Sequence[Any] = (), **facets: Any) -> str:  # noqa: ANN401 - the library's
        described = RunEvent(
            eventType=state,
            eventTime=datetime.fromtimestamp(at, UTC).isoformat(),
            run=Run(runId=run_id, facets=facets),
            job=Job(namespace=NAMESPACE, name="score"),
            producer=PRODUCER,
            inputs=inputs,
            outputs=list(outputs),
        )
        return f"{Serde.to_json(described)}\n"

    events = [event(RunState.START, started, [_dataset("input", drop)])]
    if ended is not None and (manifest is None or ended.exit_code not in (EXIT_PUBLISHED, EXIT_LOOK)):
        error = ErrorMessageRunFacet(message=f"exit code {ended.exit_code}", programmingLanguage="PYTHON")
        events.append(event(RunState.FAIL, ended.ended, [_dataset("input", drop)], errorMessage=error))
    elif ended is not None and manifest is not None:
        run = f"{output}/runs/{manifest['run_id']}"
        inputs = [_dataset("input", f"{drop}/{file['file']}", file["sha256"]) for file in manifest["inputs"]]
        outputs = [_dataset("output", f"{run}/{name}", file["sha256"]) for name, file in manifest["outputs"].items()]
        events.append(event(RunState.COMPLETE, ended.ended, inputs, outputs))
    replace_file(path, "".join(events).encode())


def _dataset(kind: str, path: str, digest: str | None = None) -> Any:  # noqa: ANN401 - the library's
    from openlineage.client.event_v2 import InputDataset, OutputDataset  # noqa: PLC0415 - an extra
    from openlineage.client.generated.dataset_version_dataset import DatasetVersionDatasetFacet  # noqa: PLC0415

    scheme, separator, rest = path.partition("://")
    namespace, name = ("file", os.path.abspath(path))  # noqa: PTH100 - no link is followed
    if separator:
        bucket, _, name = rest.partition("/")
        namespace = f"{scheme}://{bucket}"
    facets: Any = {} if digest is None else {"version": DatasetVersionDatasetFacet(datasetVersion=digest)}
    return (InputDataset if kind == "input" else OutputDataset)(namespace=namespace, name=name, facets=facets)
