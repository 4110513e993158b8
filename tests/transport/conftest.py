"""Fixtures for the transports."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.transport.suite")
