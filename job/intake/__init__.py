"""A drop on disk becomes accepted tables and rejected rows."""
