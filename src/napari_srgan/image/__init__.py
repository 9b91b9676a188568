"""Images as the project sees them: stacks, axes, intensity, geometry, resampling, degradation."""
