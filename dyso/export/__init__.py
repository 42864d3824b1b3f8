"""Datasets in the formats of other projects, one module each."""
