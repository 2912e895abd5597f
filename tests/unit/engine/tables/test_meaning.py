"""What the columns of a stranger's table mean: taken where it is certain, asked where it is not, and no outcome is a feature."""

from pathlib import Path

import pytest

from engine.datasets.spec import DatasetSpec
from engine.sources.table import TableSource
from engine.tables.answers import answered
from engine.tables.guess import TableGuess
from engine.tables.inspect import inspect_table


def look(tmp_path: Path, *lines: str, table: str = "interactions", name: str = "t.csv") -> TableGuess:
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return inspect_table(str(path), table=table)  # type: ignore[arg-type]


def roles(guess: TableGuess) -> dict[str, str]:
    return {column.name: column.role for column in guess.columns}


def side(guess: TableGuess, name: str) -> str:
    return next(column.side for column in guess.columns if column.name == name)


def topics(guess: TableGuess) -> dict[str, str]:
    """The topic of each question that is asked, and its text."""
    return {question.key.partition(":")[0]: question.text for question in guess.all_questions}


def settle(guess: TableGuess, topic: str, answer: str) -> TableGuess:
    """The guess after the answer whose text begins so."""
    question = next(question for question in guess.questions if question.key.startswith(f"{topic}:"))
    place = next(k for k, one in enumerate(question.answers) if one.text.startswith(answer))
    return answered(guess, {question.key: place})


@pytest.fixture(autouse=True)
def _own_workspace(workspace: Path) -> None:
    """Tables in the temporary folder may be read."""


def test_the_types_of_a_recbole_header_are_no_part_of_a_name(tmp_path: Path) -> None:
    rows = ["u7\ti41\t3\t881250100", "u9\ti52\t3\t891717800", "u7\ti60\t1\t878887200", "u9\ti41\t5\t880606900", "u3\ti41\t4\t880607000"]
    guess = look(tmp_path, "user_id:token\titem_id:token\trating:float\ttimestamp:float", *rows, name="t.inter")
    assert list(roles(guess).values()) == ["user", "item", "label", "timestamp"]
    assert guess.certain and guess.time_unit == "s"
    assert TableSource(**guess.spec_fields()).named("user") == "user_id:token"


def test_sequences_of_recbole_are_lists_between_spaces(tmp_path: Path) -> None:
    head = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\tvector:float_seq"
    guess = look(tmp_path, head, "1\tToy Story\t1995\tAnimation Comedy\t0.1 0.2", "2\tHeat\t1995\tAction\t0.3 0.1", table="items")
    assert list(roles(guess).values()) == ["item", "title", "category", "tags", "tags"]
    assert {column.separator for column in guess.columns if column.role == "tags"} == {" "}


@pytest.mark.parametrize(
    "name",
    ["Book-Rating", "movie_rating", "item_rating", "user_rating", "product_score", "review_score", "stars", "BookRating", "Movie Score"],
)
def test_the_word_of_an_outcome_wins_over_the_noun_of_an_item(tmp_path: Path, name: str) -> None:
    guess = look(tmp_path, f"user_id,item_id,{name}", "1,a,5", "2,b,3", "3,a,4")
    assert roles(guess) == {"user_id": "user", "item_id": "item", name: "label"}
    assert guess.certain


def test_what_is_known_of_all_ratings_of_an_item_is_asked_and_no_label(tmp_path: Path) -> None:
    guess = look(tmp_path, "user_id,item_id,rating,avg_rating,rating_count", "1,a,5,3.5,40", "2,b,3,4.1,31", "3,a,4,3.5,40")
    assert [roles(guess)[name] for name in ("rating", "avg_rating", "rating_count")] == ["label", "ignore", "ignore"]
    assert "avg_rating and rating_count may be known only after" in topics(guess)["late"]


