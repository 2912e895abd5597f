# fmt: off
# isort: skip_file
from .files import (
    LONGEST_NAME as LONGEST_NAME, Preset as Preset, PresetContender as PresetContender, Presets as Presets, delete as delete,
    keep_last as keep_last, last as last, list_presets as list_presets, save as save)
