"""A plan, and how it is carried out."""
