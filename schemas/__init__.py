"""The contracts: what a drop, the feature frame and a published run look like. Imports nothing else of the project."""
