"""Rewrites one table of bench/RESULTS.md, between its two marker comments."""

import datetime
import pathlib
import platform

RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return f"{model}, {platform.system()}, {datetime.date.today()}."


def rewrite(table, lines):
    begin, end = f"<!-- {table}: begin -->", f"<!-- {table}: end -->"
    text = RESULTS.read_text()
    before, rest = text.split(begin)
    RESULTS.write_text(before + "\n".join([begin, *lines, end]) + rest.split(end)[1])
