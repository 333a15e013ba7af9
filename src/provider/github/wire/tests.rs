//! What each kind of field makes of what it does not expect.

use super::*;

fn field<'a, T: Value<'a>>(json: &'a str) -> Option<T> {
    serde_json::from_str::<Field<T>>(json).unwrap().0
}

#[test]
fn s06_a_number_that_counts_is_a_positive_whole_one() {
    assert_eq!(field::<u64>("1"), Some(1));
    assert_eq!(field::<u64>("18446744073709551615"), Some(u64::MAX));
    for wrong in
        ["0", "-1", "-0", "1.0", "1e2", "1e400", "18446744073709551616", "\"1\"", "null", "[1]", "{}"]
    {
        assert_eq!(field::<u64>(wrong), None, "{wrong}");
    }
}

#[test]
fn a_time_is_read_from_seconds_and_from_text_with_any_offset() {
    let at = |json| field::<Timestamp>(json).map(Timestamp::ms);
    assert_eq!(at("1557933591"), Some(1_557_933_591_000));
    assert_eq!(at(r#""2019-05-15T15:19:51Z""#), Some(1_557_933_591_000));
    assert_eq!(at(r#""2021-04-28T22:32:21.000-04:00""#), Some(1_619_663_541_000));
    for wrong in [
        "0",
        "-5",
        "1.5",
        "1e400",
        "253402300800",
        "9223372036854775807",
        r#""""#,
        r#""yesterday""#,
        r#""2021-02-30T00:00:00Z""#,
        r#""1969-12-31T23:59:59Z""#,
        "true",
        "null",
        "[]",
    ] {
        assert_eq!(at(wrong), None, "{wrong}");
    }
}

#[test]
fn a_text_is_short_and_shows_no_control_characters() {
    let long = format!("\"{}\"", "é".repeat(1000));
    let text = field::<String>;
    assert_eq!(text(r#""zo\u00eb""#).as_deref(), Some("zoë"));
    assert_eq!(text(r#""a\u001b[31mb\n\u202ec\u0000""#).as_deref(), Some("a[31mbc"));
    assert_eq!(text(&long), Some("é".repeat(255)));
    for wrong in ["1", "null", "true", "[\"a\"]", "{}", r#""\ud800""#, r#""""#, r#""\u0007""#] {
        assert_eq!(text(wrong), None, "{wrong}");
    }
}

#[test]
fn a_list_is_no_object_even_if_its_items_would_fit() {
    assert!(field::<Team>("[5]").is_none());
    assert_eq!(field::<Team>(r#" {"id": 5, "name": []} "#.trim()).and_then(|team| *team.id), Some(5));
    assert!(field::<Repository>("null").is_none());
}

#[test]
fn a_list_keeps_what_it_can_read_and_stops_at_fifty_thousand() {
    assert_eq!(field::<Vec<u64>>(r#"[1,null,"x",{"a":[1e400]},2]"#), Some(vec![1, 2]));
    assert_eq!(field::<Vec<u64>>(r#"{"0":1}"#), None);
    let many = format!("[{}1]", "7,".repeat(60_000));
    let read = field::<Vec<u64>>(&many).unwrap();
    assert_eq!(read.len(), 50_000);
    assert!(read.iter().all(|number| *number == 7));
}

#[test]
fn permissions_keep_their_texts_and_drop_the_rest() {
    let read = field::<BTreeMap<String, String>>(r#"{"metadata":"read","x":1,"y":null}"#).unwrap();
    assert_eq!(read, BTreeMap::from([("metadata".to_owned(), "read".to_owned())]));
}
