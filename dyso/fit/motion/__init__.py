"""Dynamic fields for monocular videos of small camera motion."""
