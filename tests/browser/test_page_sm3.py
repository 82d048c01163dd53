"""What `tests/unit/test_sm3.py` shows of the verifier, shown of the page as well, which has an SM3 of its own."""

import pytest

from tests.unit.test_sm3 import (  # noqa: F401 - pytest finds them by these names
    test_an_original_whose_sealed_sm3_is_of_another_file_fails,
    test_an_original_with_its_sealed_sm3_is_verified,
)

pytestmark = pytest.mark.usefixtures("both_judge")
