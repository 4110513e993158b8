"""The report as JUnit XML, for continuous integration systems."""

from __future__ import annotations

from collections.abc import Collection
from xml.etree import ElementTree

from .cases import CHAPTERS
from .escapes import without_invalid_characters
from .report import Report
from .rules import quoted
from .verdicts import Result, Verdict

__all__ = ["junit"]


def junit(report: Report, failed: Collection[str]) -> str:
    """The report as XML.

    Args:
        report: the results.
        failed: the IDs of the cases that make the run fail.
    """
    suite = ElementTree.Element(
        "testsuite",
        name="vfiipc examine",
        tests=str(len(report.results) + len(report.left_out) + (not report.complete)),
        failures=str(sum(_element(result, failed) == "failure" for result in report.results)),
        errors=str(
            sum(_element(result, failed) == "error" for result in report.results)
            + (not report.complete)
        ),
        skipped=str(
            len(report.left_out)
            + sum(_element(result, failed) == "skipped" for result in report.results)
        ),
        time=f"{sum(result.seconds for result in report.results):.3f}",
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in report.as_json().items():
        if isinstance(value, (str, int)):
            ElementTree.SubElement(properties, "property", name=name, value=str(value))
    for result in report.results:
        _add(suite, result, failed)
    for case in report.left_out:
        element = _case(suite, case.id, case.title, 0.0)
        ElementTree.SubElement(element, "skipped", message=f"left out: {case.reason}")
    if not report.complete:  # so that nobody takes it for a run without failures
        element = ElementTree.SubElement(
            suite, "testcase", classname="vfiipc.examine", name="the whole run", time="0.000"
        )
        message = "the run was ended early; these are the results so far"
        ElementTree.SubElement(element, "error", message=message)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    # ElementTree writes characters that are not valid in XML.
    return without_invalid_characters(
        ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
    )


def _element(result: Result, failed: Collection[str]) -> str:
    if result.id in failed:
        return "error" if result.verdict is Verdict.INCONCLUSIVE else "failure"
    return "skipped" if result.verdict is Verdict.UNIMPLEMENTED else "system-out"


def _add(suite: ElementTree.Element, result: Result, failed: Collection[str]) -> None:
    element = _case(suite, result.id, result.title, result.seconds)
    kind = _element(result, failed)
    said = f"{result.verdict}: {result.observed}"
    if kind == "system-out":
        ElementTree.SubElement(element, kind).text = said
        return
    child = ElementTree.SubElement(element, kind, message=said)
    if kind != "skipped":
        child.set("type", result.verdict.value)
        rule = quoted(result.rule) or "-"
        child.text = f"rule: {rule}\nexpected: {result.expected}\nobserved: {result.observed}"


def _case(
    suite: ElementTree.Element, number: str, title: str, seconds: float
) -> ElementTree.Element:
    chapter = CHAPTERS[int(number.partition(".")[0])]
    return ElementTree.SubElement(
        suite,
        "testcase",
        classname=f"vfiipc.examine.{chapter.replace(' ', '_')}",
        name=f"{number} {title}",
        time=f"{seconds:.3f}",
    )
