# fmt: off
# isort: skip_file
from .testing import (
    FeatureTest as FeatureTest, RunOfTest as RunOfTest, conclusion as conclusion, run_without as run_without,
    test_features as test_features, tests_of as tests_of, why_no_test as why_no_test)