def test_many_zeros_below_a_scale_are_asked_about(tmp_path: Path) -> None:
    rows = ['376725;"""134545104X""";0', '376726;"""1155061224""";5', '376727;"""1446520802""";0', '376729;"""152165615X""";3', ";;"]
    guess = look(tmp_path, "User-ID;ISBN;Book-Rating", *rows)
    assert list(roles(guess).values()) == ["user", "item", "label"]
    assert "Book-Rating is 0 in 2 of the first 5 rows, and 3 to 5 in the others" in topics(guess)["unrated"]
    assert not guess.certain
    leave, keep = guess.last_questions(roles(guess))[0].answers
    assert (leave.low, leave.high) == (1, None) and (keep.low, keep.high) == (None, None)
    assert any('"134545104X"' in note and "quotes are kept" in note for note in guess.notes)


@pytest.mark.parametrize(
    ("ratings", "bounds"),
    [
        (["-1", "7", "10", "8"], (0, None)),
        (["99", "-7.82", "8.79", "1.2"], (None, 98.99)),
        (["0", "0.5", "4.5", "0"], (0.1, None)),
        (["1", "3", "5", "2"], None),
        (["-3", "-1", "2", "3"], None),
        (["0", "1", "1", "0"], None),
        (["0", *map(str, range(1, 11)), *"123456789123456789"], None),
    ],
)
def test_a_value_outside_the_scale_may_mean_that_nobody_rated(
    tmp_path: Path, ratings: list[str], bounds: tuple[float | None, float | None] | None
) -> None:
    guess = look(tmp_path, "user,item,rating", *(f"u{n},i{n % 3},{value}" for n, value in enumerate(ratings)))
    asked = [(q.answers[0].low, q.answers[0].high) for q in guess.all_questions]
    assert asked == ([bounds] if bounds else [])


def test_a_click_is_the_answer_itself_and_the_number_of_the_row_is_ignored(tmp_path: Path) -> None:
    rows = ["0,1,10,1624843756147,16,0", "1,1,11,1624843756147,13,1", "2,2,10,1625052999841,13,1", "3,2,12,1625052999841,5,0"]
    guess = look(tmp_path, ",userId,itemId,showTime,showPos,click", *rows)
    assert list(roles(guess).values()) == ["ignore", "user", "item", "timestamp", "category", "label"]
    assert side(guess, "showPos") == "context"
    source = TableSource(**guess.spec_fields())
    assert (source.low, source.high) == (0, 1)
    assert DatasetSpec(name="t", source=source).label.kind == "given"


@pytest.mark.parametrize("name", ["position", "rank", "slot", "showPos", "item_position", "banner_pos"])
def test_where_an_item_was_shown_is_of_the_context(tmp_path: Path, name: str) -> None:
    guess = look(tmp_path, f"user_id,item_id,{name},click", "1,a,5,0", "2,b,3,1", "3,a,4,0")
    assert side(guess, name) == "context"


@pytest.mark.parametrize("header", ["index", "Unnamed: 0", ""])
def test_a_column_without_a_name_that_counts_is_ignored(tmp_path: Path, header: str) -> None:
    guess = look(tmp_path, f"{header},user_id,item_id", "0,7,a", "1,8,b", "2,7,c")
    assert list(roles(guess).values()) == ["ignore", "user", "item"]


@pytest.mark.parametrize(
    "values", [("pv", "buy", "cart", "fav"), ("view", "addtocart", "transaction"), ("clicks", "carts", "orders"), ("purchase", "play")]
)
def test_values_that_are_actions_are_the_action_also_without_a_header(tmp_path: Path, values: tuple[str, ...]) -> None:
    lines = [f"{1 + n % 3},{268_318 + n},520377,{values[n % len(values)]},{1_511_544_100 + n}" for n in range(8)]
    guess = look(tmp_path, *lines)
    assert [roles(guess)[f"column_{k}"] for k in (1, 2, 4, 5)] == ["user", "item", "action", "timestamp"]
    assert "column_1 as the user" in topics(guess)["place"], "only its place tells it"
    named = look(tmp_path, "user_id,item_id,how,at", *(f"1,{n},{values[n % len(values)]},{1_511_544_100 + n}" for n in range(8)))
    assert roles(named)["how"] == "action"


