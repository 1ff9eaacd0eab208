"""Check the built pages: ``python docs/check_links.py docs/_build/html``.

Every link and every picture within the pages leads somewhere, down to the anchor, and
nothing that a page needs to be read comes from the network.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

NEEDED = {"script", "img", "iframe", "source", "video", "audio"}


class Page(HTMLParser):
    """The anchors of a page, and what it refers to.

    Parameters
    ----------
    text : str
        HTML.
    """

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.needs = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Note what an element is called, leads to, and needs."""
        found = dict(attrs)
        self.anchors |= {found.get("id"), found.get("name")}
        needs = [found["src"]] if tag in NEEDED and found.get("src") else []
        if tag == "link" and "stylesheet" in (found.get("rel") or ""):
            needs.append(found["href"])
        self.needs += needs
        self.links += [found["href"]] if tag == "a" and found.get("href") else []


def complaints(root):
    """Return what is wrong with the pages below a folder, one sentence each.

    Parameters
    ----------
    root : Path
        Folder of built pages.

    Returns
    -------
    list of str
    """
    root = root.resolve()
    pages = {
        path: Page(path.read_text("utf-8"))
        for path in sorted(root.rglob("*.html"))
        if "_static" not in path.relative_to(root).parts
    }
    if not pages:
        return [f"{root} has no pages; build them first."]
    wrong = []
    for path, page in pages.items():
        where = path.relative_to(root)
        for address in page.needs:
            if urlsplit(address).netloc:
                wrong.append(f"{where} needs {address} from the network.")
        for address in {*page.needs, *page.links}:
            if not leads_somewhere(address, path, root, pages):
                wrong.append(f"{where}: {address} leads nowhere.")
    return wrong


def leads_somewhere(address, path, root, pages):
    """Say whether an address on a page, if it is one of ours, has a target."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return True
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.is_relative_to(root) or not target.exists():
        return False
    anchors = pages[target].anchors if target in pages else set()
    return target not in pages or not parts.fragment or parts.fragment in anchors


if __name__ == "__main__":
    found = complaints(Path(sys.argv[1]))
    print("\n".join(found) or "Every link leads somewhere.")
    sys.exit(bool(found))
