"""The dock widgets, one file each, and the small parts that they are composed of.

What belongs here: everything that knows napari or Qt, save the reader, the writer and the
samples. The widgets are thin: they build a request, run a worker and show its result. What
can be said without a window (where a result lies, what a sentence says) is a plain function.
"""
