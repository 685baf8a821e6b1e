"""kypho: plan, rehearse, check and follow percutaneous kyphoplasty.

Research and education; not a medical device.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