def test_codes_of_actions_are_no_feature_and_types_of_other_things_no_action(tmp_path: Path) -> None:
    rows = [f"{n % 3},{n},{n % 4},{('mobile', 'desktop')[n % 2]},{('c1', 'c2')[n % 2]}" for n in range(9)]
    guess = look(tmp_path, "user_id,item_id,action_type,device_type,content_type", *rows)
    assert [roles(guess)[name] for name in ("action_type", "device_type", "content_type")] == ["action", "category", "category"]


def test_an_id_is_never_a_time_and_an_hour_may_be_one(tmp_path: Path) -> None:
    rows = [
        "2000009418151094273,0,14102100,a1be01fe,bcad2386,cdd2926e", "20000169349117863715,0,14102100,a1be01fe,bcad2386,86809ac8",
        "20000371904215119486,1,14102101,be8cc448,88fed791,a3cf8def",
    ]  # fmt: skip
    guess = look(tmp_path, "id,click,hour,site_id,app_id,device_ip", *rows)
    assert [roles(guess)[name] for name in ("id", "click", "hour")] == ["ignore", "label", "timestamp"]
    assert guess.unsure == ("time_unit",) and "%y%m%d%H makes it 2014-10-21 00:00" in str(guess.ambiguous)
    assert "nobody's recommendations can be shown" in topics(guess)["missing"]
    small = look(tmp_path, "user_id,item_id,hour", "1,a,13", "2,b,14", "3,a,15")
    assert roles(small)["hour"] != "timestamp"


def test_a_user_that_is_mostly_missing_is_said_by_rows_and_a_session_offered(tmp_path: Path) -> None:
    lines = [f"{n // 2};{'NA' if n % 5 else n};{81_001 + n};2016-05-09" for n in range(10)]
    guess = look(tmp_path, "sessionId;userId;itemId;eventdate", *lines)
    assert "userId is NA in 8 of the first 10 rows" in topics(guess)["user"]
    taken = settle(guess, "user", "Take sessionId")
    assert (roles(taken)["sessionId"], roles(taken)["userId"]) == ("user", "ignore")
    assert taken.certain
    assert roles(settle(guess, "user", "Keep userId"))["userId"] == "user"


@pytest.mark.parametrize(("value", "asked"), [("-1", True), ("", True), ("null", True), ("u9", False)])
def test_whatever_stands_for_nobody_is_counted(tmp_path: Path, value: str, asked: bool) -> None:
    guess = look(tmp_path, "user_id,item_id", *(f"{value if n % 4 else f'u{n}'},i{n % 3}" for n in range(12)))
    assert ("user" in topics(guess) or guess.columns[0].absent_open is not None) == asked


def test_a_date_a_second_time_is_ignored_and_votes_are_asked(tmp_path: Path) -> None:
    lines = [
        '{"reviewerID": "A1", "asin": "B1", "overall": 5.0, "unixReviewTime": 1393545600, "reviewTime": "02 28, 2014", "helpful": [2, 3]}',
        '{"reviewerID": "A2", "asin": "B1", "overall": 3.0, "unixReviewTime": 1363392000, "reviewTime": "03 16, 2013", "helpful": [0, 0]}',
        '{"reviewerID": "A3", "asin": "B2", "overall": 4.0, "unixReviewTime": 1377648000, "reviewTime": "08 28, 2013", "helpful": [1, 1]}',
    ]
    guess = look(tmp_path, *lines, name="t.jsonl")
    assert list(roles(guess).values()) == ["user", "item", "label", "timestamp", "ignore", "ignore"]
    assert set(topics(guess)) == {"late"} and topics(guess)["late"].startswith("helpful may be known only after")


