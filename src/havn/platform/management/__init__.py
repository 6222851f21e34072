"""The management API: which Apis exist, on what terms, who may use them with which key, and the pages to arrange it.

What is decided here is enforced where requests are received; `metering` counts, `levels` measures what was promised.
"""
