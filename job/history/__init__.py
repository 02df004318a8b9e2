"""What the months have taught: all runs and campaigns of an output, and what each offer was worth."""
