"""Alerts: from the topic of moments to the people who can still mend them.

``routing`` says where a moment goes, ``desk`` what there is to tell and when, ``outbox`` keeps both
in ClickHouse, ``courier`` delivers, ``destinations`` speak to the outside.
"""