def test_times_that_differ_are_asked_and_the_answer_brings_its_unit(tmp_path: Path) -> None:
    rows = [f"{n},b{n % 3},2020-01-0{1 + n},{1_600_000_000 + 90_000 * n}" for n in range(6)]
    guess = look(tmp_path, "user_id,book_id,started_at,added_at", *rows)
    assert "times that differ" in topics(guess)["time"]
    assert settle(guess, "time", "started_at").time_unit == "iso"
    assert settle(guess, "time", "added_at").time_unit == "s"


def test_an_impression_is_not_the_user_and_lists_of_ids_are_no_features(tmp_path: Path) -> None:
    rows = [
        "1\tU13740\t11/11/2019 9:05:58 AM\tN55189 N42782\tN55689-1 N35729-0",
        "2\tU91836\t11/12/2019 6:11:30 PM\t\tN20678-0 N39317-1 N58114-0",
        "3\tU73700\t11/14/2019 7:01:48 AM\tN10732 N25792\tN50014-0 N23877-1",
    ]
    plain = look(tmp_path, *rows)
    named = look(tmp_path, "impression_id\tuser_id\ttime\thistory\timpressions", *rows)
    for guess in (plain, named):
        assert list(roles(guess).values()) == ["ignore", "user", "timestamp", "ignore", "item"]
        assert guess.columns[4].listed == "pairs", "each item is a row, with its label"


@pytest.mark.parametrize(
    ("header", "row", "wanted"),
    [
        ("InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
         "536365,85123A,A HEART,6,2010-12-01 08:26,2.55,17850,UK",
         "ignore item title ignore timestamp dense user category"),
        ("timestamp,visitorid,event,itemid,transactionid", "1433221332117,257597,view,355908,", "timestamp user action item ignore"),
        ("order_id,product_id,add_to_cart_order,reordered", "2,33120,1,1", "ignore item ignore label"),
        ("t_dat,customer_id,article_id,price,sales_channel_id", "2018-09-20,c1,0663713001,0.05,2", "timestamp user item dense category"),
        ("review_id,user_id,business_id,stars,useful,funny,cool,date", "r,u,b,4,0,0,1,2014-01-01 10:00:00",
         "ignore user item label ignore ignore ignore timestamp"),
        ("user_id,artist_mbid,artist_name,plays", "u1,m1,Band,2137", "user item title ignore"),
        ("user_id,book_id,is_read,rating,is_reviewed", "0,948,1,5,0", "user item ignore label ignore"),
        ("userid,gameid,playtime_forever", "u1,440,120", "user item ignore"),
        ("session,aid,ts,type", "12,1517085,1659304800025,clicks", "ignore item timestamp action"),
        ("user_id,video_id,play_duration,video_duration,timestamp,watch_ratio", "14,148,4381,6067,1593878903,0.72",
         "user item ignore category timestamp ignore"),
        ("user_id,item_id,click,follow,like,share,watching_times", "1,7,1,0,0,0,3", "user item label label label label ignore"),
        ("rating,asin,parent_asin,user_id,timestamp,helpful_vote",
         "5.0,B1,B2,AE2,1588687728923,0", "label ignore item user timestamp dense"),
        ("review_profilename,beer_beerid,review_overall,review_aroma,review_time", "joe,47986,1.5,2,1234817823",
         "user item label ignore timestamp"),
        ("member_no,sku,amount,order_date", "17,AB-1,12.50,2020-02-01", "user item ignore timestamp"),
    ],
)  # fmt: skip
def test_the_columns_of_data_sets_that_people_use_are_known(tmp_path: Path, header: str, row: str, wanted: str) -> None:
    assert " ".join(roles(look(tmp_path, header, *[row] * 3)).values()) == wanted


@pytest.mark.parametrize("name", ["Quantity", "amount", "total", "UnitPrice", "plays", "hours", "qty"])
def test_quantities_and_prices_are_asked_and_never_silently_a_label(tmp_path: Path, name: str) -> None:
    guess = look(tmp_path, f"customer,sku,{name}", "c1,a,6", "c2,b,12.5", "c1,a,24")
    assert roles(guess)[name] in ("ignore", "dense")
    assert any(name in question.columns for question in guess.questions)
    assert not guess.certain


