"""What `tests/unit/test_verification_accounts.py` shows of the verifier, shown of the page as well."""

import pytest

from tests.unit.test_verification_accounts import *  # noqa: F403

pytestmark = pytest.mark.usefixtures("both_judge")
