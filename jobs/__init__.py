"""What a data engineer runs: thin entry points that parse options, wire parts and go.

``cli`` is the command ``touchline``; ``worker`` is the Faust application
(``faust -A jobs.worker worker``); the others are one command each.
"""
