"""A page that says how far a result can be trusted: pictures, figures, curves and provenance.

What belongs here: `request` (what is asked for), `views` (parts of stacks), `content` (all that the
page states, measured), `gather` (measuring it), `shown` (the slice that is shown in pictures),
`pictures`, `curves` and `tables` (how images, curves and numbers appear), `page` (HTML) and `place`
(writing it). No window, no files but the page.
"""
