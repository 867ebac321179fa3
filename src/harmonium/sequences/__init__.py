"""What a model of sequences says."""
