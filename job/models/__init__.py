"""What may be deployed: the artifact on disk and the models in it."""
