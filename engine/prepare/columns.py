"""What each column of a prepared dataset means; goes into its manifest."""

COLUMNS: dict[str, dict[str, str]] = {
    "train, valid, test": {
        "<single-valued feature>": "row of the feature's vocabulary for each interaction; 0 is unknown to train",
        "<multi-valued feature>.values": "rows of the bags of a block, one bag after another",
        "<multi-valued feature>.lengths": "length of each bag",
        "history.values": "items (rows) the user liked in train, for rows of test in train and valid (all of them, or those before "
        "the row's time, as the spec says), "
        "the own item of a train row left out, most recent last",
        "dense": "dense features in schema order, after log1p where the spec says so standardised with the mean and deviation of train, "
        "0 where unknown; then the flags <feature>_missing, 1 where unknown",
        "label": "1 when liked under the label rule, else 0",
        "target": "what regression, multi-class and action models predict: the value, the class's place in label.classes, or 0 and 1 "
        "for each action of label.classes; only in datasets of these",
        "weight": "weight of the row in training; only where the source gives weights",
        "rating": "rating as in the source; nan where it has none",
        "timestamp": "unix seconds; 0 where the source has no time",
    },
    "sequences": {
        "user_id": "row of the user vocabulary, once each; users in random order; those who liked nothing in train are left out",
        "item_id.values": "items (rows) that the users liked in train, one user after another, the oldest like first, repeats too; likes "
        "of one time are in order of the item's id; of many likes the newest",
        "item_id.lengths": "length of each user's sequence",
        "timestamp.values": "unix seconds of each like",
    },
    "sequences_valid": {
        "<all>": "as in sequences, of valid, and of users that train knows: what is known of them besides when test begins"
    },
    "items.parquet": {
        "item_id": "id in the source",
        "row": "row of the item vocabulary; 0 when train does not have the item",
        "title": "title, or the id where the source has none",
        "genres": "genres joined by |, or null",
        "train_count": "train interactions",
        "train_positives": "train interactions that are liked",
        "feature.<name>": "encoded feature",
        "<other>": "columns of the source, as they are",
    },
    "users.parquet": {
        "user_id": "id in the source",
        "row": "row of the user vocabulary; 0 when train does not have the user",
        "interactions": "interactions in all splits",
        "train_positives": "liked interactions in train",
        "test_positives": "liked interactions in test",
        "feature.<name>": "encoded feature; feature.history is the bag when test begins",
        "<other>": "columns of the source, as they are",
    },
    "interactions": {
        "user_id, item_id": "ids in the source",
        "user, item": "rows of the vocabularies; 0 is unknown to train",
        "rating": "rating as in the source",
        "label": "1 when liked under the label rule, else 0",
        "target": "as in train, valid, test",
        "weight": "as in train, valid, test",
        "timestamp": "unix seconds",
        "subsecond": "the part of a second after the timestamp; null when it is 0; only where the source has times",
        "split": "train, valid or test",
        "feature.<name>": "encoded feature of the interaction",
    },
    "quarantine.parquet": {
        "row": "number of the row in the source, from 1, in reading order",
        "reason": "why the row is not used",
        "raw": "the row as text: as it is in the file, or as JSON",
    },
    "sets/sets.parquet": {
        "split": "train, valid or test",
        "place": "position of the user in sets/users.parquet, from 0",
        "items": "items (rows) of the set; 0 is unknown to train",
        "rating": "rating of the set as a whole",
        "user_mean": "mean rating of the user's sets in train; else of the user's items there; else of everybody's",
    },
    "sets/users.parquet": {
        "user, user_id": "row and id of a user who rated sets",
        "feature.<name>": "encoded feature of the user",
    },
    "oracle.parquet": {
        "logit": "true logit of a test row of made data",
        "label": "its label",
        "known": "whether its user and its item are in train",
    },
    "ranking": {
        "user, user_id": "row and id of a user to rank for",
        "seen": "items (rows) that the user has in train, for test in train and valid",
        "relevant": "items (rows) of the catalogue that the user liked in the split and had not seen before",
        "next, last": "of these the one that the user liked first, and the one liked last; only where the source has times",
        "feature.<name>": "encoded feature of the user",
    },
    "vocabulary": {
        "row": "row of the embedding table, from 1; row 0 is the unknown value",
        "value": "value in the source",
        "count": "train interactions with the value",
    },
}
