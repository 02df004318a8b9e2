"""The same run on somebody's Spark: the work is spread, what is worked with is the local engine's own code.

Needs the extra `spark`. `session` knows Spark, `work` is what executors do, `engine` puts the run together.
"""
