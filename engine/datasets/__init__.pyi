# fmt: off
# isort: skip_file
from .audit_record import (
    Audit as Audit, FeatureFacts as FeatureFacts, Finding as Finding, JoinFacts as JoinFacts, OrderFacts as OrderFacts,
    SplitFacts as SplitFacts, WeightFacts as WeightFacts,
)
from .downloads import (
    DOWNLOADS as DOWNLOADS, Download as Download, DownloadSpec as DownloadSpec, downloaded as downloaded, fetch as fetch,
)
from .read import (
    AUDIT as AUDIT, FORMAT as FORMAT, INTERACTIONS as INTERACTIONS, KNOWN_AT_TEST as KNOWN_AT_TEST, QUARANTINE as QUARANTINE,
    Dataset as Dataset, audit as audit,
    baseline_per_user as baseline_per_user, baseline_results as baseline_results, dataset_id as dataset_id,
    fingerprint as fingerprint, get_dataset as get_dataset, items as items, list_datasets as list_datasets, search_users as search_users,
    set_aside as set_aside, targets as targets, user_interactions as user_interactions, user_row as user_row,
    why_no_ranking as why_no_ranking,
)
from .rules import (
    LABELS_OF as LABELS_OF, OF_EACH_USER as OF_EACH_USER, ActionsLabel as ActionsLabel, ColumnSplit as ColumnSplit,
    LastSplit as LastSplit, MultiClassLabel as MultiClassLabel, PerUserSplit as PerUserSplit, RandomSplit as RandomSplit,
    RegressionLabel as RegressionLabel, Split as Split, TimeSplit as TimeSplit, waits_for_train as waits_for_train,
)
from .spec import DatasetSpec as DatasetSpec
from .verifying import digest as digest, digests as digests, verify as verify, verify_some as verify_some
