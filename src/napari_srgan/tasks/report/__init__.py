"""A page that says how far a result can be trusted: pictures, figures, curves and provenance."""
