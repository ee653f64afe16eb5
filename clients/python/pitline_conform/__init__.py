"""The conformance suite of `pitline.broker.v1`: numbered cases over the wire, against whatever serves it.

It knows the contract and nothing else: no broker, no EMS. `pitline conform ADDRESS` plays it.
"""

from pitline_conform.case import Case, Outcome, Result
from pitline_conform.ground import NoContactError, Options
from pitline_conform.junit import junit_xml
from pitline_conform.runner import play
from pitline_conform.suite import CASES, chosen

__all__ = ["CASES", "Case", "NoContactError", "Options", "Outcome", "Result", "chosen", "junit_xml", "play"]
