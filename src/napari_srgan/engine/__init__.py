"""The inside of a run: planes, windows and tiles of work. `job` and `upscaler` are its face."""
