"""The dock widget Batch: the files of a folder, restored into another."""
