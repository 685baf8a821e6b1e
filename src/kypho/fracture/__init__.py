"""What the fracture and the bone say: heights, walls, endplates, cavities, density."""

from kypho.fracture.assess import Assessment, assess_level
from kypho.fracture.findings import FACTORS, Finding

__all__ = ["FACTORS", "Assessment", "Finding", "assess_level"]
