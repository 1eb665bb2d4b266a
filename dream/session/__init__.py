"""Runs lines: resolve → render → postprocess → save, with an event for each step."""

from dream.session.engine_events import report_crashes
from dream.session.many_lines import extent
from dream.session.name_checks import check_default, find_wrong_defaults
from dream.session.plan_summary import PlanSummary, summarize_plan
from dream.session.resolve import (
    ResolvedRequest,
    check_ranges,
    derive_seeds,
    resolve,
    resolve_sweep,
)
from dream.session.session import Session
from dream.session.unused_settings import list_unused_settings

__all__ = [
    "PlanSummary",
    "ResolvedRequest",
    "Session",
    "check_default",
    "check_ranges",
    "derive_seeds",
    "extent",
    "find_wrong_defaults",
    "list_unused_settings",
    "report_crashes",
    "resolve",
    "resolve_sweep",
    "summarize_plan",
]
