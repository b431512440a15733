"""`<!-- README: HEADING -->` on a page becomes that section of README.md, so that nothing has to be said twice.

Pictures and data that the section links to are put on the site with it; links to other files become their paths.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
MARK = re.compile(r"^<!-- README: (.+) -->$", re.MULTILINE)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#:]+)\)")
SHOWN = (".png", ".svg", ".csv", ".json", ".txt")
"""What a browser shows as it is."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put on the site what README's sections show."""
    for _, _, target in sorted(set(LINK.findall((ROOT / "README.md").read_text(encoding="utf-8")))):
        if Path(target).suffix in SHOWN:
            files.append(File.generated(config, f"files/{target}", abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Put the sections where the page asks for them."""
    up = "../" * page.file.src_uri.count("/")
    return MARK.sub(lambda match: _linked(section(match[1]), up), markdown)


def section(heading: str) -> str:
    """Return what README says under a heading, further headings included, one level up at least.

    Raises:
        PluginError: if there is no such heading.
    """
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"^(#+) {re.escape(heading)}\n", text, re.MULTILINE)
    if found is None:
        raise PluginError(f"README.md has no heading {heading!r}, which a page of docs/ shows")
    end = re.search(rf"^#{{1,{len(found[1])}}} ", text[found.end() :], re.MULTILINE)
    return text[found.end() : found.end() + end.start() if end else None].strip()


def _linked(text: str, up: str) -> str:
    def replaced(match: re.Match[str]) -> str:
        picture, words, target = match.groups()
        if Path(target).suffix in SHOWN:
            return f"{picture}[{words}]({up}files/{target})"
        return f"{words} (`{target}`)"

    return LINK.sub(replaced, text)
