"""How fast, beside whom, and at what agreement: ``python -m bench.report`` answers.

workloads.py is the table of work, adapters.py the libraries that do it, agreement.py what they
must agree on before a clock starts. test_speed.py runs work x library on pytest-benchmark,
process.py, curves.py and cliffs.py measure what one fit does not show, and report.py writes all
of it down. A plain ``pytest`` collects nothing here.
"""
