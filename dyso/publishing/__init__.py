"""Publishing: finished datasets and exports, copied to folders, buckets and the Hub."""
