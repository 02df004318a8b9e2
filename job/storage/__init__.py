"""Drops and outputs in object storage."""
