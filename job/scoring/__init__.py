"""The main job: score, segment, publish."""