def test_an_answer_makes_a_quantity_the_label_or_the_weight(tmp_path: Path) -> None:
    guess = look(tmp_path, "customer,sku,Quantity", "c1,a,6", "c2,b,12", "c1,a,24")
    assert roles(settle(guess, "amount", "The label"))["Quantity"] == "label"
    assert roles(settle(guess, "amount", "The weight"))["Quantity"] == "weight"
    assert settle(guess, "amount", "Not used").certain


def test_several_outcomes_are_asked_and_one_is_learnt(tmp_path: Path) -> None:
    guess = look(tmp_path, "user_id,book_id,is_read,rating", "1,a,1,5", "2,b,0,3", "3,a,1,4")
    assert set(topics(guess)) == {"outcome"}
    chosen = settle(guess, "outcome", "is_read")
    assert (roles(chosen)["is_read"], roles(chosen)["rating"]) == ("label", "ignore")
    assert TableSource(**chosen.spec_fields()).defaults()["label"] == {"kind": "given"}


def test_what_follows_a_conversion_is_no_feature_and_no_time(tmp_path: Path) -> None:
    guess = look(
        tmp_path, "uid,campaign,conversion,conversion_timestamp,cost", "1,3,1,500,0.1", "2,4,0,-1,0.2", "3,3,0,-1,0.1", "4,5,1,1240,0.3"
    )
    assert [roles(guess)[name] for name in ("uid", "conversion", "conversion_timestamp")] == ["user", "label", "ignore"]
    assert "price" in topics(guess)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("click,hour_of_day", "nobody's recommendations"),
        ("movie_id,click", "Nobody's recommendations"),
        ("user_id,click", "nothing to recommend"),
    ],
)
def test_a_table_without_users_or_items_is_confirmed_in_words(tmp_path: Path, header: str, said: str) -> None:
    guess = look(tmp_path, header, "1,0", "2,1", "3,0")
    assert said in topics(guess)["missing"]


def test_names_of_columns_survive_in_a_table_of_users(tmp_path: Path) -> None:
    guess = look(tmp_path, "customer_no,age,total_spent", "c1,30,12.5", "c2,41,7.5", table="users")
    assert list(roles(guess).values()) == ["user", "category", "dense"]
    assert not guess.all_questions


def test_names_of_another_language_are_asked_about_and_what_describes_the_item_is_its_feature(tmp_path: Path) -> None:
    rows = [
        f"{1 + n % 28:02d}.{1 + n // 28:02d}.2026 10:00;K{n % 9};A-{n % 14};Tee {n % 14};{n % 14 % 3};{2 + n % 14},5;{1 + n * 7 % 5}"
        for n in range(280)
    ]
    guess = look(tmp_path, "Datum;Kunde;Artikel;Bezeichnung;Gruppe;Preis;Bewertung", *rows)
    asked = [question.text.partition("?")[0] for question in guess.questions]
    assert asked == [
        "No name says which column is the user. Which one is it",
        "No name says which column is the item. Which one is it",
        "Does Bewertung (1) say how much somebody liked an item",
    ]
    assert [answer.text for answer in guess.questions[1].answers][:2] == ["Kunde (K0)", "Artikel (A-0)"]
    settled = answered(guess, {question.key: place for question, place in zip(guess.questions, (0, 1, 0), strict=True)})
    assert {column.name: (column.role, column.side) for column in settled.columns} == {
        "Datum": ("timestamp", "context"),
        "Kunde": ("user", "user"),
        "Artikel": ("item", "item"),
        "Bezeichnung": ("title", "item"),
        "Gruppe": ("category", "item"),
        "Preis": ("dense", "item"),
        "Bewertung": ("label", "context"),
    }
    assert settled.all_questions == ()
    none = answered(guess, {question.key: len(question.answers) - 1 for question in guess.questions})
    assert [question.key for question in none.all_questions] == ["missing: user or item"]
