"""The study's page in a real browser: no console message, no sideways scrolling from phone to desktop width."""

import pytest

from dnas.report.study import study_page, write_study

WIDTHS = (1280, 800, 390)


def test_page_renders_without_console_messages(browse, make_study, tmp_path):
    document, console = browse(write_study(make_study(), tmp_path))
    assert "<h1>The best of 3 methods" in document
    assert console == []


@pytest.mark.parametrize("truth", [True, False])
def test_page_does_not_scroll_sideways(measure, make_study, truth):
    arms = ("darts", "darts@search.alpha_lr=0.003,search.weight_decay=0.0003,search.batch_size=128", "x" * 80)
    study = make_study(arms, truth=truth, failed=((arms[0], 1),), command="dnas " + "y" * 400)
    html = study_page(study)
    pictures = 2 if truth else 0
    for width, frame in zip(WIDTHS, measure([(width, html) for width in WIDTHS]), strict=True):
        assert frame.client_width > width - 30
        assert frame.scroll_width <= frame.client_width
        assert frame.scroll_height > 1500
        assert (frame.wide, frame.narrow) == ((pictures, 0) if width > 760 else (0, pictures))
