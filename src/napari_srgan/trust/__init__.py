"""Is the result true to the measured data? Maps and figures that need no reference.

`operators` and `shrinking` are a model's degradation, and that as a matrix; `consistency` is what a
result leaves unexplained, `meter` that of a whole run; `back_projection` makes a result reproduce
the data; `invention` is what a model adds that the data cannot confirm, `spread` how much it
depends on the image's orientation.
"""
