"""What the job costs beside what else could do it: `python -m tests.benchmarks --help`.

The harness itself needs nothing but Python: whatever it measures runs in processes and environments of its own.
"""
