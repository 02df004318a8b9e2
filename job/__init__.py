"""The batch scorer: intake, features, models, scoring, training. See the README's map of the code."""

__version__ = "0.1.0"
