"""The scripts beside this file need other programs, and hold no tests."""

collect_ignore = ["make.py", "make_inputs.py", "make_sum_rule.py"]
