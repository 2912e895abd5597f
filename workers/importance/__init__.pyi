# fmt: off
# isort: skip_file
from .spec import FEATURES as FEATURES, FeatureLoss as FeatureLoss, FeatureTest as FeatureTest, FeatureTestSpec as FeatureTestSpec
