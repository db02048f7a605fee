"""A small catalog for tests, as TOML text and as a dictionary to vary."""

SMALL = """version = "1.0"
name = "Small shop"

[journey]
gap = "14d"

[[channels]]
id = "web"
name = "Web"

[[channels]]
id = "store"
name = "Store"

[[channels]]
id = "mail"
name = "Letter"

[[needs]]
id = "learn"
name = "Learn"

[[stages]]
id = "consideration"
name = "Consideration"
weight = 0.6
phase = "before"
funnel = "consideration"

[[stages]]
id = "loyalty"
name = "Loyalty"
weight = 0.4
phase = "after"
funnel = "post_purchase"

[[facts]]
id = "purchase"
name = "Bought something"
touchpoints = ["point_of_sale"]

[[touchpoints]]
id = "product_page"
name = "Product page"
kind = "communication"
contact = "digital"
needs = ["learn"]
stage = "consideration"
owner = "E-commerce"
outcome = "Knows the product"
process = "Content"
importance = 3

[[touchpoints.stage_after]]
fact = "purchase"
stage = "loyalty"

[[touchpoints.match]]
channel = "web"
action = "page_view"
where."details.page_type" = "product"

[[touchpoints]]
id = "point_of_sale"
name = "Point of sale"
kind = "human"
contact = "human"
needs = ["learn"]
stage = "consideration"
owner = "Stores"
outcome = "Has bought"
process = "Till"
importance = 5

[[touchpoints.match]]
channel = ["store", "web"]
action = ["purchase", "buy"]
"""
