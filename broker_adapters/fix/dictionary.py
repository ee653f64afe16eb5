"""FIX dictionaries that know structure and judge nothing.

QuickFIX needs a dictionary to keep repeating groups together, and refuses at the session level what breaks one: an
execution report with an unknown enum value would be rejected, and its fill lost. So the dictionaries that come with
QuickFIX are read, and everything by which a message could be refused is taken out: nothing is required, no value is
listed, every field is a text.
"""

import xml.etree.ElementTree as ElementTree
from importlib.metadata import distribution
from pathlib import Path

_STRUCTURAL = {"NUMINGROUP", "LENGTH", "DATA", "XMLDATA"}
"""Types that the parser itself needs."""


def lenient(begin_string: str, folder: Path) -> Path:
    """Write the dictionary of this version, "FIX.4.2", into the folder and say where. Raises FileNotFoundError."""
    name = begin_string.replace(".", "", 1).replace(".", "") + ".xml"
    tree = ElementTree.parse(_shipped(name))
    for element in tree.iter():
        if "required" in element.attrib:
            element.set("required", "N")
        if element.tag == "field" and "number" in element.attrib:
            if element.attrib["type"].upper() not in _STRUCTURAL:
                element.set("type", "STRING")
            for value in element.findall("value"):
                element.remove(value)
    written = folder / name
    tree.write(written, encoding="utf-8")
    return written


def _shipped(name: str) -> Path:
    for file in distribution("quickfix").files or ():
        if file.name == name:
            return Path(str(file.locate()))
    raise FileNotFoundError(f"quickfix came without {name}")
