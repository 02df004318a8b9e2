"""What the job is measured against, and what prepares it: one module, one process."""
