"""The same run on somebody's Spark: the work is spread, what is worked with is the local engine's own code."""
