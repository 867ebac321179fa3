"""The pictures of a run: which there are, and what is drawn in each."""
