"""Copy report for an issue: what `napari-srgan doctor` says, and what went wrong, as text."""

from __future__ import annotations

from functools import partial

from qtpy.QtWidgets import QApplication, QPushButton

from napari_srgan._gui.runner import End, Runner
from napari_srgan.tasks.steps import Progress, Work

COPY = "Copy report for an issue"
COPIED = "Copied: paste it into the issue"


class IssueReport(QPushButton):
    """A button that puts the report on the clipboard; it takes a few seconds, in a thread."""

    def __init__(self) -> None:
        super().__init__(COPY)
        self.setToolTip(
            "Copy versions, devices, OpenGL, formats and models, as 'napari-srgan doctor' tells "
            "them; it names neither you nor any image"
        )
        self.trouble = ""
        self._runner = Runner(self)
        self._runner.ended.connect(self._on_end)
        self.clicked.connect(self._on_click)

    def about(self, trouble: str) -> None:
        """Let the report end with this sentence; "" for none."""
        self.trouble = trouble
        if not self._runner.running:
            self.setText(COPY)

    def _on_click(self) -> None:
        self._runner.start(partial(issue_report, self.trouble))
        self.setText("Looking ...")
        self.setEnabled(False)

    def _on_end(self, end: End) -> None:
        self.setEnabled(True)
        self.setText(COPIED if end.result else COPY)
        if end.result:
            QApplication.clipboard().setText(end.result)
        elif end.error:
            self.setText("It failed: run 'napari-srgan doctor'")


def issue_report(trouble: str) -> Work[str]:
    """Examine the installation, and return what belongs into an issue; for a thread."""
    yield Progress(0, 0, stage="Looking")
    from napari_srgan.tasks.doctor import examine, report

    text = report(examine())
    return f"{text}\n\nWhat went wrong:\n{trouble}" if trouble else text
