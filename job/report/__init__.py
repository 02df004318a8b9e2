"""The page of a run: data gathered while scoring, charts and HTML drawn from them; the frame of every page."""
