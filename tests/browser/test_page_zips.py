"""What `tests/unit/test_bundles_load.py` shows of reading zips, shown of the page as well."""

import pytest

from tests.unit.test_bundles_load import *  # noqa: F403

pytestmark = pytest.mark.usefixtures("both_open")
