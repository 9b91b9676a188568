"""Is the result true to the measured data? Maps and figures that need no reference.

What belongs here: `operators` and `shrinking` (a model's degradation, and as a matrix),
`consistency` (what a result leaves unexplained), `meter` (that of a whole run), `back_projection`
(making a result reproduce the data), `invention` (what a model adds that the data cannot confirm),
`spread` (how much it depends on the image's orientation) and `maps` (of whole stacks). No window,
and torch only where a network runs.
"""
