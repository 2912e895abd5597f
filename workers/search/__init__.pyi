# fmt: off
# isort: skip_file
from .space import first_settings as first_settings, space_of as space_of, usual_space as usual_space, with_settings as with_settings
from .study import (
    Ended as Ended, Study as Study, Trial as Trial, distribution as distribution, encoded as encoded, listed as listed,
    read_trials as read_trials, trial_folder as trial_folder,
)
