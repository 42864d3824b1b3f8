"""Visualization of datasets: contact sheets, animations, a web page, statistics."""
