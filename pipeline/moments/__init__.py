"""Moments of truth: what the rules of a catalog find in the events of customers.

Read ``rules`` (a catalog's rules, compiled), ``matching`` and ``candidates`` (which rules an event
plays a part in), ``finding`` and ``strikes`` (what each type of rule finds, as pure functions),
``groups`` (a rule with its events), ``detector`` (what is held of customers), ``unsaid`` (what is
new against what was said) and ``statements`` (what is said, as records). ``docs/moments.md`` says
what must be found.
"""
