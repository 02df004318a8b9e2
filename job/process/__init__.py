"""The process of a call: who watches it, its log, and what monitoring is told."""
