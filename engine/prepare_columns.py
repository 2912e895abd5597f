"""What each column of a prepared dataset means; goes into its manifest."""

COLUMNS: dict[str, dict[str, str]] = {
    "train, valid, test": {
        "<single-valued feature>": "row of the feature's vocabulary for each interaction; 0 is unknown to train",
        "<multi-valued feature>.values": "rows of the bags of a block, one bag after another",
        "<multi-valued feature>.lengths": "length of each bag",
        "history.values": "items (rows) the user liked in train, the interaction's own item left out, most recent last",
        "dense": "dense features in schema order, standardised with the mean and deviation of train; 0 where unknown",
        "label": "1 when liked under the label rule, else 0",
        "rating": "rating as in the source",
        "timestamp": "unix seconds",
    },
    "items.parquet": {
        "item_id": "id in the source",
        "row": "row of the item vocabulary; 0 when train does not have the item",
        "title": "title, or the id where the source has none",
        "genres": "genres joined by |, or null",
        "train_count": "train interactions",
        "train_positives": "train interactions that are liked",
        "feature.<name>": "encoded feature",
    },
    "users.parquet": {
        "user_id": "id in the source",
        "row": "row of the user vocabulary; 0 when train does not have the user",
        "interactions": "interactions in all splits",
        "train_positives": "liked interactions in train",
        "test_positives": "liked interactions in test",
        "feature.<name>": "encoded feature; feature.history is the bag at the end of train",
    },
    "interactions": {
        "user_id, item_id": "ids in the source",
        "user, item": "rows of the vocabularies; 0 is unknown to train",
        "rating": "rating as in the source",
        "label": "1 when liked under the label rule, else 0",
        "timestamp": "unix seconds",
        "split": "train, valid or test",
    },
    "ranking": {
        "user, user_id": "row and id of a user to rank for",
        "seen": "items (rows) that the user met in train, never recommended",
        "relevant": "items (rows) of the catalogue that the user liked in the split and had not met",
        "feature.<name>": "encoded feature of the user",
    },
    "vocabulary": {
        "row": "row of the embedding table, from 1; row 0 is the unknown value",
        "value": "value in the source",
        "count": "train interactions with the value",
    },
}
