"""Image files and what is known about them: opening, writing whole, notes, calibration."""
