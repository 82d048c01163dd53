"""The card layouts that the shipped profiles in `config/recorders/` read, seen from the recorder's side."""

from collections.abc import Mapping
from types import MappingProxyType

from hwsim.layouts.dcim import Dcim
from hwsim.layouts.gat947 import Gat947
from hwsim.layouts.layout import Layout
from hwsim.layouts.sidecar import Sidecar

LAYOUTS: Mapping[str, Layout] = MappingProxyType({layout.name: layout for layout in (Gat947(), Dcim(), Sidecar())})
"""By name, as `hwsim record --layout` takes them."""
