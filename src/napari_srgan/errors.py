"""The errors that a user is meant to read: one sentence each, shown as it stands."""


class InputError(ValueError):
    """What was given cannot be used: one sentence says what, where and what to do about it.

    The command line prints it and exits with code 2; the widgets show it. Anything else
    that is raised is a defect of the program.
    """


class OutputExists(InputError):
    """The output is already there and overwriting was not asked for."""


class OutputBusy(InputError):
    """Another run is writing the output."""
