"""What a network costs on a device: cost models, profiles of devices, and limits that a search keeps."""

from dnas.hardware.model import CostModel, Profile, Quality
from dnas.hardware.profile_file import read_profile, write_profile

__all__ = ["CostModel", "Profile", "Quality", "read_profile", "write_profile"]
