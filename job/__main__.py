"""Makes `python -m job` the same as the `retention` command."""

from job.cli import main

main()
