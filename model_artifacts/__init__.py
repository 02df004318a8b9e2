"""The selected model, as text, with its card. Written by `retention train`; see `job.models.artifact`."""
