"""The page of a run: facts gathered while scoring, charts and HTML drawn from them; the frame of every page."""
