"""`retention score --engine spark` against a server that is started for it, on the same cores."""

from __future__ import annotations

import subprocess
import sys

SERVE = """
import sys
from pysail.spark import SparkConnectServer
server = SparkConnectServer("127.0.0.1", 0)
server.start(background=True)
print(server.listening_address[1], flush=True)
sys.stdin.read()
"""


def main(drop: str, out: str) -> int:
    """Score a drop; return the job's exit code."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        port = int(server.stdout.readline())
        command = [sys.executable, "-m", "job", "score", "--no-report", "--input", drop, "--output", out]
        code = subprocess.run([*command, "--engine", "spark", "--spark-remote", f"sc://127.0.0.1:{port}"], check=False)
        server.stdin.close()
        return code.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
