"""The page in a real browser: no console message, no sideways scrolling at desktop and phone width."""

from dnas.report import write_report

WIDTHS = (1280, 390)


def test_page_renders_without_console_messages(browse, make_run):
    document, console = browse(write_report(make_run()))
    assert "<h1>This search" in document
    assert console == []


def test_page_does_not_scroll_sideways(measure, make_run, v2):
    long_names = type(v2)(v2.space, tuple((f"{name}_of_a_long_name", cell) for name, cell in v2.cells))
    run = make_run(genotype=long_names, baselines=(0.9, 0.91, 0.92, 0.93), command="dnas " + "x" * 400)
    html = write_report(run).read_text(encoding="utf-8")
    for width, frame in zip(WIDTHS, measure([(width, html) for width in WIDTHS]), strict=True):
        assert frame.client_width > width - 30
        assert frame.scroll_width <= frame.client_width
        assert frame.scroll_height > 2000
