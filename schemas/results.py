"""What machines read of the commands: `docs/schemas/` says it as JSON Schema.

`RESULT_FORMAT` is raised by one when a reader of the old format would misread the new one.
"""

from __future__ import annotations

from typing import Final

RESULT_FORMAT: Final = 1
