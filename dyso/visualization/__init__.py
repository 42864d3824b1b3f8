"""Looking at datasets: pictures, animations, a page to browse, statistics."""
