"""Results as JUnit XML, which every CI reads: a test suite per theme, a test case per case."""

from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree

from pitline_conform.case import Outcome, Result


def junit_xml(results: Sequence[Result], address: str) -> bytes:
    """The document, UTF-8. A failure carries its text and transcript, a skipped case its reason."""
    suites = ElementTree.Element("testsuites", {"name": f"pitline conform {address}", **_counts(results)})
    for theme, of_theme in groupby(results, key=lambda result: result.case.theme):
        played = list(of_theme)
        suite = ElementTree.SubElement(suites, "testsuite", {"name": theme, **_counts(played)})
        for result in played:
            _add(suite, result)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)


def _add(suite: ElementTree.Element, result: Result) -> None:
    name = f"{result.case.number} {result.case.title}"
    entry = ElementTree.SubElement(
        suite, "testcase", classname=f"pitline.broker.v1.{result.case.theme}", name=name, time=f"{result.seconds:.3f}"
    )
    match result.outcome:
        case Outcome.FAILED:
            failure = ElementTree.SubElement(entry, "failure", message=_printable(result.text))
            failure.text = _printable(result.transcript)
        case Outcome.SKIPPED:
            ElementTree.SubElement(entry, "skipped", message=_printable(result.text))
        case Outcome.PASSED:
            pass


def _counts(results: Sequence[Result]) -> dict[str, str]:
    ended = [result.outcome for result in results]
    return {
        "tests": str(len(results)),
        "failures": str(ended.count(Outcome.FAILED)),
        "skipped": str(ended.count(Outcome.SKIPPED)),
        "time": f"{sum(result.seconds for result in results):.3f}",
    }


def _printable(text: str) -> str:
    """XML holds no control characters, and a counterpart may say any."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)
